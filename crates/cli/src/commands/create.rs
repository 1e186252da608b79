//! `bulkhead create`.

use std::io::Write;

use bulkhead_engine::commands::create::{Created, Purpose};
use bulkhead_engine::models::ContainerCreateBody;
use bulkhead_engine::{Engine, Reference};

use super::{Done, pull, warn};
use crate::Context;
use crate::failure::{Failure, of_start, printable};
use crate::options::CreateFlags;
use crate::similar;

/// Make a container without starting it
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Create {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    #[command(flatten)]
    flags: CreateFlags,
}

impl Create {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine().map_err(|failure| failure.code(125))?;
        // Docker: what the engine refuses is 1 here, and 125 from `run`.
        let created = create(&mut engine, &self.flags, false, Purpose::StartLater)
            .map_err(|failure| failure.code(1))?;
        warn(&created.warnings);
        println!("{}", created.container.id);
        super::system::checkpoint_aside(context, &engine);
        Ok(0)
    }
}

/// Makes the container, and its ID file if one was asked for.
pub(super) fn create(
    engine: &mut Engine,
    flags: &CreateFlags,
    detached: bool,
    purpose: Purpose,
) -> Result<Created, Failure> {
    warn(&flags.check()?);
    let request = flags.request(detached)?;
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    // Through sudo, the one who asks is not root.
    if let (Some(uid), Some(gid)) = (number("SUDO_UID"), number("SUDO_GID")) {
        engine.on_behalf_of(uid, gid);
    }
    // The file first: one that exists must refuse the container, not follow it.
    let mut file = match &flags.cidfile {
        None => None,
        Some(path) => {
            let file = std::fs::File::options().write(true).create_new(true).open(path).map_err(|error| {
                let message = match error.kind() {
                    std::io::ErrorKind::AlreadyExists => format!(
                        "container ID file found, make sure the other container isn't running or delete {}",
                        path.display()
                    ),
                    _ => format!("failed to create the container ID file {}: {error}", path.display()),
                };
                Failure::new(message).code(125)
            })?;
            Some((file, path))
        }
    };
    let created = with_image(engine, &request, flags)
        .and_then(|()| engine.create(request, flags.name.as_deref(), purpose).map_err(failed));
    match (&created, &mut file) {
        (Ok(created), Some((file, path))) => {
            file.write_all(created.container.id.as_bytes()).map_err(|error| {
                Failure::new(format!("cannot write {}: {error}", path.display())).code(125)
            })?;
        }
        (Err(_), Some((_, path))) => {
            let _ = std::fs::remove_file(path);
        }
        _ => {}
    }
    created
}

/// Sees to it that the image is there, as `--pull` says.
fn with_image(
    engine: &mut Engine,
    request: &ContainerCreateBody,
    flags: &CreateFlags,
) -> Result<(), Failure> {
    let image = request.image.as_deref().unwrap_or_default();
    let fetch =
        |engine: &mut Engine| pull::for_container(engine, image, flags.platform.as_deref(), flags.quiet);
    match flags.pull.as_str() {
        "always" => fetch(engine),
        "never" => Ok(()),
        _ => match engine.has_image(image).map_err(failed)? {
            true => Ok(()),
            false => {
                let name = Reference::parse(image).map_or_else(|_| image.to_owned(), |name| name.familiar());
                if !flags.quiet {
                    eprintln!("Unable to find image '{}' locally", printable(&name));
                }
                fetch(engine).map_err(|failure| {
                    let message = format!("{}{}", failure.message, similar::hint("image", &name));
                    Failure { message, ..failure }
                })
            }
        },
    }
}

fn failed(error: bulkhead_engine::Error) -> Failure {
    match error {
        bulkhead_engine::Error::NotFound { kind: "image", name } => {
            Failure::new(format!("No such image: {name}{}", similar::hint("image", &name))).code(125)
        }
        error => of_start(error),
    }
}
