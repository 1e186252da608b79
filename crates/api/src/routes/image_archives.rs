//! Images as archives: saved, loaded, imported, and made of containers.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bulkhead_engine::commands::commit;
use bulkhead_engine::{ContainerConfig, Engine, ImportOptions, Loaded, Platform, Progress, Reference};
use serde::Deserialize;
use serde_json::json;

use super::images::{fits, stated};
use super::{Query, is_on, parse};
use crate::failure::Failure;
use crate::flow::Late;
use crate::house::House;
use crate::messages::{Messages, add_bar};
use crate::upload;
use crate::worker::{Form, Out, answer, flow, flow_with};

type Shared = State<Arc<House>>;
type Answer = Result<Response, Failure>;

/// What follows the `?` where a name may come several times.
pub(super) type Pairs = Vec<(String, String)>;

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/images/get", get(save_many))
        .route("/images/load", post(load))
        .route("/commit", post(make))
}

/// All values of a name.
fn all(pairs: &Pairs, name: &str) -> Vec<String> {
    pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
}

/// The first value of a name, unless it is empty.
pub(super) fn one(pairs: &Pairs, name: &str) -> Option<String> {
    all(pairs, name).into_iter().next().filter(|value| !value.is_empty())
}

async fn save_many(State(house): Shared, Query(query): Query<Pairs>) -> Answer {
    let names = all(&query, "names");
    if names.is_empty() {
        return Err(Failure::bad("at least one image must be named (names)"));
    }
    save(&house, names, one(&query, "platform")).await
}

/// The archive of some images.
pub(super) async fn save(house: &House, names: Vec<String>, platform: Option<String>) -> Answer {
    flow(house, move |engine, out| {
        for name in &names {
            fits(engine, name, platform.as_deref())?;
        }
        Ok(engine.save(&names, Late::new(out, Form::Tar))?)
    })
    .await
}

#[derive(Deserialize)]
struct LoadQuery {
    quiet: Option<String>,
    platform: Option<String>,
}

async fn load(State(house): Shared, Query(query): Query<LoadQuery>, body: Body) -> Answer {
    let host = Platform::host();
    if let Some(platform) = stated(query.platform.as_deref())?
        && (platform.os != host.os || platform.architecture != host.architecture)
    {
        return Err(Failure::bad(format!(
            "of an archive with images for several platforms, that for {}/{} is loaded: {}/{} cannot be chosen",
            host.os, host.architecture, platform.os, platform.architecture
        )));
    }
    let quiet = is_on(query.quiet.as_ref());
    let body = upload::receive(body)?;
    flow_with(&house, vec![body], move |engine, mut given, out| {
        let upload = upload::given(&mut given)?;
        let mut messages = Messages::new(out);
        let loaded = engine.load(upload, &mut |progress| {
            if let Progress::Layer { name, current, total } = &progress
                && !quiet
            {
                let mut message = json!({ "status": "Loading layer", "id": short(name) });
                add_bar(&mut message, *current, *total);
                messages.say(&message);
            }
        });
        let loaded = loaded.map_err(Failure::from);
        for line in loaded.iter().flatten().flat_map(lines) {
            messages.say(&json!({ "stream": line }));
        }
        messages.end(loaded.map(drop))
    })
    .await
}

/// Twelve digits of the digest that names a layer in an archive, or the name itself.
fn short(name: &str) -> &str {
    let name = name.strip_prefix("blobs/sha256/").unwrap_or(name);
    let name = name.strip_suffix("/layer.tar").unwrap_or(name);
    name.get(..12).unwrap_or(name)
}

fn lines(image: &Loaded) -> Vec<String> {
    match image.references.as_slice() {
        [] => vec![format!("Loaded image ID: {}\n", image.id)],
        names => names.iter().map(|name| format!("Loaded image: {}\n", name.familiar())).collect(),
    }
}

/// `POST /images/create?fromSrc=-`.
pub(super) async fn import(house: &House, query: &Pairs, body: Body) -> Answer {
    let source = one(query, "fromSrc").unwrap_or_default();
    if source != "-" {
        return Err(Failure::bad(format!(
            "bulkhead does not import from addresses: fetch {source} first, and send it (fromSrc=-)"
        )));
    }
    let mut options = ImportOptions { changes: changes(query), ..ImportOptions::default() };
    if let Some(message) = one(query, "message") {
        options.message = message;
    }
    if let Some(platform) = one(query, "platform") {
        options.platform = Platform::parse(&platform)
            .ok_or_else(|| Failure::bad(format!("invalid platform {platform:?}: write OS/ARCHITECTURE")))?;
    }
    let name = named(query)?;
    let body = upload::receive(body)?;
    flow_with(house, vec![body], move |engine, mut given, out: &mut Out| {
        let upload = upload::given(&mut given)?;
        let image = engine.import(upload, name.as_deref(), &options)?;
        Messages::new(out).say(&json!({ "status": image.id.to_string() }));
        Ok(())
    })
    .await
}

/// `repo` and `tag` together.
fn named(query: &Pairs) -> Result<Option<String>, Failure> {
    let Some(repository) = one(query, "repo") else { return Ok(None) };
    let name = match one(query, "tag") {
        Some(tag) => format!("{repository}:{tag}"),
        None => repository,
    };
    // Before anything is read.
    Reference::parse(&name).map_err(|error| Failure::bad(error.to_string()))?;
    Ok(Some(name))
}

/// Instructions, one a line.
fn changes(query: &Pairs) -> Vec<String> {
    let all = all(query, "changes");
    let lines = all.iter().flat_map(|text| text.lines()).map(str::trim);
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// `POST /commit`.
async fn make(State(house): Shared, Query(query): Query<Pairs>, body: Bytes) -> Answer {
    let container = one(&query, "container")
        .ok_or_else(|| Failure::bad("invalid name or ID supplied: \"\": a container must be named"))?;
    let config: Option<ContainerConfig> = if body.is_empty() { None } else { parse(&body)? };
    let pause = all(&query, "pause");
    let options = commit::Options {
        name: named(&query)?,
        author: one(&query, "author"),
        message: one(&query, "comment"),
        config,
        changes: changes(&query),
        pause: pause.iter().all(|value| value.is_empty()) || is_on(pause.first()),
    };
    let job = |engine: &mut Engine| {
        let container = engine.container(&container)?;
        let (image, _) = engine.commit(&container, &options)?;
        Ok(json!({ "Id": image.id.to_string() }))
    };
    let response = answer(&house, job).await?;
    Ok((StatusCode::CREATED, response).into_response())
}

#[cfg(test)]
mod tests {
    use super::{changes, short};

    #[test]
    fn layers_are_named_by_their_digests() {
        assert_eq!(short("0123456789abcdef/layer.tar"), "0123456789ab");
        assert_eq!(short("blobs/sha256/0123456789abcdef"), "0123456789ab");
        assert_eq!(short("x.tar"), "x.tar");
    }

    #[test]
    fn changes_come_several_times_and_with_several_lines() {
        let pair = |value: &str| ("changes".to_owned(), value.to_owned());
        let query = vec![pair("CMD x\n\nENV a=b"), ("other".to_owned(), "y".to_owned()), pair("USER 1")];
        assert_eq!(changes(&query), ["CMD x", "ENV a=b", "USER 1"]);
    }
}
