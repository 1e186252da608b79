//! `bulkhead version`.

use serde_json::json;

use super::Done;
use crate::Context;
use crate::failure::Failure;
use crate::output::inspect::print_object;
use crate::template::Type;

/// Show versions
#[derive(Debug, clap::Args)]
pub struct Version {
    /// A Go template, or "json"
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Version {
    #[allow(clippy::unused_self)]
    pub(super) fn run(self, _: &Context) -> Done {
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        let (version, arch) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
        // There is no daemon: client and server are this executable.
        let side = json!({"Version": version, "Os": "linux", "Arch": arch, "KernelVersion": kernel});
        match self.format.as_deref().filter(|format| !format.is_empty()) {
            Some(format) => {
                let both = json!({"Client": side, "Server": side});
                print_object(
                    &mut std::io::stdout().lock(),
                    format,
                    &both,
                    Type { name: "versionInfo", shapes: &[] },
                )
                .map_err(|error| Failure::new(error.to_string()))?;
            }
            None => println!("bulkhead {version} (linux/{arch}, kernel {kernel})"),
        }
        Ok(0)
    }
}
