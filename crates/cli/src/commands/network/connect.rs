//! `bulkhead network connect`.

use super::super::Done;
use crate::Context;
use crate::options::networks::EndpointFlags;

#[derive(Debug, clap::Args)]
pub(super) struct Connect {
    /// Another name for it on that network
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    #[command(flatten)]
    endpoint: EndpointFlags,
    /// Its address in the link's own range (refused)
    #[arg(long, value_name = "ADDRESS", hide = true)]
    link_local_ip: Vec<String>,
    /// Network
    network: String,
    /// Container
    container: String,
}

impl Connect {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut settings = self.endpoint.settings()?;
        settings.aliases = Some(self.alias).filter(|list| !list.is_empty());
        if !self.link_local_ip.is_empty() {
            settings.ipam_config.get_or_insert_default().link_local_ips = Some(self.link_local_ip);
        }
        let mut engine = context.engine()?;
        let network = engine.network(&self.network)?;
        let container = engine.container(&self.container)?;
        engine.connect_network(&network, &container, &settings)?;
        Ok(0)
    }
}
