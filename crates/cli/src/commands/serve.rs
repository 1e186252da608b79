//! `bulkhead serve`.

use bulkhead_api::{Address, Options};
use bulkhead_engine::Programs;

use super::Done;
use crate::Context;
use crate::failure::Failure;

/// Answer Docker's API, for the docker command and all that speaks it
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Where to listen: unix:///PATH; else at bulkhead.sock in the engine's folder below /run
    #[arg(short = 'H', long, value_name = "ADDRESS", value_parser = Address::parse)]
    host: Vec<Address>,
    /// What clients may do
    #[arg(long, value_name = "WHAT", default_value = "everything")]
    allow: Allowed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Allowed {
    /// All that root may
    Everything,
    /// Look, and change nothing
    ReadOnly,
}

impl Serve {
    pub(super) fn run(self, context: &Context) -> Done {
        let options = Options {
            roots: context.roots().clone(),
            programs: Programs::beside_us()?,
            addresses: self.host,
            read_only: self.allow == Allowed::ReadOnly,
        };
        let ready = |addresses: &[Address]| {
            for address in addresses {
                println!("{address}");
            }
        };
        bulkhead_api::serve(options, ready).map_err(|error| Failure::new(error.to_string()))?;
        Ok(0)
    }
}
