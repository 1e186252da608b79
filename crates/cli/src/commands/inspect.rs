//! `bulkhead inspect`.

use std::io::Write;

use super::Done;
use crate::Context;
use crate::failure::{Failure, complain};
use crate::output::inspect::print_inspect;
use crate::template::{Shape, Type};

/// Show everything about containers and images
#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// A Go template, or "json"
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// container or image
    #[arg(long = "type", value_name = "TYPE", value_parser = ["container", "image"])]
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
        let engine = context.engine()?;
        let kind = self.kind.as_deref();
        let (mut containers, mut images, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for name in &self.names {
            let container = match engine.container(name) {
                _ if kind == Some("image") => None,
                Ok(container) => Some(container),
                Err(bulkhead_engine::Error::NotFound { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            if let Some(container) = container {
                containers.push(engine.inspect(&container)?);
                continue;
            }
            match (kind, engine.inspect_image(name)) {
                (Some("container"), _) => missing.push(format!("No such container: {name}")),
                (_, Ok(image)) => images.push(image),
                (Some(_), Err(error)) => missing.push(error.to_string()),
                (None, Err(_)) => missing.push(format!("No such object: {name}")),
            }
        }
        let mut out = std::io::stdout().lock();
        let format = self.format.as_deref();
        let shown = match (containers.is_empty(), images.is_empty()) {
            (false, true) => print_inspect(
                &mut out,
                format,
                &containers,
                Type { name: "container.InspectResponse", shapes: SHAPES },
            ),
            (true, false) => print_inspect(
                &mut out,
                format,
                &images,
                Type { name: "image.InspectResponse", shapes: SHAPES },
            ),
            (false, false) => {
                let both: Vec<serde_json::Value> = containers
                    .iter()
                    .map(serde_json::to_value)
                    .chain(images.iter().map(serde_json::to_value))
                    .collect::<Result<_, _>>()
                    .map_err(|error| Failure::new(error.to_string()))?;
                print_inspect(&mut out, format, &both, Type { name: "InspectResponse", shapes: SHAPES })
            }
            (true, true) if format.is_none() => out.write_all(b"[]\n").map_err(Into::into),
            (true, true) => Ok(()),
        };
        shown.map_err(|error| Failure::new(error.to_string()))?;
        for message in &missing {
            complain(message);
        }
        Ok(u8::from(!missing.is_empty()))
    }
}
