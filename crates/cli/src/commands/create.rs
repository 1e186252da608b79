//! `bulkhead create`.

use std::io::Write;

use bulkhead_engine::Engine;
use bulkhead_engine::commands::create::{Created, Purpose};

use super::{Done, warn};
use crate::Context;
use crate::failure::{Failure, of_start};
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
    let created = engine.create(request, flags.name.as_deref(), purpose);
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
    created.map_err(|error| match error {
        bulkhead_engine::Error::NotFound { kind: "image", name } => Failure::new(format!(
            "Unable to find image '{name}' locally: load or import it first (this version of bulkhead does not pull){}",
            similar::hint("image", &name)
        ))
        .code(125),
        error => of_start(error),
    })
}
