//! One registry, asked by HTTP: who is told who we are, where redirections may lead, and what an answer may cost.
//!
//! Credentials go to the host that was named and to no other. A redirection is followed for what is only read, a few times,
//! and never from https to http. An answer is read up to a bound; a silence ends.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::thread;

use ureq::http::{self, HeaderMap, HeaderName, Method, Response, StatusCode};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, SendBody};

use crate::address::{self, Origin};
use crate::auth::Auth;
use crate::credentials::Credentials;
use crate::settings::{Endpoint, Settings};
use crate::{RegistryError, Result, certificates, failure};

/// Redirections from one request to the next.
const HOPS: usize = 5;
/// How often the same is tried.
pub(crate) const ATTEMPTS: u32 = 5;
/// All headers of an answer.
const HEADERS: usize = 64 * 1024;

/// A registry at one address.
pub(crate) struct Client {
    pub(crate) settings: Settings,
    pub(crate) endpoint: Endpoint,
    pub(crate) credentials: Credentials,
    agents: Mutex<HashMap<Origin, Agent>>,
    auth: Auth,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What is sent.
pub(crate) enum Content<'a> {
    Nothing,
    Bytes(&'a [u8]),
    /// Of a length that is not known, and only once.
    Stream(&'a mut dyn Read),
}

/// A question.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) origin: Origin,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) content: Content<'a>,
    /// What a token for it must allow: `repository:NAME:pull`.
    pub(crate) scopes: &'a [String],
}

/// An answer, and who gave it in the end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<Body>,
    pub(crate) origin: Origin,
    pub(crate) path: String,
}

impl Client {
    pub(crate) fn new(settings: &Settings, endpoint: Endpoint, credentials: &Credentials) -> Client {
        // A mirror is another host than the one that they are for.
        let credentials = if endpoint.mirror { Credentials::default() } else { credentials.clone() };
        Client {
            settings: settings.clone(),
            endpoint,
            credentials,
            agents: Mutex::default(),
            auth: Auth::default(),
        }
    }

