//! An error as a client gets it: Docker's status, and `{"message": …}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bulkhead_engine::filters::FilterError;
use bulkhead_engine::registry::RegistryError;
use bulkhead_engine::{Error, ImageError, Refusal};
use serde::{Deserialize, Serialize};

use crate::filters::InvalidFilters;

/// Why a request got no answer of its own kind. It travels from the process that did the work, so it is plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    status: u16,
    message: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure { status: status.as_u16(), message: message.into() }
    }

    /// The client asked for something that makes no sense.
    pub(crate) fn bad(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, message)
    }

    /// Something is wrong on this side.
    pub(crate) fn ours(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }
}

impl Failure {
    /// For a terminal or a log: it may hold what a client wrote, and no line of it may pass for another or speak to the
    /// terminal.
    pub(crate) fn printable(&self) -> String {
        self.message.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match &error {
            Error::NotFound { .. } => StatusCode::NOT_FOUND,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Files { why, .. } => match why {
                Refusal::Missing => StatusCode::NOT_FOUND,
                Refusal::ReadOnly => StatusCode::FORBIDDEN,
                Refusal::Senseless => StatusCode::BAD_REQUEST,
                Refusal::Broken => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Error::Image(error) => of_image(error),
            // A program that is not there or cannot be executed is the client's mistake.
            Error::Birth(error) if matches!(error.exit_code(), 126 | 127) => StatusCode::BAD_REQUEST,
            Error::Registry(error) => of_registry(error),
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure::new(status, error.to_string())
    }
}

impl From<InvalidFilters> for Failure {
    fn from(error: InvalidFilters) -> Failure {
        Failure::bad(error.to_string())
    }
}

impl From<FilterError> for Failure {
    fn from(error: FilterError) -> Failure {
        Failure::bad(error.to_string())
    }
}

/// An archive, a name or a change that makes no sense is the client's.
fn of_image(error: &ImageError) -> StatusCode {
    match error {
        ImageError::Io { .. } | ImageError::NoSpace { .. } | ImageError::NotFound { .. } => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Docker says of an image that one may not see that it is not there.
fn of_registry(error: &RegistryError) -> StatusCode {
    match error {
        RegistryError::NotFound(_) | RegistryError::Denied(_) => StatusCode::NOT_FOUND,
        RegistryError::Unauthorized(_) => StatusCode::UNAUTHORIZED,
        RegistryError::Invalid(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(serde_json::json!({ "message": self.message }))).into_response()
    }
}

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}: {source}")]
pub struct ServeError {
    doing: String,
    source: std::io::Error,
}

impl ServeError {
    pub(crate) fn new(doing: impl Into<String>, source: impl Into<std::io::Error>) -> ServeError {
        ServeError { doing: doing.into(), source: source.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn what_is_printed_is_one_line_that_says_nothing_to_the_terminal() {
        let failure = Failure::bad("no file a\nb\u{1b}[2J");
        assert_eq!(failure.printable(), "no file a\u{fffd}b\u{fffd}[2J");
        assert_eq!(failure.to_string(), "no file a\nb\u{1b}[2J");
    }
}
