//! The default network: a bridge of this engine's, whose subnet is chosen once, where nothing else is.

use bulkhead_network::bridge::{Bridge, Policy};
use bulkhead_network::netlink::Socket;
use bulkhead_network::{route, subnet};

use crate::Engine;
use crate::error::{Error, Result};
use crate::store::settings;

const KEY: &str = "default network";

impl Engine {
    /// The default network, chosen now if it has not been yet.
    ///
    /// # Errors
    /// No subnet is free.
    pub(crate) fn default_network(&mut self) -> Result<Bridge> {
        if let Some(text) = settings::get(self.store.read(), KEY)? {
            return read(&text);
        }
        let name = self.roots.bridge();
        let routes = route::list(&mut Socket::open()?)?;
        self.store.write(|transaction| {
            // Another command may have chosen meanwhile.
            if let Some(text) = settings::get(transaction, KEY)? {
                return read(&text);
            }
            let subnet = subnet::choose_subnet(&subnet::default_pools(), &[], &routes)?;
            let gateway = subnet
                .hosts()
                .next()
                .ok_or_else(|| Error::Invalid(format!("the subnet {subnet} has no addresses")))?;
            let own = ipnet::Ipv4Net::new_assert(gateway, subnet.prefix_len());
            let bridge = Bridge { name, addresses: vec![own.into()], mtu: 1500, policy: Policy::default() };
            let text = serde_json::to_string(&bridge).map_err(|error| Error::Corrupt(error.to_string()))?;
            settings::set(transaction, KEY, &text)?;
            Ok(bridge)
        })
    }

    /// The default network, if it has been chosen.
    pub(crate) fn known_network(&self) -> Result<Option<Bridge>> {
        settings::get(self.store.read(), KEY)?.map(|text| read(&text)).transpose()
    }
}

fn read(text: &str) -> Result<Bridge> {
    serde_json::from_str(text)
        .map_err(|error| Error::Corrupt(format!("cannot read the default network from the store: {error}")))
}
