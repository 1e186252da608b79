//! Showing who asks, the way that the registry wants it: name and password, or a token that a token server gives for
//! them (Docker's token authentication specification, and its OAuth2 form for tokens that last).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::http::{self, HeaderMap, Method, StatusCode};

use crate::address::{self, encoded};
use crate::challenge::Challenge;
use crate::client::{Answer, Client, Content, content};
use crate::{RegistryError, Result, failure};

/// A token server's answer.
const LONGEST: u64 = 1 << 20;
/// How long a token is good for whose server does not say (the specification's), and how much earlier it is renewed.
const USUAL: u64 = 60;
const EARLIER: u64 = 5;
/// As whom token servers know us. Docker Hub gives lasting tokens to clients that it knows.
const CLIENT: &str = "docker";

#[derive(Default)]
pub(crate) struct Auth {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    how: How,
    /// By what they allow.
    tokens: HashMap<String, Token>,
    for_login: bool,
    identity: Option<String>,
}

#[derive(Clone, Default)]
enum How {
    #[default]
    Unasked,
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

struct Token {
    value: String,
    until: Instant,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Given {
    token: String,
    access_token: String,
    expires_in: Option<u64>,
    refresh_token: String,
}

impl Auth {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on tokens are asked for in a way that offers one that lasts.
    pub(crate) fn ask_for_identity(&self) {
        self.state().for_login = true;
    }

    pub(crate) fn identity_token(&self) -> Option<String> {
        self.state().identity.clone()
    }

    /// The value of `Authorization` for a request that needs `scopes`.
    pub(crate) fn header(&self, client: &Client, scopes: &[String]) -> Result<Option<String>> {
        let credentials = &client.credentials;
        if !credentials.registrytoken.is_empty() {
            return Ok(Some(format!("Bearer {}", credentials.registrytoken)));
        }
        // Held while a token is fetched: others that need the same wait for it.
        let mut state = self.state();
        match state.how.clone() {
            How::Unasked => Ok(None),
            How::Basic if credentials.username.is_empty() => Ok(None),
            How::Basic => Ok(Some(format!("Basic {}", credentials.basic()))),
            How::Bearer { realm, service } => {
                let key = scopes.join(" ");
                if let Some(token) = state.tokens.get(&key).filter(|token| token.until > Instant::now()) {
                    return Ok(Some(format!("Bearer {}", token.value)));
                }
                let token = state.fetch(client, &realm, service.as_deref(), scopes)?;
                let header = format!("Bearer {}", token.value);
                state.tokens.insert(key, token);
                Ok(Some(header))
            }
        }
    }

    /// The registry refused a request and says what it wants. Gives whether it is worth asking again.
    pub(crate) fn challenged(&self, headers: &HeaderMap, scopes: &[String], client: &Client) -> Result<bool> {
        let mut all = Vec::new();
        for header in headers.get_all(http::header::WWW_AUTHENTICATE) {
            all.extend(header.to_str().map(Challenge::parse).unwrap_or_default());
        }
        let mut state = self.state();
        let bearer = all.iter().find_map(|challenge| match challenge {
            Challenge::Bearer { realm, service } => Some((realm.clone(), service.clone())),
            Challenge::Basic => None,
        });
        if let Some((realm, service)) = bearer {
            // A token that was refused is not sent a second time.
            state.tokens.remove(&scopes.join(" "));
            state.how = How::Bearer { realm, service };
            return Ok(true);
        }
        let basic = all.contains(&Challenge::Basic);
        let first = !matches!(state.how, How::Basic);
        if basic {
            state.how = How::Basic;
        }
        Ok(basic && first && !client.credentials.username.is_empty())
    }
}

impl State {
    fn fetch(
        &mut self,
        client: &Client,
        realm: &str,
        service: Option<&str>,
        scopes: &[String],
    ) -> Result<Token> {
        let (origin, path) = address::read(realm)?;
        let credentials = &client.credentials;
        // A registry may not have passwords sent in the clear that it could only have been given in secret.
        if !origin.https && client.endpoint.origin.https && !client.settings.is_insecure(&origin) {
            return Err(client.broken(&format!("wants tokens fetched from {origin}, without TLS")));
        }
        let mut fields: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
        let known = !credentials.username.is_empty();
        let all = scopes.join(" ");
        let response = if credentials.identitytoken.is_empty() {
            fields.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
            if known {
                fields.push(("account", &credentials.username));
            }
            if self.for_login {
                fields.extend([("client_id", CLIENT), ("offline_token", "true")]);
            }
            let path =
                if fields.is_empty() { path.clone() } else { address::with_query(&path, &query(&fields)) };
            let mut built = http::Request::builder().method(Method::GET).uri(origin.url(&path));
            if known {
                built = built.header(http::header::AUTHORIZATION, format!("Basic {}", credentials.basic()));
            }
            client.run(&origin, built, &mut Content::Nothing)?
        } else {
            fields.extend([
                ("grant_type", "refresh_token"),
                ("refresh_token", &credentials.identitytoken),
                ("client_id", CLIENT),
            ]);
            if !scopes.is_empty() {
                fields.push(("scope", &all));
            }
            let body = query(&fields);
            let built = http::Request::builder()
                .method(Method::POST)
                .uri(origin.url(&path))
                .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            client.run(&origin, built, &mut Content::Bytes(body.as_bytes()))?
        };
        let status = response.status();
        let answer = Answer { response, origin: origin.clone(), path };
        if status != StatusCode::OK {
            return Err(match failure::of_answer(answer, &origin) {
                RegistryError::Unauthorized(_) if !credentials.is_empty() => {
                    RegistryError::Unauthorized("unauthorized: incorrect username or password".into())
                }
                other => other,
            });
        }
        let bytes = content(answer, LONGEST, "a token", client)?;
        let none =
            |why: String| RegistryError::Broken(format!("the token server {origin} gives no token{why}"));
        let given: Given = serde_json::from_slice(&bytes).map_err(|error| none(format!(": {error}")))?;
        let value = if given.token.is_empty() { given.access_token } else { given.token };
        if value.is_empty() || !value.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
            return Err(none(String::new()));
        }
        if !given.refresh_token.is_empty() && self.for_login {
            self.identity = Some(given.refresh_token);
        }
        let seconds = given.expires_in.unwrap_or(USUAL).clamp(USUAL, 24 * 3600) - EARLIER;
        Ok(Token { value, until: Instant::now() + Duration::from_secs(seconds) })
    }
}

fn query(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}
