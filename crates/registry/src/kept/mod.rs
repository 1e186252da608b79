//! Credentials that are kept: ~/.docker/config.json, and the helpers that it names (docker-login(1), "Credential store").
//!
//! The file is Docker's, shared with its other clients: what is in it and not known here stays in it. It is replaced whole,
//! readable for its owner alone.

mod helper;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::credentials::Credentials;
use crate::settings::{HUB, HUB_KEY, credentials_key};
use crate::{RegistryError, Result};
use helper::Helper;

/// Longer files are not read.
const LONGEST: u64 = 4 << 20;

/// The open file.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    document: Map<String, Value>,
}

/// Where credentials were put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Into the file, where whoever reads it reads them.
    File(PathBuf),
    /// To a helper.
    Helper(String),
}

impl Kept {
    /// The file of this process's user: in `DOCKER_CONFIG`, or in `.docker` of the home folder.
    ///
    /// # Errors
    /// It cannot be read, or is no JSON object.
    pub fn open() -> Result<Kept> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")));
        Kept::read(&folder.unwrap_or_else(|| "/root/.docker".into()).join("config.json"))
    }

    /// That file.
    ///
    /// # Errors
    /// It cannot be read, or is no JSON object.
    pub fn read(path: &Path) -> Result<Kept> {
        let failed = |why: String| RegistryError::Invalid(format!("cannot read {}: {why}", path.display()));
        // A link stays one: what it leads to is replaced.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut text = Vec::new();
        match std::fs::File::open(&path) {
            Ok(file) => file.take(LONGEST).read_to_end(&mut text).map_err(|e| failed(e.to_string()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(failed(error.to_string())),
        };
        let document = match text.trim_ascii() {
            [] => Map::new(),
            text => serde_json::from_slice(text).map_err(|error| failed(error.to_string()))?,
        };
        Ok(Kept { path, document })
    }

    /// What is kept for the registry of `domain`; empty if nothing is.
    ///
    /// # Errors
    /// A helper fails, or what is kept does not read.
    pub fn get(&self, domain: &str) -> Result<Credentials> {
        let key = credentials_key(domain);
        if let Some(helper) = self.helper(key)? {
            return helper.get(key);
        }
        let auths = self.document.get("auths").and_then(Value::as_object);
        let entry = auths.and_then(|auths| {
            let same_host = || auths.iter().find(|(name, _)| host_of(name) == host_of(key));
            auths.get(key).or_else(|| same_host().map(|(_, entry)| entry))
        });
        let Some(entry) = entry else { return Ok(Credentials::default()) };
        let invalid = |why: String| {
            let path = self.path.display();
            RegistryError::Invalid(format!("the credentials for {key} in {path} do not read: {why}"))
        };
        if !entry.is_object() {
            return Err(invalid("no object".into()));
        }
        let mut credentials: Credentials =
            serde_json::from_value(entry.clone()).map_err(|error| invalid(error.to_string()))?;
        credentials.split_auth().map_err(|error| invalid(error.to_string()))?;
        Ok(credentials)
    }

    /// Keeps `credentials` for the registry of `domain`.
    ///
    /// # Errors
    /// A helper fails, or the file cannot be written.
    pub fn put(&mut self, domain: &str, credentials: &Credentials) -> Result<Place> {
        let key = credentials_key(domain);
        let helper = self.helper(key)?;
        let mut entry = Map::new();
        match &helper {
            Some(helper) => helper.store(key, credentials)?,
            None => {
                // With a token that lasts, the password is not kept.
                let kept = match credentials.identitytoken.as_str() {
                    "" => credentials.basic(),
                    token => {
                        entry.insert("identitytoken".into(), token.into());
                        Credentials::password(&credentials.username, "").basic()
                    }
                };
                entry.insert("auth".into(), kept.into());
            }
        }
        let auths = self.document.entry("auths").or_insert_with(|| Value::Object(Map::new()));
        if !auths.is_object() {
            *auths = Value::Object(Map::new());
        }
        if let Some(auths) = auths.as_object_mut() {
            auths.insert(key.to_owned(), Value::Object(entry));
        }
        self.write()?;
        Ok(match helper {
            Some(helper) => Place::Helper(helper.name()),
            None => Place::File(self.path.clone()),
        })
    }

    /// Forgets those for the registry of `domain`. Gives whether there were any.
    ///
    /// # Errors
    /// A helper fails, or the file cannot be written.
    pub fn erase(&mut self, domain: &str) -> Result<bool> {
        let key = credentials_key(domain);
        let mut there = false;
        if let Some(helper) = self.helper(key)? {
            there = !helper.get(key)?.is_empty();
            if there {
                helper.erase(key)?;
            }
        }
        let before = self.document.clone();
        if let Some(auths) = self.document.get_mut("auths").and_then(Value::as_object_mut) {
            auths.retain(|name, _| host_of(name) != host_of(key));
        }
        if self.document != before {
            self.write()?;
            there = true;
        }
        Ok(there)
    }

    /// Who keeps the credentials under `key`, if not the file.
    fn helper(&self, key: &str) -> Result<Option<Helper>> {
        let own = self.document.get("credHelpers").and_then(|helpers| {
            let helpers = helpers.as_object()?;
            helpers.get(key).or_else(|| helpers.get(host_of(key)))
        });
        let name = own.or_else(|| self.document.get("credsStore")).and_then(Value::as_str);
        name.filter(|name| !name.is_empty()).map(Helper::named).transpose()
    }

    fn write(&self) -> Result<()> {
        let path = self.path.display();
        let failed = |why: std::io::Error| RegistryError::Invalid(format!("cannot write {path}: {why}"));
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let mut text = serde_json::to_vec_pretty(&self.document).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        let new = folder.join(format!(".config.json.{}", std::process::id()));
        // Left by a process that had our number.
        let _ = std::fs::remove_file(&new);
        let written = std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| std::fs::rename(&new, &self.path));
        written.inspect_err(|_| drop(std::fs::remove_file(&new))).map_err(failed)
    }
}

