//! `bulkhead serve`.

use std::path::PathBuf;

use bulkhead_api::{Address, Options, TlsFiles};
use bulkhead_engine::{Programs, UsualUsers};

use super::Done;
use crate::Context;
use crate::failure::Failure;

/// Answer Docker's API, for the docker command and all that speaks it
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Where to listen, several times if need be: unix:///PATH, tcp://IP:PORT (with --tlsverify), or fd:// for sockets
    /// that a service manager passes; else at bulkhead.sock in the engine's folder below /run
    #[arg(short = 'H', long, value_name = "ADDRESS", value_parser = Address::parse)]
    host: Vec<Address>,
    /// What clients may do
    #[arg(long, value_name = "WHAT", default_value = "everything")]
    allow: Allowed,
    /// Let clients over TCP in that show a certificate of --tlscacert
    #[arg(long)]
    tlsverify: bool,
    /// Who signs clients' certificates (PEM)
    #[arg(long, value_name = "FILE")]
    tlscacert: Option<PathBuf>,
    /// The server's certificate (PEM)
    #[arg(long, value_name = "FILE")]
    tlscert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE")]
    tlskey: Option<PathBuf>,
    /// The user namespace of containers that ask for none: `host`, as Docker has it, or `auto`; else what daemon.json says
    #[arg(long, value_name = "MODE", conflicts_with = "userns_remap")]
    userns: Option<Userns>,
    /// Whose subordinate IDs such containers share (default, USER[:GROUP]), as userns-remap in daemon.json
    #[arg(long, value_name = "USER", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    userns_remap: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Userns {
    /// The host's: root in a container is root outside
    Host,
    /// One of their own
    Auto,
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
        let tls = match (self.tlsverify, self.tlscacert, self.tlscert, self.tlskey) {
            (false, None, None, None) => None,
            (true, Some(authority), Some(certificate), Some(key)) => {
                Some(TlsFiles { authority, certificate, key })
            }
            _ => {
                let why = "--tlsverify, --tlscacert, --tlscert and --tlskey are given together or not at all";
                return Err(Failure::new(why).code(125));
            }
        };
        let usual_users = match (self.userns, self.userns_remap) {
            (Some(Userns::Host), _) => UsualUsers::Host,
            (Some(Userns::Auto), _) => UsualUsers::Own,
            (None, Some(spec)) => UsualUsers::Remap(spec),
            (None, None) => UsualUsers::AsConfigured,
        };
        let options = Options {
            roots: context.roots().clone(),
            programs: Programs::beside_us()?,
            addresses: self.host,
            tls,
            usual_users,
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
