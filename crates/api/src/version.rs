//! Which version of the API a request speaks: `/v1.43/containers/json` is `/containers/json` by version 1.43.
//!
//! A path without a version means the newest. What is asked by a version that is newer than ours, or too old, is refused
//! in Docker's words: clients read the numbers in them.

use axum::http::Uri;

use crate::failure::Failure;

/// A version of the API: the major number is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion(pub(crate) u32);

impl ApiVersion {
    /// The newest that is spoken here.
    pub(crate) const NEWEST: ApiVersion = ApiVersion(53);
    /// The oldest.
    pub(crate) const OLDEST: ApiVersion = ApiVersion(24);
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "1.{}", self.0)
    }
}

/// The version that a request's path names, and its path without that.
pub(crate) fn split(uri: &Uri) -> Result<(ApiVersion, Uri), Failure> {
    let whole = uri.path_and_query().map_or("/", |whole| whole.as_str());
    let named = whole.strip_prefix("/v").and_then(|rest| {
        let (version, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (major, minor) = version.split_once('.')?;
        let numbers = (major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?);
        Some((version, numbers, rest))
    });
    let Some((version, (major, minor), rest)) = named else {
        return Ok((ApiVersion::NEWEST, uri.clone()));
    };
    let asked = ApiVersion(minor);
    if major > 1 || (major == 1 && asked > ApiVersion::NEWEST) {
        return Err(Failure::bad(format!(
            "client version {version} is too new. Maximum supported API version is {}",
            ApiVersion::NEWEST
        )));
    }
    if major < 1 || asked < ApiVersion::OLDEST {
        return Err(Failure::bad(format!(
            "client version {version} is too old. Minimum supported API version is {}, please upgrade your client \
             to a newer version",
            ApiVersion::OLDEST
        )));
    }
    let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    let uri = rest.parse().map_err(|error| Failure::bad(format!("invalid path {rest}: {error}")))?;
    Ok((asked, uri))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ApiVersion, split};

    #[test]
    fn versions_are_read_and_taken_off() {
        for (path, version, rest) in [
            ("/v1.43/containers/json?all=1", 43, "/containers/json?all=1"),
            ("/containers/json", 53, "/containers/json"),
            ("/version", 53, "/version"),
            ("/v1.24", 24, "/"),
            ("/v1.53?x=1", 53, "/?x=1"),
            ("/volumes", 53, "/volumes"),
            ("/v1.x/info", 53, "/v1.x/info"),
        ] {
            let (spoken, uri) = split(&path.parse().unwrap()).unwrap();
            assert_eq!((spoken, uri.to_string().as_str()), (ApiVersion(version), rest), "{path}");
        }
        for path in ["/v1.54/info", "/v2.0/info", "/v1.23/info", "/v0.30/info", "/v1.4294967295/info"] {
            assert!(split(&path.parse().unwrap()).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_breaks_it(path in "/v?[0-9./?a-z%]{0,20}") {
            if let Ok(uri) = path.parse() {
                let _ = split(&uri);
            }
        }
    }
}
