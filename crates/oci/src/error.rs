//! Why a command failed. Callers read some of these words (Docker, containerd and Podman look for "does not exist",
//! "process already finished" and "container not running"), so they are runc's.

use std::io;
use std::path::Path;

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no container of that ID.
    #[error("container does not exist")]
    NotFound,
    /// There is one.
    #[error("container with given ID already exists")]
    Exists,
    /// No container can be called that.
    #[error("invalid container ID format")]
    InvalidId,
    /// Its process has ended.
    #[error("container not running")]
    NotRunning,
    /// It is not frozen.
    #[error("container not paused")]
    NotPaused,
    /// config.json, or another file or flag of the caller's, says something that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// Something is asked for that this runtime does not do.
    #[error("{0} is not supported by this runtime: take it out of the container's configuration")]
    Unsupported(String),
    /// The isolation core.
    #[error(transparent)]
    Isolation(#[from] bulkhead_isolation::Error),
    /// The kernel.
    #[error("cannot {what}: {}", bulkhead_isolation::describe(cause))]
    Io {
        /// What could not be done.
        what: String,
        /// Why.
        cause: io::Error,
    },
}

/// What a step gives.
pub type Result<T> = std::result::Result<T, Error>;

/// Names what an error of the kernel's was about.
pub(crate) trait Doing<T> {
    /// `what` completes "cannot …".
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::Io { what: what(), cause: cause.into() })
    }
}

impl Error {
    pub(crate) fn invalid(message: impl Into<String>) -> Error {
        Error::Invalid(message.into())
    }

    /// Something is asked for that this runtime does where the machine can, and this one cannot.
    pub(crate) fn absent(what: &str, needed: &str) -> Error {
        Error::Invalid(format!(
            "config.json: {what}: this machine has no {needed} (or does not use it): take it out of the container's \
             configuration"
        ))
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Error {
        Error::Unsupported(what.into())
    }
}

/// A path as text: what goes into JSON must be such.
pub(crate) fn text(path: &Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::invalid(format!("the path {} is not UTF-8", path.display())))
}
