//! What a registry has under a name, without fetching it.

use bulkhead_image::Reference;
use bulkhead_registry::{Credentials, Described, Purpose, Session};

use crate::Engine;
use crate::error::Result;

impl Engine {
    /// Asks the registry of `name` what that leads to.
    ///
    /// # Errors
    /// A name that is none; the registry's.
    pub fn describe(&self, name: &str, credentials: &Credentials) -> Result<Described> {
        let exact = Reference::parse_exact(name)?;
        let reference = match exact.digest() {
            Some(digest) => exact.with_digest(*digest),
            None => Reference::parse(name)?,
        };
        let settings = self.registry_settings()?;
        let session = Session::open(&settings, reference.domain(), credentials, Purpose::Pull)?;
        Ok(session.describe(&reference)?)
    }
}
