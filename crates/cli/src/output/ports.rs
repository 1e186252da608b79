//! Ports, as `ps` shows them.

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

#[cfg(test)]
mod tests {
    use super::shown_ports;
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

    proptest! {
        #[test]
        fn any_ports_are_shown(ports in proptest::collection::vec((0u16.., 0u16..), 0..20)) {
            let all: Vec<_> = ports.iter().map(|(public, private)| port("::", *public, *private)).collect();
            let _ = shown_ports(&all);
        }
    }
}