/// The host in a key, which may be an address.
fn host_of(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    rest.split('/').next().unwrap_or_default()
}

/// The registry that a person names to `login`: the hub if none, and of an address the host.
pub fn domain_of(server: Option<&str>) -> String {
    let host = host_of(server.unwrap_or_default());
    if credentials_key(host) == HUB_KEY { HUB.to_owned() } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn what_is_put_comes_back_and_the_rest_stays() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, path) =
            kept(r#"{"psFormat": "table", "auths": {"other:1": {"auth": "YTpi"}}, "x": [1, {"y": null}]}"#);
        let mut file = Kept::read(&path).unwrap();
        file.put("localhost:5000", &Credentials::password("u", "p:w")).unwrap();
        let with_token = Credentials { identitytoken: "t".into(), ..Credentials::password("u", "p") };
        file.put("docker.io", &with_token).unwrap();
        let mut file = Kept::read(&path).unwrap();
        assert_eq!(file.get("localhost:5000").unwrap(), Credentials::password("u", "p:w"));
        assert_eq!(file.get("other:1").unwrap(), Credentials::password("a", "b"));
        let hub = file.get("docker.io").unwrap();
        assert_eq!(
            (hub.username.as_str(), hub.password.as_str(), hub.identitytoken.as_str()),
            ("u", "", "t")
        );
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("psFormat") && text.contains(HUB_KEY) && text.contains(r#""y": null"#),
            "{text}"
        );
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(file.erase("localhost:5000").unwrap());
        assert!(!file.erase("localhost:5000").unwrap());
        assert!(Kept::read(&path).unwrap().get("localhost:5000").unwrap().is_empty());
    }

    #[test]
    fn keys_are_found_as_older_clients_wrote_them() {
        let (_folder, path) = kept(
            r#"{"auths": {"https://r.example/v1/": {"auth": "YTpi"}, "bad": {"auth": "?"}, "list": [1]}}"#,
        );
        let file = Kept::read(&path).unwrap();
        assert_eq!(file.get("r.example").unwrap(), Credentials::password("a", "b"));
        assert!(file.get("example").unwrap().is_empty());
        assert!(file.get("bad").is_err() && file.get("list").is_err());
        assert_eq!(domain_of(Some("https://index.docker.io/v1/")), "docker.io");
        assert_eq!(domain_of(None), "docker.io");
        assert_eq!(domain_of(Some("http://localhost:5000/")), "localhost:5000");
    }

    #[test]
    fn files_that_are_none_are_refused_and_none_is_empty() {
        for bad in ["[]", "{", "5"] {
            let (_folder, path) = kept(bad);
            assert!(Kept::read(&path).is_err(), "{bad}");
        }
        assert!(Kept::read(Path::new("/nonexistent/config.json")).unwrap().get("x").unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn any_auths_are_read_or_refused(auth in ".{0,30}", key in "[a-z.:/]{0,20}") {
            let text = serde_json::json!({ "auths": { key.as_str(): { "auth": auth } } }).to_string();
            let (_folder, path) = kept(&text);
            let _ = Kept::read(&path).unwrap().get(&key);
        }
    }
}
