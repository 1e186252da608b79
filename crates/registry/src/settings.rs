//! What this machine's administrator says about registries, and what holds without a word.
//!
//! Which hosts stand behind a name, and in what order they are tried, is Docker's rule: of docker.io first its mirrors;
//! any registry by https; one that is said to be insecure by https without a look at its certificate, then by http. All of
//! 127.0.0.0/8, ::1 and localhost are.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::address::Origin;
use crate::proxy::Proxies;
use crate::resolve::Names;
use crate::{RegistryError, Result};

/// The domain of names without one.
pub(crate) const HUB: &str = "docker.io";
/// Where that answers.
const HUB_HOST: &str = "registry-1.docker.io";
/// What its credentials are kept under.
pub(crate) const HUB_KEY: &str = "https://index.docker.io/v1/";

/// How registries are reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Asked before docker.io.
    mirrors: Vec<Origin>,
    insecure_hosts: Vec<String>,
    insecure_networks: Vec<IpNet>,
    /// Where certificates for single registries are, as Docker has them.
    pub(crate) certificates: PathBuf,
    /// How long a registry may be silent. Waits between attempts follow from it.
    pub(crate) patience: Duration,
    pub(crate) proxies: Proxies,
    pub(crate) names: Names,
}

/// One host to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) origin: Origin,
    /// Whether its certificate must be good.
    pub(crate) verify: bool,
    /// Whether it only has copies: it gets no credentials, and no pushes.
    pub(crate) mirror: bool,
}

impl Settings {
    /// Those of daemon.json, `registry-mirrors` and `insecure-registries`; proxies, and how long a silence is borne
    /// (`BULKHEAD_REGISTRY_TIMEOUT`, in seconds), are taken from the environment.
    ///
    /// # Errors
    /// One that makes no sense.
    pub fn new(mirrors: &[String], insecure: &[String]) -> Result<Settings> {
        let mirrors = mirrors.iter().map(|mirror| read_mirror(mirror)).collect::<Result<_>>()?;
        let (mut hosts, mut networks) = (Vec::new(), Vec::new());
        for entry in insecure {
            if let Ok(network) = entry.parse::<IpNet>() {
                networks.push(network);
            } else if entry.contains('/') || Origin::of_host(true, entry).is_err() {
                return Err(RegistryError::Invalid(format!(
                    "insecure registry {entry:?} is neither HOST[:PORT] nor a network such as 10.0.0.0/8"
                )));
            } else {
                hosts.push(entry.to_ascii_lowercase());
            }
        }
        Ok(Settings {
            mirrors,
            insecure_hosts: hosts,
            insecure_networks: networks,
            certificates: "/etc/docker/certs.d".into(),
            patience: patience()?,
            proxies: Proxies::from_environment()?,
            names: Names::default(),
        })
    }

    /// The hosts to try for the registry `domain`, in order.
    pub(crate) fn endpoints(&self, domain: &str, mirrors: bool) -> Result<Vec<Endpoint>> {
        let mut all = Vec::new();
        if domain == HUB && mirrors {
            for origin in &self.mirrors {
                all.push(Endpoint {
                    origin: origin.clone(),
                    verify: !self.is_insecure(origin),
                    mirror: true,
                });
            }
        }
        let host = if domain == HUB { HUB_HOST } else { domain };
        let https = Origin::of_host(true, host)?;
        // Of a name without a port, both ports may be named in the settings.
        let plain = Origin::of_host(false, host)?;
        let insecure = domain != HUB && (self.is_insecure(&https) || self.is_insecure(&plain));
        all.push(Endpoint { origin: https, verify: !insecure, mirror: false });
        if insecure {
            all.push(Endpoint { origin: plain, verify: false, mirror: false });
        }
        Ok(all)
    }

