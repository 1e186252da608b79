//! What the engine cannot do, and why: one sentence each, in Docker's words where people or programs know them.

use bulkhead_image::ImageError;

/// What goes wrong in the engine. The kinds are those that callers decide on: an exit code, an HTTP status.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no container, image or volume of that name.
    #[error("{}", not_found(kind, name))]
    NotFound {
        /// `container`, `image`, `volume`.
        kind: &'static str,
        /// What was asked for.
        name: String,
    },
    /// It cannot be done in the state that things are in.
    #[error("{0}")]
    Conflict(String),
    /// What was asked for makes no sense, or this machine cannot hold it.
    #[error("{0}")]
    Invalid(String),
    /// A container's files cannot be read or written as asked.
    #[error("{message}")]
    Files {
        /// What kind of failure it is.
        why: Refusal,
        /// The sentence.
        message: String,
    },
    /// The container's birth, or an exec's start, failed.
    #[error("{0}")]
    Birth(#[from] bulkhead_isolation::Error),
    /// An image could not be read or stored.
    #[error("{0}")]
    Image(#[from] ImageError),
    /// A registry could not be used; its kind says why.
    #[error("{0}")]
    Registry(#[from] bulkhead_registry::RegistryError),
    /// The network could not be set up.
    #[error("{0}")]
    Network(#[from] bulkhead_network::Error),
    /// The store's database could not be read or written.
    #[error("{}", of_store(.0))]
    Store(#[from] rusqlite::Error),
    /// A system call failed.
    #[error("cannot {doing}: {why}", why = bulkhead_isolation::describe(.source))]
    System {
        /// What was being done.
        doing: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// What is on disk cannot be understood.
    #[error("{0}")]
    Corrupt(String),
}

/// Why something is not done with a container's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Refusal {
    /// There is no such path.
    Missing,
    /// Nothing may be written there.
    ReadOnly,
    /// It makes no sense, or the archive does not.
    Senseless,
    /// The kernel, or a disk, failed.
    Broken,
}

/// Docker's words.
fn not_found(kind: &str, name: &str) -> String {
    match kind {
        "network" => format!("network {name} not found"),
        _ => format!("No such {kind}: {name}"),
    }
}

/// SQLite's words, but for what people can do something about.
fn of_store(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => {
            "cannot write the store's database: no space left on its disk".into()
        }
        Some(rusqlite::ErrorCode::ReadOnly) => {
            "cannot write the store's database: its disk is read-only".into()
        }
        Some(rusqlite::ErrorCode::DatabaseBusy) => {
            "cannot use the store's database: other commands have held it for 30 seconds".into()
        }
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => damaged(error),
        // What no command has ever written.
        _ if matches!(
            error,
            rusqlite::Error::Utf8Error(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
        ) =>
        {
            damaged(error)
        }
        _ => format!("cannot use the store's database: {error}"),
    }
}

fn damaged(error: &rusqlite::Error) -> String {
    format!(
        "the store's database is damaged ({error}): `bulkhead system recover` saves what can be read of it"
    )
}

/// What the engine's functions give.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// No container of that name.
    pub fn no_container(name: &str) -> Error {
        Error::NotFound { kind: "container", name: name.into() }
    }

    /// The exit code of `run` and `exec` for it: Docker's 125, 126, 127.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::Birth(error) => error.exit_code(),
            _ => 125,
        }
    }
}

/// Names what was being done when a system call failed.
pub(crate) trait Doing<T> {
    fn doing<D: std::fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing<D: std::fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|source| Error::System { doing: what().to_string(), source: source.into() })
    }
}
