//! `bulkhead inspect`.

use std::io::Write;

use bulkhead_engine::models::{ContainerInspectResponse, ImageInspect, NetworkInspect, Volume};
use bulkhead_engine::{Engine, Error};

use super::Done;
use crate::Context;
use crate::failure::{Failure, complain};
use crate::output::inspect::print_inspect;
use crate::template::{Shape, Type};

/// Show everything about containers, images, networks and volumes
#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// A Go template, or "json"
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show how much the files of containers are
    #[arg(short, long)]
    size: bool,
    /// container, image, network or volume
    #[arg(long = "type", value_name = "TYPE", value_parser = ["container", "image", "network", "volume"])]
    kind: Option<String>,
    /// Names or IDs
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

const SHAPES: &[(&str, Shape)] = &[
    ("Labels", Shape::StringMap),
    ("Annotations", Shape::StringMap),
    ("Sysctls", Shape::StringMap),
    ("Tmpfs", Shape::StringMap),
    ("Networks", Shape::Map),
    ("Env", Shape::List),
    ("Cmd", Shape::List),
    ("Entrypoint", Shape::List),
    ("Args", Shape::List),
    ("Mounts", Shape::List),
    ("Binds", Shape::List),
    ("RepoTags", Shape::List),
    ("RepoDigests", Shape::List),
    ("Layers", Shape::List),
    ("Options", Shape::StringMap),
    ("Containers", Shape::Map),
];

impl Inspect {
    /// The same of containers alone.
    pub(super) fn of_containers(self) -> Inspect {
        Inspect { kind: Some("container".into()), ..self }
    }

    /// The same of images alone.
    pub(super) fn of_images(self) -> Inspect {
        Inspect { kind: Some("image".into()), ..self }
    }

    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in &self.names {
            match look_up(&mut engine, self.kind.as_deref(), self.size, name) {
                Ok(Some(one)) => found.push(one),
                Ok(None) => missing.push(format!("No such object: {name}")),
                Err(error @ Error::NotFound { .. }) => missing.push(error.to_string()),
                Err(error) => return Err(error.into()),
            }
        }
        let mut out = std::io::stdout().lock();
        let format = self.format.as_deref();
        let mut names: Vec<&str> = found.iter().map(Found::type_name).collect();
        names.dedup();
        let name = if let [name] = names[..] { name } else { "InspectResponse" };
        let shown = match (found.is_empty(), format) {
            (false, _) => print_inspect(&mut out, format, &found, Type { name, shapes: SHAPES }),
            (true, None) => out.write_all(b"[]\n").map_err(Into::into),
            (true, Some(_)) => Ok(()),
        };
        shown.map_err(|error| Failure::new(error.to_string()))?;
        for message in &missing {
            complain(message);
        }
        Ok(u8::from(!missing.is_empty()))
    }
}

/// Something that has a name.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Found {
    Container(Box<ContainerInspectResponse>),
    Image(Box<ImageInspect>),
    Network(Box<NetworkInspect>),
    Volume(Box<Volume>),
}

impl Found {
    /// What Docker's templates call it.
    fn type_name(&self) -> &'static str {
        match self {
            Found::Container(_) => "container.InspectResponse",
            Found::Image(_) => "image.InspectResponse",
            Found::Network(_) => "network.Inspect",
            Found::Volume(_) => "volume.Volume",
        }
    }
}

/// What has that name, or ID: of one kind, or of all in Docker's order. `None` if nothing of any kind has.
fn look_up(engine: &mut Engine, kind: Option<&str>, size: bool, name: &str) -> Result<Option<Found>, Error> {
    let kinds = ["container", "image", "network", "volume"];
    for one in kinds.iter().filter(|one| kind.is_none_or(|kind| kind == **one)) {
        let found = match *one {
            "container" => engine
                .container(name)
                .and_then(|container| match size {
                    true => engine.inspect_with_size(&container),
                    false => engine.inspect(&container),
                })
                .map(|found| Found::Container(Box::new(found))),
            "image" => engine.inspect_image(name).map(|found| Found::Image(Box::new(found))),
            "network" => engine.inspect_network(name).map(|found| Found::Network(Box::new(found))),
            _ => engine.inspect_volume(name).map(|found| Found::Volume(Box::new(found))),
        };
        match found {
            Ok(found) => return Ok(Some(found)),
            // What is no name of an image may be one of something else.
            Err(Error::NotFound { .. } | Error::Image(_)) if kind.is_none() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