    /// A request of this registry.
    pub(crate) fn request<'a>(&self, method: Method, path: String, scopes: &'a [String]) -> Request<'a> {
        let origin = self.endpoint.origin.clone();
        Request { method, origin, path, headers: Vec::new(), content: Content::Nothing, scopes }
    }

    /// Asks, with what the registry wants to know of who asks, and follows redirections.
    pub(crate) fn send(&self, request: Request<'_>) -> Result<Answer> {
        let Request { method, mut origin, mut path, headers, mut content, scopes } = request;
        let (mut hops, mut asked_again) = (0, false);
        loop {
            let ours = origin == self.endpoint.origin;
            let mut built = http::Request::builder().method(method.clone()).uri(origin.url(&path));
            for (name, value) in &headers {
                built = built.header(name, value);
            }
            if ours && let Some(authorization) = self.auth.header(self, scopes)? {
                built = built.header(http::header::AUTHORIZATION, authorization);
            }
            let response = self.run(&origin, built, &mut content)?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && ours && !asked_again {
                asked_again = true;
                if self.auth.challenged(response.headers(), scopes, self)? {
                    if matches!(content, Content::Stream(_)) {
                        return Err(RegistryError::Unavailable(
                            "the registry wants to be asked again".into(),
                        ));
                    }
                    continue;
                }
            }
            let location = header(response.headers(), &http::header::LOCATION).map(str::to_owned);
            let Some(location) = location.filter(|_| status.is_redirection()) else {
                return Ok(Answer { response, origin, path });
            };
            if !matches!(method, Method::GET | Method::HEAD) {
                return Err(self.broken("redirects what is sent to it, which is not followed"));
            }
            let (next, next_path) = address::join(&origin, &path, &location)?;
            if origin.https && !next.https {
                return Err(self.broken(&format!("redirects from https to {next}, which is not followed")));
            }
            hops += 1;
            if hops > HOPS {
                return Err(self.broken("redirects again and again"));
            }
            (origin, path) = (next, next_path);
        }
    }

    /// One request and its answer, whatever it is.
    pub(crate) fn run(
        &self,
        origin: &Origin,
        built: http::request::Builder,
        content: &mut Content<'_>,
    ) -> Result<Response<Body>> {
        let agent = self.agent(origin)?;
        let bad = |e: http::Error| RegistryError::Broken(format!("cannot ask {origin}: {e}"));
        let outcome = match content {
            Content::Nothing => agent.run(built.body(()).map_err(bad)?),
            Content::Bytes(bytes) => agent.run(built.body(*bytes).map_err(bad)?),
            Content::Stream(reader) => agent.run(built.body(SendBody::from_reader(reader)).map_err(bad)?),
        };
        outcome.map_err(|error| failure::of_line(origin, error, self.settings.patience))
    }

    fn agent(&self, origin: &Origin) -> Result<Agent> {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(origin) {
            return Ok(agent.clone());
        }
        let patience = self.settings.patience;
        let endpoint = match *origin == self.endpoint.origin {
            true => self.endpoint.clone(),
            false => {
                let verify = !self.settings.is_insecure(origin);
                Endpoint { origin: origin.clone(), verify, mirror: false }
            }
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(self.settings.proxies.of(origin))
            .tls_config(certificates::tls(&self.settings, &endpoint)?)
            .user_agent(concat!("bulkhead/", env!("CARGO_PKG_VERSION")))
            .max_response_header_size(HEADERS)
            .timeout_resolve(Some(patience))
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .timeout_per_write(Some(patience))
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::new(), self.settings.names.clone());
        agents.insert(origin.clone(), agent.clone());
        Ok(agent)
    }

    /// Does `work` again while it fails in a way that passes.
    pub(crate) fn insist<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        let mut attempt = 0;
        loop {
            match work() {
                Err(error) if error.is_passing() && attempt + 1 < ATTEMPTS => {
                    thread::sleep(self.settings.pause(attempt));
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// What is wrong with the registry: `what` completes its name.
    pub(crate) fn broken(&self, what: &str) -> RegistryError {
        RegistryError::Broken(format!("the registry {} {what}", self.endpoint.origin))
    }

    /// Asks whether this is a registry at all, and what it wants to know; so the right one of several hosts is found.
    pub(crate) fn ping(&self) -> Result<()> {
        let (origin, path) = (self.endpoint.origin.clone(), "/v2/".to_owned());
        let built = http::Request::builder().method(Method::GET).uri(origin.url(&path));
        let response = self.run(&origin, built, &mut Content::Nothing)?;
        match response.status() {
            // Who asks is looked at where something is asked for: a token for nothing may be refused where one for a
            // repository is not.
            StatusCode::UNAUTHORIZED => self.auth.challenged(response.headers(), &[], self).map(drop),
            StatusCode::NOT_FOUND => Err(self.broken("is none: it has no /v2/")),
            StatusCode::OK | StatusCode::FORBIDDEN => Ok(()),
            status if status.is_redirection() => Ok(()),
            _ => Err(failure::of_answer(Answer { response, origin, path }, &self.endpoint.origin)),
        }
    }

    /// Shows the credentials; gives a token that can take the password's place, if there is one.
    pub(crate) fn login(&self) -> Result<Option<String>> {
        self.auth.ask_for_identity();
        let answer = self.send(self.request(Method::GET, "/v2/".into(), &[]))?;
        match answer.response.status() {
            StatusCode::OK => Ok(self.auth.identity_token()),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(RegistryError::Unauthorized(
                format!("login attempt to {} failed with status: {status}", self.endpoint.origin.url("/v2/")),
            )),
            _ => Err(failure::of_answer(answer, &self.endpoint.origin)),
        }
    }
}

/// A header as text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reads an answer's content; more than `limit` bytes are an error.
pub(crate) fn content(answer: Answer, limit: u64, what: &str, client: &Client) -> Result<Vec<u8>> {
    let Answer { response, origin, .. } = answer;
    let mut bytes = Vec::new();
    let too_large = || client.broken(&format!("sends more than {limit} bytes as {what}"));
    if response.body().content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    // One more than allowed: so it is known whether there are more. A limit of ureq's own would be another.
    let reader = response.into_body().into_with_config().limit(u64::MAX).reader();
    reader
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failure::of_line(&origin, error.into(), client.settings.patience))?;
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(bytes)
}
