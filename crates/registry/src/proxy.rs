//! `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, read as the Go programs do that people know them from.

use std::net::IpAddr;

use ipnet::IpNet;
use ureq::{Proxy, ProxyProtocol};

use crate::address::Origin;
use crate::{RegistryError, Result};

/// The proxies of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    none_for: Vec<Exception>,
}

#[derive(Clone, Debug)]
enum Exception {
    All,
    Network(IpNet),
    /// A domain, and a port if one is given. `.example` does not mean `example` itself.
    Domain {
        name: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    pub(crate) fn from_environment() -> Result<Proxies> {
        Proxies::read(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Proxies> {
        let either = |upper: &str| variable(upper).or_else(|| variable(&upper.to_ascii_lowercase()));
        let proxy = |name: &str| -> Result<Option<Proxy>> {
            let Some(text) = either(name) else { return Ok(None) };
            // What it is may hold a password, and so is not shown.
            let invalid = |why: &str| RegistryError::Invalid(format!("{name} {why}"));
            let proxy = Proxy::new(&text)
                .map_err(|_| invalid("is not the address of a proxy: write http://HOST:PORT"))?;
            match proxy.protocol() {
                ProxyProtocol::Http | ProxyProtocol::Https => Ok(Some(proxy)),
                _ => Err(invalid("names a SOCKS proxy, and only those by http are known here")),
            }
        };
        let none_for = either("NO_PROXY").unwrap_or_default();
        Ok(Proxies {
            http: proxy("HTTP_PROXY")?,
            https: proxy("HTTPS_PROXY")?,
            none_for: none_for.split(',').filter_map(|entry| Exception::read(entry.trim())).collect(),
        })
    }

    /// The one for requests to `origin`. This machine itself is never asked through one.
    pub(crate) fn of(&self, origin: &Origin) -> Option<Proxy> {
        let address = origin.host.parse::<IpAddr>().ok();
        let ours = origin.host == "localhost" || address.is_some_and(|address| address.is_loopback());
        if ours || self.none_for.iter().any(|exception| exception.holds(origin, address)) {
            return None;
        }
        if origin.https { self.https.clone() } else { self.http.clone() }
    }
}

impl Exception {
    fn read(entry: &str) -> Option<Exception> {
        let entry = entry.to_ascii_lowercase();
        if entry.is_empty() {
            return None;
        }
        if entry == "*" {
            return Some(Exception::All);
        }
        if let Ok(network) = entry.parse() {
            return Some(Exception::Network(network));
        }
        if let Ok(address) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Some(Exception::Network(address.into()));
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) => (name.to_owned(), Some(port.parse().ok()?)),
            None => (entry, None),
        };
        let name = name.trim_matches(['[', ']']).trim_start_matches('*').to_owned();
        let (name, itself) = match name.strip_prefix('.') {
            Some(below) => (below.to_owned(), false),
            None => (name, true),
        };
        Some(Exception::Domain { name, itself, port })
    }

    fn holds(&self, origin: &Origin, address: Option<IpAddr>) -> bool {
        match self {
            Exception::All => true,
            Exception::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Exception::Domain { name, itself, port } => {
                let below = origin.host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
                port.is_none_or(|port| port == origin.port) && (below || (*itself && origin.host == *name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Proxies;
    use crate::address::read;

    fn proxies(no_proxy: &str) -> Proxies {
        let value = |name: &str| match name {
            "HTTPS_PROXY" => Some("http://user:word@proxy.example:3128".to_owned()),
            "http_proxy" => Some("proxy.example:8080".to_owned()),
            "NO_PROXY" => Some(no_proxy.to_owned()),
            _ => None,
        };
        Proxies::read(value).unwrap()
    }

    fn port(proxies: &Proxies, url: &str) -> Option<u16> {
        proxies.of(&read(url).unwrap().0).map(|proxy| proxy.port())
    }

    #[test]
    fn each_scheme_has_its_proxy_and_exceptions_none() {
        let all = proxies("");
        assert_eq!(port(&all, "https://a.example"), Some(3128));
        assert_eq!(port(&all, "http://a.example"), Some(8080));
        for own in ["https://localhost:5000", "http://127.0.0.9", "https://[::1]"] {
            assert_eq!(port(&all, own), None, "{own}");
        }
        let some = proxies("example.com, .sub.example, 10.0.0.0/8, 192.168.1.1, ported.example:5000");
        for without in [
            "https://example.com",
            "https://a.example.com",
            "https://x.sub.example",
            "http://10.1.2.3",
            "http://192.168.1.1:5000",
            "https://ported.example:5000",
        ] {
            assert_eq!(port(&some, without), None, "{without}");
        }
        for with in
            ["https://notexample.com", "https://sub.example", "http://11.1.2.3", "https://ported.example"]
        {
            assert!(port(&some, with).is_some(), "{with}");
        }
        assert_eq!(port(&proxies("*"), "https://a.example"), None);
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_showing_it() {
        for bad in ["socks5://secret@x", "ftp://secret@x", "http://", "secret word"] {
            let error = Proxies::read(|name| (name == "HTTPS_PROXY").then(|| bad.to_owned())).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
