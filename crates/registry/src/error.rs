//! What goes wrong between us and a registry: one sentence each, in Docker's words where people know them.

use bulkhead_image::ImageError;

/// The kinds are those that callers decide on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry has no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It wants to know who asks, or does not believe it.
    #[error("{0}")]
    Unauthorized(String),
    /// It knows who asks, and refuses.
    #[error("{0}")]
    Denied(String),
    /// What was asked for, or a setting, makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The registry does not answer, or fails; it may later.
    #[error("{0}")]
    Unavailable(String),
    /// Nobody answers there.
    #[error("{0}")]
    Unreachable(String),
    /// What the registry says cannot be: it breaks its protocol, or lies.
    #[error("{0}")]
    Broken(String),
    /// Another part of the same work failed first.
    #[error("cancelled")]
    Cancelled,
    /// An image could not be read or stored.
    #[error("{0}")]
    Image(#[from] ImageError),
}

/// What this crate's functions give.
pub type Result<T, E = RegistryError> = std::result::Result<T, E>;

impl RegistryError {
    /// Whether the same may succeed in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, RegistryError::Unavailable(_) | RegistryError::Unreachable(_))
    }
}
