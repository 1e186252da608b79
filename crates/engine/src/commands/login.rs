//! `login`: whether a registry accepts credentials. Nothing is kept here: where they are kept is the client's affair.

use bulkhead_registry::{Credentials, Session};

use crate::Engine;
use crate::error::Result;

impl Engine {
    /// Shows `credentials` to the registry of `domain` (`docker.io`, `localhost:5000`). Gives a token that can be kept in the
    /// password's place, if the registry gives such.
    ///
    /// # Errors
    /// It does not accept them, or cannot be reached.
    pub fn login(&self, domain: &str, credentials: &Credentials) -> Result<Option<String>> {
        Ok(Session::login(&self.registry_settings()?, domain, credentials)?)
    }
}
