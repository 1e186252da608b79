//! How a supervisor tells what happens to its container.

use std::collections::BTreeMap;
use std::path::Path;

use bulkhead_network::endpoint::Uplink;

use crate::events::Event;
use crate::life::Life;
use crate::protocol::Events;

/// Where, and what is said each time. The attributes are kept as the JSON that they came as: most containers have
/// little to tell.
#[derive(Debug)]
pub(crate) struct Telling {
    file: Box<str>,
    attributes: Box<[u8]>,
}

impl Telling {
    pub(crate) fn new(events: Events) -> Telling {
        // A map of text to text is always JSON.
        let attributes = serde_json::to_vec(&events.attributes).unwrap_or_default();
        Telling { file: events.file.into(), attributes: attributes.into() }
    }
}

impl Life {
    /// Tells that the container came to its networks, or went, with its process.
    pub(crate) fn tell_of_networks(&self, action: &str) {
        for membership in &self.wiring.memberships {
            let kind = match membership.endpoint.uplink {
                Uplink::Bridge { .. } => "bridge",
                Uplink::Macvlan { .. } => "macvlan",
            };
            let attributes =
                [("container", &self.identity.id), ("name", &membership.name), ("type", &kind.to_owned())]
                    .map(|(key, value)| (key.to_owned(), value.clone()));
            Event::now("network", action, &membership.id, attributes.into())
                .tell(Path::new(&*self.telling.file));
        }
    }

    /// Tells that something happened to the container; `more` says what else there is to it.
    pub(crate) fn tell<const N: usize>(&self, action: &str, more: [(&str, String); N]) {
        if self.telling.file.is_empty() {
            return;
        }
        let mut attributes: BTreeMap<String, String> =
            serde_json::from_slice(&self.telling.attributes).unwrap_or_default();
        attributes.insert("name".into(), self.identity.name.clone());
        attributes.extend(more.map(|(key, value)| (key.to_owned(), value)));
        Event::now("container", action, &self.identity.id, attributes).tell(Path::new(&*self.telling.file));
    }
}
