//! Credential helpers: programs `docker-credential-NAME`, which are asked by their standard input (the protocol of
//! docker-credential-helpers).

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::credentials::Credentials;
use crate::{RegistryError, Result};

/// No answer is longer.
const LONGEST: u64 = 1 << 20;
/// The user's name that says that the secret is a token.
const TOKEN: &str = "<token>";
/// What a helper says that knows nothing.
const NOTHING: &str = "credentials not found";

#[derive(Debug)]
pub(super) struct Helper(String);

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    #[serde(rename = "ServerURL")]
    server_url: String,
    username: String,
    secret: String,
}

impl Helper {
    /// A name is part of a program's: it leads nowhere else.
    pub(super) fn named(name: &str) -> Result<Helper> {
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
            return Err(RegistryError::Invalid(format!("{name:?} is no name of a credential helper")));
        }
        Ok(Helper(format!("docker-credential-{name}")))
    }

    pub(super) fn name(&self) -> String {
        self.0.clone()
    }

    pub(super) fn get(&self, key: &str) -> Result<Credentials> {
        let (worked, said) = self.ask("get", key.as_bytes())?;
        if !worked && said.contains(NOTHING) {
            return Ok(Credentials::default());
        }
        if !worked {
            return Err(self.failed(&said));
        }
        // What it said may hold the secret, and so is not shown.
        let entry: Entry =
            serde_json::from_str(&said).map_err(|_| self.failed("its answer does not read"))?;
        Ok(match entry.username.as_str() {
            TOKEN => Credentials { identitytoken: entry.secret, ..Credentials::default() },
            name => Credentials::password(name, &entry.secret),
        })
    }

    pub(super) fn store(&self, key: &str, credentials: &Credentials) -> Result<()> {
        let (username, secret) = match credentials.identitytoken.as_str() {
            "" => (credentials.username.clone(), credentials.password.clone()),
            token => (TOKEN.to_owned(), token.to_owned()),
        };
        let entry = Entry { server_url: key.to_owned(), username, secret };
        let text = serde_json::to_vec(&entry).map_err(|error| self.failed(&error.to_string()))?;
        let (worked, said) = self.ask("store", &text)?;
        if worked { Ok(()) } else { Err(self.failed(&said)) }
    }

    pub(super) fn erase(&self, key: &str) -> Result<()> {
        let (worked, said) = self.ask("erase", key.as_bytes())?;
        if worked { Ok(()) } else { Err(self.failed(&said)) }
    }

    /// Gives whether it succeeded, and what it said.
    fn ask(&self, what: &str, input: &[u8]) -> Result<(bool, String)> {
        let mut child = Command::new(&self.0)
            .arg(what)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| self.failed(&error.to_string()))?;
        if let Some(mut to) = child.stdin.take() {
            // One that does not read says why when it ends.
            let _ = to.write_all(input);
        }
        let mut said = Vec::new();
        if let Some(from) = child.stdout.take() {
            from.take(LONGEST).read_to_end(&mut said).map_err(|error| self.failed(&error.to_string()))?;
        }
        let status = child.wait().map_err(|error| self.failed(&error.to_string()))?;
        Ok((status.success(), String::from_utf8_lossy(&said).trim().to_owned()))
    }

    fn failed(&self, why: &str) -> RegistryError {
        RegistryError::Invalid(format!(
            "the credential helper {} failed: {}",
            self.0,
            crate::address::shown(why)
        ))
    }
}
