//! Who asks: what `X-Registry-Auth` carries, and what is kept in ~/.docker/config.json.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use crate::{RegistryError, Result};

/// What a registry is told about who asks. Docker's `AuthConfig`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "lowercase")]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: String,
    /// Name and password in one: base64 of `NAME:PASSWORD`.
    pub auth: String,
    /// A token that takes the password's place: with it, others are fetched.
    pub identitytoken: String,
    /// A token to be sent to the registry as it is.
    pub registrytoken: String,
    /// The registry that they are for.
    pub serveraddress: String,
}

impl std::fmt::Debug for Credentials {
    /// Without what must not be in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("serveraddress", &self.serveraddress)
            .finish_non_exhaustive()
    }
}

/// With and without padding, as Docker's clients have both.
const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

impl Credentials {
    /// A user's name and password.
    pub fn password(username: &str, password: &str) -> Credentials {
        Credentials { username: username.into(), password: password.into(), ..Credentials::default() }
    }

    /// Reads the header `X-Registry-Auth`: base64 of JSON. An empty one is nobody's.
    ///
    /// # Errors
    /// Neither.
    pub fn from_header(header: &str) -> Result<Credentials> {
        let header = header.trim();
        if header.is_empty() {
            return Ok(Credentials::default());
        }
        let invalid = |why: String| RegistryError::Invalid(format!("invalid X-Registry-Auth header: {why}"));
        let bytes = URL_SAFE
            .decode(header)
            .or_else(|_| STANDARD.decode(header))
            .map_err(|error| invalid(error.to_string()))?;
        let mut read: Credentials =
            serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        read.split_auth()?;
        Ok(read)
    }

    /// Puts what `auth` holds into the fields it stands for.
    ///
    /// # Errors
    /// It is not base64 of `NAME:PASSWORD`.
    pub fn split_auth(&mut self) -> Result<()> {
        if self.auth.is_empty() || !self.username.is_empty() {
            return Ok(());
        }
        let invalid = || RegistryError::Invalid("invalid auth: it is not base64 of NAME:PASSWORD".into());
        let bytes = STANDARD.decode(&self.auth).map_err(|_| invalid())?;
        let text = String::from_utf8(bytes).map_err(|_| invalid())?;
        let (name, password) = text.split_once(':').ok_or_else(invalid)?;
        self.username = name.to_owned();
        // Docker's own clients once padded with zeros.
        self.password = password.trim_matches('\0').to_owned();
        self.auth.clear();
        Ok(())
    }

    /// Whether they say nothing.
    pub fn is_empty(&self) -> bool {
        self.username.is_empty() && self.identitytoken.is_empty() && self.registrytoken.is_empty()
    }

    /// The value of `Authorization: Basic`, and of `auth` in config.json.
    pub(crate) fn basic(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.username, self.password))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_is_read_in_both_alphabets() {
        let json = br#"{"username":"u","password":"p?>","serveraddress":"localhost:5000","email":"x"}"#;
        for text in [STANDARD.encode(json), URL_SAFE.encode(json), STANDARD.encode(json).replace('=', "")] {
            let read = Credentials::from_header(&text).unwrap();
            assert_eq!((read.username.as_str(), read.password.as_str()), ("u", "p?>"));
        }
        assert!(Credentials::from_header("").unwrap().is_empty());
        assert!(Credentials::from_header(&STANDARD.encode("{}")).unwrap().is_empty());
        for bad in ["%", "e30x", &STANDARD.encode("[1]"), &STANDARD.encode(r#"{"auth":"x"}"#)] {
            assert!(Credentials::from_header(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_secret_is_in_what_is_logged() {
        let shown = format!("{:?}", Credentials::password("u", "secret"));
        assert!(!shown.contains("secret"), "{shown}");
    }

    proptest! {
        #[test]
        fn auth_reads_back(name in "[^:\0]{1,20}", password in "[^\0]{0,20}") {
            let made = Credentials::password(&name, &password);
            let mut read = Credentials { auth: made.basic(), ..Credentials::default() };
            read.split_auth().unwrap();
            prop_assert_eq!(read, made);
        }
    }
}
