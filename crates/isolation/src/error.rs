//! What went wrong while a container was born or entered, in a form that survives the way from the child
//! process to whoever asked: a step's name, one sentence, and what callers decide on.

use std::fmt::Display;
use std::io;

use serde::{Deserialize, Serialize};

/// What kind of failure it was, where a caller's exit code depends on it (Docker's 125, 126, 127).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The container could not be made.
    Container,
    /// The program exists but cannot be executed.
    NotExecutable,
    /// There is no such program.
    NotFound,
}

/// A failed step of a birth or an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The step that failed, as the timing trace names it.
    pub step: String,
    /// One sentence: what failed, on what, why.
    pub message: String,
    /// What callers decide on.
    pub kind: Kind,
    /// The kernel's error number, if it was the kernel that refused.
    pub errno: Option<i32>,
}

impl Error {
    /// A failure that no system call reported.
    pub fn new(step: &str, message: impl Into<String>) -> Error {
        Error { step: step.into(), message: message.into(), kind: Kind::Container, errno: None }
    }

    /// The same failure as another kind.
    #[must_use]
    pub fn of_kind(self, kind: Kind) -> Error {
        Error { kind, ..self }
    }

    /// The exit code Docker's clients give for it.
    pub fn exit_code(&self) -> i32 {
        match self.kind {
            Kind::Container => 125,
            Kind::NotExecutable => 126,
            Kind::NotFound => 127,
        }
    }
}

/// The result of a step.
pub type Result<T> = std::result::Result<T, Error>;

/// Names the step and the object for an error of the kernel's.
pub trait Step<T> {
    /// `what` completes "cannot …", e.g. `mount /proc`.
    ///
    /// # Errors
    /// The error itself, named.
    fn step<D: Display>(self, step: &str, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T> Step<T> for io::Result<T> {
    fn step<D: Display>(self, step: &str, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| Error {
            step: step.into(),
            message: format!("cannot {}: {}", what(), describe(&error)),
            kind: Kind::Container,
            errno: error.raw_os_error(),
        })
    }
}

impl<T> Step<T> for std::result::Result<T, rustix::io::Errno> {
    fn step<D: Display>(self, step: &str, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(io::Error::from).step(step, what)
    }
}

/// The kernel's words for an error, lower case and without the number, as C programs print them.
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}
