//! A container's files as tars: `/containers/{id}/archive` and `/containers/{id}/export`.
//!
//! The client does what `docker cp` does with names on its own side. It is told what is at a path by a header,
//! `X-Docker-Container-Path-Stat`: JSON in base64, with Go's bits for a file's kind.

use std::os::fd::AsFd;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_engine::Engine;
use bulkhead_engine::commands::copy::PathStat;
use bulkhead_engine::commands::copy::archive::base_name;
use rustix::fs::FileType;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Query, is_on};
use crate::failure::Failure;
use crate::flow::Late;
use crate::house::House;
use crate::upload;
use crate::worker::{Extra, Form, Out, ask, ask_with, flow};

type Shared = State<Arc<House>>;
type Answer = Result<Response, Failure>;

const PATH_STAT: &str = "x-docker-container-path-stat";

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/containers/{id}/archive", get(read).head(stat).put(write))
        .route("/containers/{id}/export", get(export))
}

/// `copyUIDGID` makes no difference: owners are those of the archive with it and without (docs/api.md).
#[derive(Deserialize)]
struct ArchiveQuery {
    path: Option<String>,
    #[serde(rename = "noOverwriteDirNonDir")]
    no_overwrite: Option<String>,
}

impl ArchiveQuery {
    fn path(&self) -> Result<String, Failure> {
        let path = self.path.clone().filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| Failure::bad("bad parameter: path cannot be empty"))?;
        match path.contains('\0') {
            true => Err(Failure::bad("bad parameter: path cannot hold a zero byte")),
            false => Ok(path),
        }
    }
}

async fn stat(State(house): Shared, Path(id): Path<String>, Query(query): Query<ArchiveQuery>) -> Answer {
    let path = query.path()?;
    let job = |engine: &mut Engine| {
        let container = engine.container(&id)?;
        let found = engine.stat_path(&container, path.as_bytes())?;
        Ok(shown(&found, path.as_bytes()))
    };
    let shown: String = ask(&house, job).await?;
    Ok(([(PATH_STAT, shown)], StatusCode::OK).into_response())
}

async fn read(State(house): Shared, Path(id): Path<String>, Query(query): Query<ArchiveQuery>) -> Answer {
    let path = query.path()?;
    flow(&house, move |engine, out| write_archive(engine, &id, &path, out)).await
}

fn write_archive(engine: &mut Engine, id: &str, path: &str, out: &mut Out) -> Result<(), Failure> {
    let container = engine.container(id)?;
    let pipe = out.descriptor()?;
    let begin = |found: &PathStat| {
        let headers: [Extra; 1] = [(PATH_STAT.to_owned(), shown(found, path.as_bytes()))];
        let begun = out.begin_with(Form::Tar, &headers);
        begun.map(drop).map_err(|failure| std::io::Error::other(failure.to_string()))
    };
    engine.archive_out(&container, path.as_bytes(), pipe.as_fd(), begin)?;
    Ok(())
}

async fn write(
    State(house): Shared,
    Path(id): Path<String>,
    Query(query): Query<ArchiveQuery>,
    body: Body,
) -> Answer {
    let path = query.path()?;
    let replace = !is_on(query.no_overwrite.as_ref());
    let body = upload::receive(body)?;
    ask_with(&house, vec![body], move |engine, mut given| {
        let container = engine.container(&id)?;
        let upload = upload::given(&mut given)?;
        engine.archive_in(&container, upload, path.as_bytes(), replace)?;
        Ok(())
    })
    .await?;
    Ok(StatusCode::OK.into_response())
}

async fn export(State(house): Shared, Path(id): Path<String>) -> Answer {
    flow(&house, move |engine, out| {
        let container = engine.container(&id)?;
        engine.export(&container, Late::new(out, Form::Bytes))?;
        Ok(())
    })
    .await
}

/// What is at a path, as clients read it.
fn shown(found: &PathStat, path: &[u8]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (seconds, nanoseconds) = found.modified;
    let moment = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
        + time::Duration::nanoseconds(nanoseconds.into());
    let json = json!({
        "name": text(&base_name(path)),
        "size": found.size,
        "mode": go_mode(found.mode),
        "mtime": moment.format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".into()),
        "linkTarget": text(found.target.as_deref().unwrap_or_default()),
    });
    STANDARD.encode(json.to_string())
}

/// A mode as Go has it (<https://pkg.go.dev/io/fs#FileMode>): permissions are the same, kinds are bits from the top.
fn go_mode(mode: u32) -> u32 {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 1 << 31,
        FileType::Symlink => 1 << 27,
        FileType::BlockDevice => 1 << 26,
        FileType::Fifo => 1 << 25,
        FileType::Socket => 1 << 24,
        FileType::CharacterDevice => 1 << 26 | 1 << 21,
        FileType::RegularFile | FileType::Unknown => 0,
    };
    let marks = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    let marks: u32 = marks.into_iter().filter(|(bit, _)| mode & bit != 0).map(|(_, go)| go).sum();
    kind | marks | mode & 0o777
}

#[cfg(test)]
mod tests {
    use super::go_mode;

    #[test]
    fn kinds_are_go_s() {
        assert_eq!(go_mode(0o100_644), 0o644);
        assert_eq!(go_mode(0o120_777), 134_218_239);
        assert_eq!(go_mode(0o040_755), 2_147_484_141);
        assert_eq!(go_mode(0o041_777), 0x8010_01ff);
        assert_eq!(go_mode(0o020_666), 0x0420_01b6);
        assert_eq!(go_mode(0o104_755), 0x0080_01ed);
    }
}