    /// Whether passwords may go to this host in the clear.
    pub(crate) fn is_insecure(&self, origin: &Origin) -> bool {
        let named = |entry: &String| *entry == origin.with_port() || *entry == origin.bracketed();
        if origin.host == "localhost" || self.insecure_hosts.iter().any(named) {
            return true;
        }
        let within = |address: IpAddr| {
            address.is_loopback() || self.insecure_networks.iter().any(|network| network.contains(&address))
        };
        match origin.host.parse() {
            Ok(address) => within(address),
            // Only this machine's own file is asked: who forges answers of the name service must not make a registry
            // insecure.
            Err(_) => {
                let known = self.names.in_hosts_file(&origin.host);
                !known.is_empty() && known.into_iter().all(within)
            }
        }
    }

    /// The n-th wait before another attempt: a thirtieth of the patience, doubled each time.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        self.patience / 30 * 2u32.pow(attempt.min(4))
    }
}

fn patience() -> Result<Duration> {
    const NAME: &str = "BULKHEAD_REGISTRY_TIMEOUT";
    let Some(text) = std::env::var_os(NAME).filter(|text| !text.is_empty()) else {
        return Ok(Duration::from_secs(30));
    };
    let seconds = text.to_str().and_then(|text| text.parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| (0.05..=3600.0).contains(seconds));
    let invalid = || RegistryError::Invalid(format!("{NAME} is {text:?}: give seconds, from 0.05 to 3600"));
    seconds.map(Duration::from_secs_f64).ok_or_else(invalid)
}

fn read_mirror(mirror: &str) -> Result<Origin> {
    let invalid = |why: &str| RegistryError::Invalid(format!("invalid mirror: {mirror:?}: {why}"));
    let (origin, path) = crate::address::read(mirror)
        .map_err(|_| invalid("write https://HOST[:PORT] or http://HOST[:PORT]"))?;
    if path != "/" {
        return Err(invalid("it may have no path or query"));
    }
    Ok(origin)
}

/// What the credentials of a registry are kept under in config.json.
pub fn credentials_key(domain: &str) -> &str {
    match domain {
        "" | HUB | "index.docker.io" | HUB_HOST => HUB_KEY,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{Settings, credentials_key};

    fn settings(mirrors: &[&str], insecure: &[&str]) -> crate::Result<Settings> {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        Settings::new(&owned(mirrors), &owned(insecure))
    }

    fn tried(settings: &Settings, domain: &str) -> Vec<String> {
        let all = settings.endpoints(domain, true).unwrap();
        all.iter().map(|e| format!("{}{}", e.origin, if e.verify { "" } else { " unverified" })).collect()
    }

    #[test]
    fn hosts_are_tried_as_docker_does() {
        let plain = settings(&[], &[]).unwrap();
        assert_eq!(tried(&plain, "docker.io"), ["https://registry-1.docker.io"]);
        assert_eq!(tried(&plain, "quay.example"), ["https://quay.example"]);
        let local = ["https://127.0.0.2:5000 unverified", "http://127.0.0.2:5000 unverified"];
        assert_eq!(tried(&plain, "127.0.0.2:5000"), local);
        assert_eq!(tried(&plain, "localhost:5000").len(), 2);
        assert_eq!(tried(&plain, "[::1]:5000").len(), 2);
        let told = settings(&["https://mirror.example"], &["10.0.0.0/8", "old.example:5000"]).unwrap();
        assert_eq!(tried(&told, "docker.io"), ["https://mirror.example", "https://registry-1.docker.io"]);
        assert_eq!(tried(&told, "10.1.2.3:5000").len(), 2);
        assert_eq!(tried(&told, "11.1.2.3:5000").len(), 1);
        assert_eq!(tried(&told, "old.example:5000").len(), 2);
        assert_eq!(tried(&told, "old.example:5001").len(), 1);
        assert_eq!(credentials_key("docker.io"), "https://index.docker.io/v1/");
        assert_eq!(credentials_key("localhost:5000"), "localhost:5000");
    }

    #[test]
    fn settings_without_sense_are_refused() {
        for mirror in ["mirror", "ftp://x", "https://x/path", "https://u:p@x", "https://x?y"] {
            assert!(settings(&[mirror], &[]).is_err(), "{mirror}");
        }
        for insecure in ["http://x", "a/b", "", "10.0.0.0/99"] {
            assert!(settings(&[], &[insecure]).is_err(), "{insecure}");
        }
    }
}
