//! The options of the log driver `syslog`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bulkhead_supervisor::log_config::{Address, ReceiverKind, SyslogFormat};

use super::attributes;
use super::options::Options;
use crate::error::{Error, Result};
use crate::store::containers::Container;

/// Where this machine's syslog may listen.
const USUAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];
/// syslog's port.
const PORT: u16 = 514;
/// The facilities' names, by their numbers (RFC 5424, table 1; as Docker has them). 12 to 15 have none.
const FACILITIES: [&str; 12] =
    ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"];

/// What a container's messages look like, and where they go.
pub(super) fn read(options: &Options<'_>, container: &Container) -> Result<(ReceiverKind, Vec<Address>)> {
    refuse(options)?;
    options.only(&["syslog-address", "syslog-facility", "syslog-format", "tag"])?;
    let format = match options.get("syslog-format").unwrap_or_default() {
        "" => SyslogFormat::Local,
        "rfc3164" => SyslogFormat::Rfc3164,
        "rfc5424" => SyslogFormat::Rfc5424,
        "rfc5424micro" => SyslogFormat::Rfc5424Micro,
        other => {
            return Err(Error::Invalid(format!(
                "Invalid syslog format {other:?}: use rfc3164, rfc5424 or rfc5424micro"
            )));
        }
    };
    let kind = ReceiverKind::Syslog {
        format,
        facility: facility(options.get("syslog-facility").unwrap_or_default())?,
        tag: attributes::tag(options, container)?,
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
    };
    Ok((kind, addresses(options.get("syslog-address").unwrap_or_default())?))
}

/// What Docker has and this driver has no use for.
fn refuse(options: &Options<'_>) -> Result<()> {
    for key in ["labels", "labels-regex", "env", "env-regex"] {
        if options.get(key).is_some() {
            return Err(Error::Invalid(format!(
                "the log opt '{key}' changes nothing with the log driver syslog, whose messages have a tag only"
            )));
        }
    }
    let mut keys = options.all.keys();
    match keys.find(|key| key.starts_with("syslog-tls-")) {
        Some(key) => Err(Error::Invalid(format!("the log opt '{key}' cannot be had: {NO_TLS}"))),
        None => Ok(()),
    }
}

const NO_TLS: &str =
    "bulkhead sends to syslog without TLS; send to a syslog of this machine that forwards with it";

fn facility(text: &str) -> Result<u8> {
    let named = FACILITIES.iter().position(|name| *name == text).and_then(|at| u8::try_from(at).ok());
    let local = || text.strip_prefix("local")?.parse::<u8>().ok().filter(|n| *n < 8).map(|n| n + 16);
    let number = || text.parse::<u8>().ok().filter(|number| *number < 24);
    match text {
        "" => Ok(3),
        _ => named.or_else(local).or_else(number).ok_or_else(|| {
            Error::Invalid(format!("invalid syslog facility {text:?}: use a name such as daemon or local0"))
        }),
    }
}

fn addresses(text: &str) -> Result<Vec<Address>> {
    let either = |path: &str| [Address::Datagram(path.into()), Address::Stream(path.into())];
    if text.is_empty() {
        return Ok(USUAL.into_iter().flat_map(either).collect());
    }
    let bad = |why: &str| Error::Invalid(format!("invalid syslog-address {text:?}: {why}"));
    let (scheme, rest) =
        text.split_once("://").ok_or_else(|| bad("write unix://, unixgram://, udp:// or tcp://"))?;
    let path = || match rest {
        path if !path.starts_with('/') => Err(bad("the socket's path must be absolute")),
        // sockaddr_un(7) has no room for more.
        path if path.len() > 107 => Err(bad("the socket's path is longer than 107 bytes")),
        path => Ok(path),
    };
    match scheme {
        "unix" => Ok(either(path()?).into()),
        "unixgram" => Ok(vec![Address::Datagram(path()?.into())]),
        "udp" => Ok(vec![Address::Udp(port(rest).map_err(|why| bad(&why))?)]),
        "tcp" => Ok(vec![Address::Tcp(port(rest).map_err(|why| bad(&why))?)]),
        "tcp+tls" => Err(bad(NO_TLS)),
        other => Err(bad(&format!("unsupported scheme: '{other}'"))),
    }
}

/// `ADDRESS[:PORT]`, an IPv6 address in brackets where a port follows.
fn port(text: &str) -> std::result::Result<SocketAddr, String> {
    let text = text.trim_end_matches('/');
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let whole = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = whole.parse::<IpAddr>() {
        return Ok((address, PORT).into());
    }
    let (name, port) = text.split_once(':').unwrap_or((text, "514"));
    let port = port.parse::<u16>().map_err(|_| format!("{port:?} is no port"))?;
    match name {
        "" | "localhost" => Ok((Ipv4Addr::LOCALHOST, port).into()),
        name => Err(format!("{name:?} is no IP address, and names are not looked up here: give the address")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, addresses, facility};

    #[test]
    fn addresses_are_read_or_refused() {
        let udp = |text: &str| vec![Address::Udp(text.parse().unwrap())];
        assert_eq!(addresses("udp://192.0.2.1").unwrap(), udp("192.0.2.1:514"));
        assert_eq!(addresses("udp://192.0.2.1:99").unwrap(), udp("192.0.2.1:99"));
        assert_eq!(addresses("udp://[::1]:99").unwrap(), udp("[::1]:99"));
        assert_eq!(addresses("udp://[::1]").unwrap(), udp("[::1]:514"));
        assert_eq!(addresses("udp://localhost:99").unwrap(), udp("127.0.0.1:99"));
        assert_eq!(addresses("tcp://:99").unwrap(), [Address::Tcp("127.0.0.1:99".parse().unwrap())]);
        assert_eq!(addresses("unixgram:///dev/log").unwrap(), [Address::Datagram("/dev/log".into())]);
        assert_eq!(addresses("unix:///dev/log").unwrap().len(), 2);
        assert_eq!(addresses("").unwrap().len(), 6);
        for bad in ["/dev/log", "unix://log", "udp://name", "udp://1.2.3.4:x", "tcp+tls://1.2.3.4", "ftp://x"]
        {
            assert!(addresses(bad).is_err(), "{bad}");
        }
        assert!(addresses(&format!("unix:///{}", "x".repeat(107))).is_err());
    }

    #[test]
    fn facilities_have_names_and_numbers() {
        for (text, number) in [("", 3), ("kern", 0), ("ftp", 11), ("local0", 16), ("local7", 23), ("13", 13)]
        {
            assert_eq!(facility(text).unwrap(), number, "{text}");
        }
        for bad in ["local8", "24", "nosuch", "-1", "local"] {
            assert!(facility(bad).is_err(), "{bad}");
        }
    }
}
