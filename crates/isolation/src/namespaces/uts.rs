//! The UTS namespace (uts_namespaces(7)).
//!
//! *Isolates* the host name and the NIS domain name.
//!
//! *Modes:* its own, with names of its own; the host's (`--uts=host`); another container's.
//!
//! *Forbids:* renaming the host: sethostname(2) inside changes nothing outside, even with CAP_SYS_ADMIN.
//!
//! *Set up* by CLONE_NEWUTS; the child then names itself.

use serde::{Deserialize, Serialize};

use super::Membership;
use crate::error::{Result, Step};
use crate::plan::Handle;

/// CLONE_NEWUTS.
pub const FLAG: i32 = 0x0400_0000;
/// The longest name, in bytes (__NEW_UTS_LEN).
pub const LONGEST: usize = 64;

/// Whose names a container has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UtsNamespace {
    /// Its own.
    New {
        /// Empty: what the supervisor's is stays.
        hostname: String,
        /// The NIS domain name; empty as above.
        domainname: String,
    },
    /// The host's.
    Host,
    /// Those of the namespace given.
    Join(Handle),
}

impl Default for UtsNamespace {
    fn default() -> Self {
        UtsNamespace::New { hostname: String::new(), domainname: String::new() }
    }
}

impl UtsNamespace {
    pub(crate) fn membership(&self) -> Membership {
        match self {
            UtsNamespace::New { .. } => Membership::New,
            UtsNamespace::Host => Membership::Host,
            UtsNamespace::Join(handle) => Membership::Joined(*handle),
        }
    }

    /// In the child: takes the names.
    pub(crate) fn name_itself(&self) -> Result<()> {
        let UtsNamespace::New { hostname, domainname } = self else { return Ok(()) };
        if !hostname.is_empty() {
            rustix::system::sethostname(hostname.as_bytes())
                .step("hostname", || format!("set the host name to {hostname}"))?;
        }
        if !domainname.is_empty() {
            rustix::system::setdomainname(domainname.as_bytes())
                .step("hostname", || format!("set the domain name to {domainname}"))?;
        }
        Ok(())
    }
}
