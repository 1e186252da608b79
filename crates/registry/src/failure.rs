//! What a broken line, or an answer that is an error, means: in Docker's words where it has some.

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use serde::Deserialize;
use ureq::http::StatusCode;

use crate::RegistryError;
use crate::address::{Origin, shown};
use crate::client::Answer;

/// No more of an error's text is read.
const LONGEST: u64 = 64 * 1024;

/// Nothing, or not all, came.
pub(crate) fn of_line(origin: &Origin, error: ureq::Error, patience: Duration) -> RegistryError {
    use ureq::Error;
    let cannot = |why: &str| format!("cannot reach the registry {origin}: {why}");
    match error {
        Error::Timeout(_) => RegistryError::Unavailable(cannot(&format!(
            "it was silent for {} seconds",
            patience.as_secs_f64()
        ))),
        Error::HostNotFound => RegistryError::Unreachable(cannot("no such host")),
        Error::ConnectProxyFailed(why) => {
            RegistryError::Unavailable(cannot(&format!("the proxy refuses: {}", shown(&why))))
        }
        Error::Rustls(error) => of_tls(origin, &error),
        Error::LargeResponseHeader(..) => {
            RegistryError::Broken(format!("the registry {origin} sends headers without end"))
        }
        Error::Protocol(error) => {
            RegistryError::Broken(format!("{origin} does not answer as a web server: {error}"))
        }
        Error::Io(error) => of_io(origin, &error, cannot),
        other => RegistryError::Unavailable(cannot(&other.to_string())),
    }
}

fn of_io(origin: &Origin, error: &io::Error, cannot: impl Fn(&str) -> String) -> RegistryError {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return of_tls(origin, error);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => RegistryError::Unreachable(cannot("connection refused")),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            RegistryError::Unreachable(cannot(&error.to_string()))
        }
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            RegistryError::Unavailable(cannot("it ended the connection in the middle"))
        }
        _ => RegistryError::Unavailable(cannot(&error.to_string())),
    }
}

fn of_tls(origin: &Origin, error: &rustls::Error) -> RegistryError {
    let host = origin.with_port();
    RegistryError::Broken(match error {
        rustls::Error::InvalidCertificate(why) => format!(
            "the certificate of {origin} is not believed: {why}: put the certificate of who signed it into /etc/docker/certs.d/{host}/ca.crt"
        ),
        rustls::Error::InvalidMessage(_) => format!(
            "{origin} does not speak TLS (http: server gave HTTP response to HTTPS client): if it is trusted without, name {host} in \"insecure-registries\" of /etc/bulkhead/daemon.json"
        ),
        other => format!("cannot speak TLS with {origin}: {other}"),
    })
}

/// The errors that a registry writes.
#[derive(Default, Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What an answer that is an error says.
pub(crate) fn of_answer(answer: Answer, origin: &Origin) -> RegistryError {
    let status = answer.response.status();
    let mut text = Vec::new();
    // What can be read of it is enough.
    let _ = answer.response.into_body().into_reader().take(LONGEST).read_to_end(&mut text);
    let errors: Errors = serde_json::from_slice(&text).unwrap_or_default();
    let first = errors.errors.first();
    let code = first.map_or("", |one| one.code.as_str());
    let said = match first {
        Some(one) => {
            // Docker's form: the code in words, and what is said of it.
            let code = shown(&one.code.to_lowercase().replace('_', " "));
            if one.message.is_empty() { code } else { format!("{code}: {}", shown(&one.message)) }
        }
        None => format!("{origin} answers {status}"),
    };
    match (code, status) {
        ("UNAUTHORIZED", _) => RegistryError::Unauthorized(said),
        ("DENIED", _) => RegistryError::Denied(said),
        (_, StatusCode::UNAUTHORIZED) => {
            RegistryError::Unauthorized("unauthorized: authentication required".into())
        }
        (_, StatusCode::FORBIDDEN) => RegistryError::Denied(said),
        (_, StatusCode::NOT_FOUND) => RegistryError::NotFound(said),
        (_, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => RegistryError::Unavailable(said),
        (_, status) if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
            RegistryError::Unavailable(said)
        }
        _ => RegistryError::Broken(said),
    }
}
