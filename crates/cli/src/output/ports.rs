//! Ports, as `ps` shows them and as its filters name them.

use bulkhead_engine::models::PortSummary;

/// Docker's column: `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 53/udp`, where ports that follow each other on both sides
/// are one entry.
pub(crate) fn shown_ports(ports: &[PortSummary]) -> String {
    /// Ports that follow each other: the host's, if they are published, and the container's first and last.
    struct Stretch {
        at: String,
        kind: String,
        public: Option<(u16, u16)>,
        private: (u16, u16),
    }
    let mut sorted: Vec<&PortSummary> = ports.iter().collect();
    let address = |port: &PortSummary| port.ip.clone().unwrap_or_default();
    sorted.sort_by_key(|port| (port.typ, address(port), port.private_port, port.public_port));
    let mut stretches: Vec<Stretch> = Vec::new();
    for port in sorted {
        let (at, kind) = (address(port), port.typ.map(|kind| kind.to_string()).unwrap_or_default());
        let follows = |last: &&mut Stretch| {
            let next = |number: u16| number.checked_add(1);
            last.at == at
                && last.kind == kind
                && next(last.private.1) == Some(port.private_port)
                && match (last.public, port.public_port) {
                    (None, None) => true,
                    (Some((_, last)), Some(port)) => next(last) == Some(port),
                    _ => false,
                }
        };
        match stretches.last_mut().filter(follows) {
            Some(last) => {
                last.private.1 = port.private_port;
                last.public = last.public.zip(port.public_port).map(|((first, _), port)| (first, port));
            }
            None => stretches.push(Stretch {
                at,
                kind,
                public: port.public_port.map(|port| (port, port)),
                private: (port.private_port, port.private_port),
            }),
        }
    }
    let range = |(first, last): (u16, u16)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    let shown = |stretch: &Stretch| {
        let private = format!("{}/{}", range(stretch.private), stretch.kind);
        let at = if stretch.at.contains(':') { format!("[{}]", stretch.at) } else { stretch.at.clone() };
        match stretch.public {
            Some(public) => format!("{at}:{}->{private}", range(public)),
            None => private,
        }
    };
    stretches.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// Whether the text is `PORT[-PORT][/PROTOCOL]`.
pub(crate) fn is_port_pattern(text: &str) -> bool {
    range(text).is_some()
}

/// Whether the container's port is one of those that the text says.
pub(crate) fn is_port(text: &str, port: &PortSummary) -> bool {
    let kind = port.typ.map(|kind| kind.to_string()).unwrap_or_default();
    range(text).is_some_and(|(first, last, protocol)| {
        (first..=last).contains(&port.private_port) && protocol == kind
    })
}

fn range(text: &str) -> Option<(u16, u16, String)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    let protocol = protocol.to_ascii_lowercase();
    (first <= last && matches!(protocol.as_str(), "tcp" | "udp" | "sctp")).then_some((first, last, protocol))
}

#[cfg(test)]
mod tests {
    use super::{is_port, is_port_pattern, shown_ports};
    use bulkhead_engine::models::{PortSummary, PortSummaryTypeEnum};
    use proptest::prelude::*;

    fn port(ip: &str, public: u16, private: u16) -> PortSummary {
        PortSummary {
            ip: Some(ip.to_owned()).filter(|ip| !ip.is_empty()),
            private_port: private,
            public_port: Some(public).filter(|public| *public > 0),
            typ: Some(PortSummaryTypeEnum::TCP),
        }
    }

    #[test]
    fn ports_that_follow_each_other_are_one() {
        let all = [
            port("0.0.0.0", 8001, 81),
            port("::", 8000, 80),
            port("0.0.0.0", 8000, 80),
            port("0.0.0.0", 9000, 82),
            port("", 0, 53),
        ];
        assert_eq!(
            shown_ports(&all),
            "53/tcp, 0.0.0.0:8000-8001->80-81/tcp, 0.0.0.0:9000->82/tcp, [::]:8000->80/tcp"
        );
        assert_eq!(shown_ports(&[]), "");
    }

    #[test]
    fn a_filter_names_ports_of_the_container() {
        let web = port("0.0.0.0", 8000, 80);
        assert!(is_port("80", &web) && is_port("79-81/tcp", &web));
        assert!(!is_port("8000", &web) && !is_port("80/udp", &web));
        for bad in ["", "x", "80/what", "81-80", "70000"] {
            assert!(!is_port_pattern(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_ports_are_shown(ports in proptest::collection::vec((0u16.., 0u16..), 0..20), text in ".{0,12}") {
            let all: Vec<_> = ports.iter().map(|(public, private)| port("::", *public, *private)).collect();
            let _ = shown_ports(&all);
            let _ = all.iter().any(|port| is_port(&text, port));
        }
    }
}
