//! `bulkhead port`.

use bulkhead_engine::models::PortBinding;

use super::Done;
use crate::Context;
use crate::failure::Failure;

/// Show where a container's ports are published
#[derive(Debug, clap::Args)]
pub struct Port {
    /// The container, by name or ID
    container: String,
    /// One of its ports: PORT[/PROTOCOL]
    #[arg(value_name = "PORT")]
    port: Option<String>,
}

impl Port {
    pub(super) fn run(self, context: &Context) -> Done {
        let engine = context.engine()?;
        let ports = engine.ports(&engine.container(&self.container)?)?;
        let Some(wanted) = &self.port else {
            for (port, bindings) in &ports {
                bindings.iter().for_each(|binding| println!("{port} -> {}", shown(binding)));
            }
            return Ok(0);
        };
        let (number, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
        if number.parse::<u16>().is_err() || !matches!(protocol, "tcp" | "udp" | "sctp") {
            return Err(Failure::new(format!("invalid port {wanted:?}: expected PORT[/PROTOCOL]")));
        }
        let wanted = format!("{number}/{protocol}");
        match ports.iter().find(|(port, _)| **port == wanted) {
            Some((_, bindings)) if !bindings.is_empty() => {
                bindings.iter().for_each(|binding| println!("{}", shown(binding)));
                Ok(0)
            }
            _ => Err(Failure::new(format!("no public port '{wanted}' published for {}", self.container))),
        }
    }
}

/// `ADDRESS:PORT`.
fn shown(binding: &PortBinding) -> String {
    let address = binding.host_ip.as_deref().filter(|address| !address.is_empty()).unwrap_or("0.0.0.0");
    let port = binding.host_port.as_deref().unwrap_or("");
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}
