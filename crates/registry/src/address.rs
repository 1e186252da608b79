//! Web addresses, as far as registries need them: who is asked (scheme, host, port), and where a redirection leads.

use ureq::http::Uri;

use crate::{RegistryError, Result};

/// Whom a request goes to. Credentials are for one of these and for no other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) https: bool,
    /// In lower case; of an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    /// The origin of a host as references name it: `HOST[:PORT]`.
    pub(crate) fn of_host(https: bool, host: &str) -> Result<Origin> {
        let scheme = if https { "https" } else { "http" };
        Ok(read(&format!("{scheme}://{host}/"))?.0)
    }

    pub(crate) fn url(&self, path_and_query: &str) -> String {
        format!("{self}{path_and_query}")
    }

    /// The host with its port, as settings name it.
    pub(crate) fn with_port(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    pub(crate) fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scheme, usual) = if self.https { ("https", 443) } else { ("http", 80) };
        match self.port == usual {
            true => write!(f, "{scheme}://{}", self.bracketed()),
            false => write!(f, "{scheme}://{}", self.with_port()),
        }
    }
}

/// Reads a whole address; gives its origin and its path with the query. One that carries a user's name is refused.
pub(crate) fn read(url: &str) -> Result<(Origin, String)> {
    let invalid = || RegistryError::Broken(format!("\"{}\" is no address of a web server", shown(url)));
    let uri: Uri = url.parse().map_err(|_| invalid())?;
    let https = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(invalid()),
    };
    let authority = uri.authority().ok_or_else(invalid)?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if authority.as_str().contains('@') || host.is_empty() {
        return Err(invalid());
    }
    let rest = authority.as_str().rsplit_once(']').map_or(authority.as_str(), |(_, rest)| rest);
    let port = match rest.rsplit_once(':') {
        None => {
            if https {
                443
            } else {
                80
            }
        }
        Some((_, port)) => port.parse().map_err(|_| invalid())?,
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok((Origin { https, host, port }, path))
}

/// Where `location`, as an answer from `origin` about `path` gives it, leads.
pub(crate) fn join(origin: &Origin, path: &str, location: &str) -> Result<(Origin, String)> {
    let location = location.split('#').next().unwrap_or_default();
    if location.contains("://") && !location.starts_with(['/', '?']) {
        return read(location);
    }
    if let Some(rest) = location.strip_prefix("//") {
        return read(&format!("{}://{rest}", if origin.https { "https" } else { "http" }));
    }
    let path = path.split('?').next().unwrap_or_default();
    let whole = match location.chars().next() {
        Some('/') => location.to_owned(),
        Some('?') => format!("{path}{location}"),
        _ => format!("{}/{location}", path.rsplit_once('/').map_or("", |(folder, _)| folder)),
    };
    read(&origin.url(&whole))
}

/// Adds to the query of a path.
pub(crate) fn with_query(path: &str, query: &str) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}{query}")
}

/// A value of a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The beginning of a text that somebody else wrote, fit for a message.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::{Origin, encoded, join, read, with_query};
    use proptest::prelude::*;

    fn origin(text: &str) -> Origin {
        read(text).unwrap().0
    }

    #[test]
    fn ports_and_case_make_no_other_origin() {
        assert_eq!(origin("https://A.example"), origin("https://a.example:443/x"));
        assert_ne!(origin("https://a.example"), origin("http://a.example:443"));
        assert_ne!(origin("https://a.example"), origin("https://a.example:444"));
        assert_eq!(origin("http://[::1]:5000/").url("/v2/"), "http://[::1]:5000/v2/");
        assert_eq!(Origin::of_host(true, "[::1]:5000").unwrap().host, "::1");
        for bad in ["", "ftp://a/", "https://", "https://user@a/", "https://a:x/", "/v2/", "https://a:99999/"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn locations_are_joined_as_browsers_do() {
        let here = origin("https://r.example:5000");
        let at = |location: &str| {
            let (origin, path) = join(&here, "/v2/a/blobs/x?y=1", location).unwrap();
            origin.url(&path)
        };
        assert_eq!(at("https://cdn.example/b?c=d#e"), "https://cdn.example/b?c=d");
        assert_eq!(at("//cdn.example/b"), "https://cdn.example/b");
        assert_eq!(at("/b?u=https://x/"), "https://r.example:5000/b?u=https://x/");
        assert_eq!(at("b"), "https://r.example:5000/v2/a/blobs/b");
        assert_eq!(at("?z=2"), "https://r.example:5000/v2/a/blobs/x?z=2");
        assert!(join(&here, "/", "https://user:word@evil.example/").is_err());
    }

    #[test]
    fn queries_are_built() {
        assert_eq!(with_query("/a", "b=c"), "/a?b=c");
        assert_eq!(with_query("/a?x", "b=c"), "/a?x&b=c");
        assert_eq!(encoded("a b:c/ü"), "a%20b%3Ac%2F%C3%BC");
    }

    proptest! {
        #[test]
        fn any_location_is_read_or_refused(location in ".{0,60}") {
            if let Ok((origin, path)) = join(&origin("https://r.example"), "/v2/", &location) {
                prop_assert_eq!(read(&origin.url(&path)).unwrap(), (origin, path));
            }
        }
    }
}
