//! `bulkhead cp`: files and folders between a container and this machine.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use bulkhead_engine::commands::copy::{Copied, Here, Options};

use super::{Done, warn};
use crate::Context;
use crate::failure::{Failure, printable};
use crate::output::units::human_size_with;

/// Copy files between a container and this machine
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "bulkhead cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n       bulkhead cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH"
)]
pub struct Cp {
    /// Keep user and group IDs
    #[arg(short, long)]
    archive: bool,
    /// Follow a symbolic link that SRC is
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Do not say what was copied; so it is without a terminal
    #[arg(short, long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    quiet: Option<bool>,
    /// Where from: a path, CONTAINER:PATH, or - for a tar on standard input
    #[arg(value_name = "SRC")]
    source: OsString,
    /// Where to: a path, CONTAINER:PATH, or - for a tar on standard output
    #[arg(value_name = "DEST")]
    destination: OsString,
}

impl Cp {
    pub(super) fn run(self, context: &Context) -> Done {
        let (from, source) = split(self.source.as_bytes())?;
        let (to, destination) = split(self.destination.as_bytes())?;
        if source.is_empty() {
            return Err(Failure::new("source can not be empty"));
        }
        if destination.is_empty() {
            return Err(Failure::new("destination can not be empty"));
        }
        let options = Options { archive: self.archive, follow: self.follow_link };
        let (stdin, stdout) = (rustix::stdio::stdin(), rustix::stdio::stdout());
        let copied = match (from, to) {
            (Some(_), Some(_)) => return Err(Failure::new("copying between containers is not supported")),
            (None, None) => return Err(Failure::new("must specify at least one container source")),
            (Some(name), None) => {
                let to =
                    if destination == b"-" { Here::Tar(stdout.as_fd()) } else { Here::Path(destination) };
                let mut engine = context.engine()?;
                let container = engine.container(name)?;
                engine.copy_out(&container, source, to, options)?
            }
            (None, Some(name)) => {
                let from = if source == b"-" { Here::Tar(stdin.as_fd()) } else { Here::Path(source) };
                let mut engine = context.engine()?;
                let container = engine.container(name)?;
                engine.copy_in(&container, from, destination, options)?
            }
        };
        self.say(&copied);
        Ok(0)
    }

    /// Docker's line, on stderr.
    fn say(&self, copied: &Copied) {
        warn(&copied.warnings);
        let terminal = rustix::termios::isatty(rustix::stdio::stdout());
        if !self.quiet.unwrap_or(!terminal) && self.destination != "-" {
            let to = self.destination.to_string_lossy();
            eprintln!("Successfully copied {} to {}", human_size_with(copied.bytes, 3), printable(&to));
        }
    }
}

/// The container and the path, as Docker tells them apart: what begins with `/` or `.` is a path of this machine.
fn split(word: &[u8]) -> Result<(Option<&str>, &[u8]), Failure> {
    let colon = word.iter().position(|byte| *byte == b':').filter(|_| !word.starts_with(b"/"));
    match colon.and_then(|at| word.split_at_checked(at)) {
        Some((container, path)) if !container.starts_with(b".") => {
            let container = std::str::from_utf8(container)
                .map_err(|_| Failure::new("the name of a container is not UTF-8"))?;
            Ok((Some(container), path.strip_prefix(b":").unwrap_or(path)))
        }
        _ => Ok((None, word)),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_container_is_told_from_a_path() {
        for (word, container, path) in [
            ("c:/a", Some("c"), "/a"),
            ("c:a:b", Some("c"), "a:b"),
            ("/a:b", None, "/a:b"),
            ("./a:b", None, "./a:b"),
            ("../a:b", None, "../a:b"),
            ("a", None, "a"),
            ("-", None, "-"),
            ("c:", Some("c"), ""),
        ] {
            assert_eq!(split(word.as_bytes()).unwrap(), (container, path.as_bytes()), "{word}");
        }
    }
}
