//! `--publish` and `--expose`: ports, ranges of them, and protocols, in Docker's form.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use bulkhead_engine::models::{PortBinding, PortMap};

use super::invalid;
use crate::failure::Failure;

/// What is exposed (`80/tcp` each), by `--expose` and by being published.
pub(super) fn exposed(expose: &[String], published: &PortMap) -> Result<Vec<String>, Failure> {
    let mut all: BTreeSet<String> = published.keys().cloned().collect();
    for text in expose {
        let bad = || invalid("expose", text, "PORT[-PORT][/PROTOCOL]");
        let (ports, protocol) = protocol(text).ok_or_else(bad)?;
        all.extend(range(ports).ok_or_else(bad)?.map(|port| format!("{port}/{protocol}")));
    }
    Ok(all.into_iter().collect())
}

/// `[[ADDRESS:][PORT]:]PORT[/PROTOCOL]` each. A range of ports is published by a range as long, or, one port, by any of a
/// range.
pub(super) fn published(given: &[String]) -> Result<PortMap, Failure> {
    let mut all = PortMap::new();
    for text in given {
        let bad = || invalid("publish", text, "[[ADDRESS:][HOST_PORT]:]PORT[/PROTOCOL]");
        let (rest, protocol) = protocol(text).ok_or_else(bad)?;
        let (rest, inside) = rest.rsplit_once(':').map_or(("", rest), |(rest, inside)| (rest, inside));
        let (address, outside) =
            rest.rsplit_once(':').map_or(("", rest), |(address, outside)| (address, outside));
        let address = address.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(address);
        if !address.is_empty() && address.parse::<IpAddr>().is_err() {
            return Err(bad());
        }
        let inside = range(inside).ok_or_else(bad)?;
        let outside = if outside.is_empty() { None } else { Some(range(outside).ok_or_else(bad)?) };
        let (count, alone) = (inside.clone().count(), inside.clone().count() == 1);
        if outside.as_ref().is_some_and(|outside| outside.clone().count() != count && !alone) {
            return Err(bad());
        }
        for (index, port) in inside.enumerate() {
            let host_port = match &outside {
                None => String::new(),
                Some(outside) if alone && outside.clone().count() > 1 => {
                    format!("{}-{}", outside.start(), outside.end())
                }
                Some(outside) => outside.clone().nth(index).map(|port| port.to_string()).unwrap_or_default(),
            };
            let binding = PortBinding { host_ip: Some(address.to_owned()), host_port: Some(host_port) };
            all.entry(format!("{port}/{protocol}")).or_default().get_or_insert_default().push(binding);
        }
    }
    Ok(all)
}

/// The text before the protocol, and the protocol: tcp if there is none.
fn protocol(text: &str) -> Option<(&str, String)> {
    let (rest, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    matches!(protocol.as_str(), "tcp" | "udp" | "sctp").then_some((rest, protocol))
}

/// `PORT` or `PORT-PORT`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| digits && *port > 0)
    };
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..=last)
}

/// Nothing, if nothing is published.
pub(super) fn some(ports: PortMap) -> Option<HashMap<String, Option<Vec<PortBinding>>>> {
    Some(ports).filter(|ports| !ports.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{exposed, published};
    use proptest::prelude::*;

    fn one(text: &str) -> Option<(String, String)> {
        let all = published(&[text.to_owned()]).ok()?;
        let binding = all.get("80/tcp")?.as_ref()?.first()?.clone();
        Some((binding.host_ip?, binding.host_port?))
    }

    #[test]
    fn every_form_of_docker_s_publish() {
        let is = |text: &str, ip: &str, port: &str| {
            assert_eq!(one(text), Some((ip.to_owned(), port.to_owned())), "{text}");
        };
        is("80", "", "");
        is("8080:80", "", "8080");
        is("127.0.0.1:8080:80/tcp", "127.0.0.1", "8080");
        is("127.0.0.1::80", "127.0.0.1", "");
        is("[::1]:8080:80", "::1", "8080");
        is("8000-8010:80", "", "8000-8010");
        is("8079-8081:79-81", "", "8080");
        for bad in
            ["", ":", "80/what", "0:80", "80:0", "x:80", "host:8080:80", "80-79", "1-3:80-81", "65536", "+80"]
        {
            assert!(published(&[bad.to_owned()]).is_err(), "{bad}");
        }
        let both =
            exposed(&["53/udp".into(), "7000-7001".into()], &published(&["80".into()]).unwrap_or_default());
        assert_eq!(both.ok(), Some(["53/udp", "7000/tcp", "7001/tcp", "80/tcp"].map(str::to_owned).to_vec()));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "[0-9.:/\\[\\]a-z-]{0,24}") {
            let _ = published(std::slice::from_ref(&text));
            let _ = exposed(&[text], &Default::default());
        }
    }
}
