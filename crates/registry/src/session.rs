//! A registry by its name: the hosts behind it, one of which answers; its tags.

use bulkhead_image::Reference;
use serde::Deserialize;
use ureq::http::{Method, StatusCode, header};

use crate::client::{Client, content, header as text_of};
use crate::credentials::Credentials;
use crate::settings::Settings;
use crate::{RegistryError, Result, address, failure};

/// A page of a list of tags, and how many pages and tags there may be.
const PAGE: u64 = 4 << 20;
const PAGES: usize = 1_000;
const TAGS: usize = 100_000;

/// An open conversation with a registry.
#[derive(Debug)]
pub struct Session {
    clients: Vec<Client>,
}

/// What a conversation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To read.
    Pull,
    /// To write.
    Push,
}

impl Session {
    /// Finds the hosts that answer for the registry of `domain`.
    ///
    /// # Errors
    /// None does.
    pub fn open(
        settings: &Settings,
        domain: &str,
        credentials: &Credentials,
        purpose: Purpose,
    ) -> Result<Session> {
        let (mut clients, mut failed): (Vec<Client>, Option<RegistryError>) = (Vec::new(), None);
        for endpoint in settings.endpoints(domain, purpose == Purpose::Pull)? {
            // Of the registry's own hosts the first that answers; mirrors are asked before it.
            if clients.iter().any(|client| !client.endpoint.mirror) {
                break;
            }
            let client = Client::new(settings, endpoint, credentials);
            match ping(&client) {
                Ok(()) => clients.push(client),
                // What the first said is better than that nobody is there otherwise.
                Err(RegistryError::Unreachable(_)) if failed.is_some() => {}
                Err(error) => failed = Some(error),
            }
        }
        match (clients.is_empty(), failed) {
            (false, _) => Ok(Session { clients }),
            (true, Some(error)) => Err(error),
            (true, None) => Err(no_host(domain)),
        }
    }

    /// Shows the credentials to the registry of `domain`; gives a token that can be kept in the password's place, if the
    /// registry gives such.
    ///
    /// # Errors
    /// It does not accept them, or cannot be reached.
    pub fn login(settings: &Settings, domain: &str, credentials: &Credentials) -> Result<Option<String>> {
        let mut failed = None;
        for endpoint in settings.endpoints(domain, false)? {
            match Client::new(settings, endpoint, credentials).login() {
                Err(error @ RegistryError::Unreachable(_)) => {
                    failed.get_or_insert(error);
                }
                Err(error) if matches!(error, RegistryError::Broken(_)) || error.is_passing() => {
                    failed = Some(error);
                }
                other => return other,
            }
        }
        Err(failed.unwrap_or_else(|| no_host(domain)))
    }

    /// The registry's own host, for writing.
    pub(crate) fn own(&self) -> Result<&Client> {
        let own = self.clients.iter().find(|client| !client.endpoint.mirror);
        own.ok_or_else(|| RegistryError::Unavailable("the registry itself cannot be reached".into()))
    }

    /// Does `work` with the first host that can: a mirror that lacks something, or fails, is followed by the next host.
    pub(crate) fn try_each<'a, T>(
        &'a self,
        mut work: impl FnMut(&'a Client) -> Result<T>,
    ) -> Result<(&'a Client, T)> {
        let mut last = None;
        for client in &self.clients {
            match client.insist(|| work(client)) {
                Ok(done) => return Ok((client, done)),
                Err(error) if client.endpoint.mirror => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or(RegistryError::Cancelled))
    }

    /// All tags of a repository, in the registry's order.
    ///
    /// # Errors
    /// No such repository.
    pub fn tags(&self, reference: &Reference) -> Result<Vec<String>> {
        Ok(self.try_each(|client| list(client, reference))?.1)
    }
}

fn list(client: &Client, reference: &Reference) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        tags: Option<Vec<String>>,
    }
    let scopes = [scope(reference.path(), "pull")];
    let (mut tags, mut path) = (Vec::new(), format!("/v2/{}/tags/list", reference.path()));
    for _ in 0..PAGES {
        let answer = client
            .send(client.request(Method::GET, path.clone(), &scopes))
            .map_err(|error| of_repository(error, reference))?;
        if answer.response.status() != StatusCode::OK {
            return Err(of_repository(failure::of_answer(answer, &client.endpoint.origin), reference));
        }
        let next = text_of(answer.response.headers(), &header::LINK).and_then(next_page);
        let next = next.map(|next| address::join(&answer.origin, &answer.path, &next)).transpose()?;
        let bytes = content(answer, PAGE, "a list of tags", client)?;
        let page: Page = serde_json::from_slice(&bytes)
            .map_err(|error| client.broken(&format!("gives no list of tags: {error}")))?;
        tags.extend(page.tags.unwrap_or_default());
        if tags.len() > TAGS {
            return Err(client.broken(&format!("lists more than {TAGS} tags")));
        }
        match next {
            Some((origin, next)) if origin == client.endpoint.origin && next != path => path = next,
            Some(_) => return Err(client.broken("continues its list of tags nowhere")),
            None => return Ok(tags),
        }
    }
    Err(client.broken("has a list of tags without end"))
}

fn no_host(domain: &str) -> RegistryError {
    RegistryError::Invalid(format!("no host is known for the registry {domain}"))
}

/// Once more if it was silent or failed; a refused connection is an answer.
fn ping(client: &Client) -> Result<()> {
    match client.ping() {
        Err(RegistryError::Unavailable(_)) => {
            std::thread::sleep(client.settings.pause(0));
            client.ping()
        }
        other => other,
    }
}

/// What a token must allow.
pub(crate) fn scope(path: &str, actions: &str) -> String {
    format!("repository:{path}:{actions}")
}

/// The address of the next page in a header `Link` (RFC 8288).
fn next_page(link: &str) -> Option<String> {
    let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let parameters = parameters.replace(['"', ' '], "");
    parameters.split([';', ',']).any(|one| one == "rel=next").then(|| address.to_owned())
}

/// Docker's words for a repository that one may not see.
pub(crate) fn of_repository(error: RegistryError, reference: &Reference) -> RegistryError {
    let name = reference.familiar_name();
    let refused = |said: &str| {
        format!(
            "pull access denied for {name}, repository does not exist or may require 'docker login': {said}"
        )
    };
    match error {
        RegistryError::NotFound(said) if said.starts_with("name unknown") => {
            RegistryError::NotFound(refused(&said))
        }
        RegistryError::Denied(said) => RegistryError::Denied(refused(&said)),
        RegistryError::Unauthorized(said) if !said.contains("incorrect") => {
            RegistryError::Unauthorized(refused(&said))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::next_page;

    #[test]
    fn pages_are_told() {
        let link = "</v2/a/tags/list?last=b&n=1>; rel=\"next\"";
        assert_eq!(next_page(link).as_deref(), Some("/v2/a/tags/list?last=b&n=1"));
        assert_eq!(next_page("</x>; rel=\"prev\""), None);
        assert_eq!(next_page("rubbish"), None);
    }
}
