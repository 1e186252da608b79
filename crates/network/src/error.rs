//! Everything that can go wrong here, as sentences for the person who ran the command.
//!
//! The kernel's refusals are one variant, not one per operation: what differs is the operation, the object and the
//! errno, and callers who act on them (a link that is gone already, say) compare the errno.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use rustix::io::Errno;

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What failed, on what, why, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a request.
    #[error("{0}")]
    Kernel(#[from] Refusal),

    /// The thread went into another network namespace and cannot come back. Whatever it does now, it does there:
    /// the process must end.
    #[error(
        "cannot return to the network namespace that this process started in: {errno}; it must end, since all that \
         it does from here on would happen in the wrong namespace"
    )]
    NamespaceLost {
        /// Why setns(2) refused.
        errno: Errno,
    },

    /// What the kernel sent does not follow the protocol, or there was too little of it.
    #[error("cannot understand the kernel's answer when asked to {operation}: {problem}")]
    Answer {
        /// What was asked, as a verb with its object.
        operation: &'static str,
        /// What was wrong with the answer.
        problem: &'static str,
    },

    /// A message would not fit the 16-bit lengths of netlink's attributes.
    #[error(
        "cannot send a netlink message with an attribute of more than 65535 bytes; send fewer elements at once"
    )]
    MessageTooLong,

    /// A name that no network link can have.
    #[error(
        "{name:?} cannot be the name of a network link: {problem}; use 1 to 15 letters, digits, '-', '_' or '.'"
    )]
    LinkName {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// There is a link of that name, and it is something else than a bridge.
    #[error(
        "cannot use {name} as a bridge: there is a link of that name already, of kind {kind}; remove it or choose \
         another name for the network's bridge"
    )]
    NotABridge {
        /// The link's name.
        name: String,
        /// Its kind as `ip -d link` shows it, or "device" for hardware.
        kind: String,
    },

    /// Two addresses of one family, where a bridge has one.
    #[error(
        "the bridge {name} cannot have both {first} and {second}: a network has one subnet of each family"
    )]
    TwoAddresses {
        /// The bridge's name.
        name: String,
        /// The first.
        first: IpNet,
        /// The second of the same family.
        second: IpNet,
    },

    /// A link that should be there is not.
    #[error("there is no network link {name} in {place}; {remedy}")]
    NoLink {
        /// The link's name.
        name: String,
        /// The namespace in which it was looked for.
        place: &'static str,
        /// What to do.
        remedy: &'static str,
    },

    /// A file of /proc/sys could not be read or written.
    #[error(
        "cannot {operation} {path}: {source}; set it by hand with sysctl(8), containers cannot reach other hosts or be reached by them until then"
    )]
    Sysctl {
        /// "read", "write" or "list".
        operation: &'static str,
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },

    /// The kernel has no nf_tables, or lacks a part of it. No container is put on a bridge then: nothing would keep it from
    /// other networks, or from sending as another.
    #[error(
        "the kernel cannot {operation} {object:?} ({errno}), and without a firewall nothing keeps networks apart; load \
         the modules nf_tables, nft_chain_nat, nft_nat, nft_masq, nft_ct, nft_fib_inet and nft_meta_bridge, or use \
         --network=none or host"
    )]
    NoFirewall {
        /// What it cannot do.
        operation: &'static str,
        /// On what.
        object: String,
        /// What it said.
        errno: Errno,
    },

    /// The table is not there, where something was to be added to it.
    #[error(
        "cannot {operation} {object}: the firewall table {table} is gone or incomplete, somebody flushed or deleted it; \
         put it back with `network reload`"
    )]
    FirewallGone {
        /// What was to be done.
        operation: &'static str,
        /// To which set.
        object: String,
        /// The table's name.
        table: &'static str,
    },

    /// Somebody else changed the firewall each time we were about to.
    #[error(
        "cannot change the firewall table {table}: others changed the firewall each of {tries} times; try again"
    )]
    FirewallBusy {
        /// The table's name.
        table: &'static str,
        /// How often it was tried.
        tries: u32,
    },

    /// Every pool is used up.
    #[error(
        "no subnet is free: each of the default address pools overlaps a network or one of the host's routes; give \
         one with --subnet, or remove unused networks with `network prune`"
    )]
    NoSubnet,

    /// Every address of a network is in use.
    #[error(
        "no address is free in {range}: all {capacity} are in use; remove containers or make a bigger network"
    )]
    NoAddress {
        /// The subnet, or the part of it that addresses are taken from.
        range: IpNet,
        /// How many addresses it has for containers.
        capacity: u128,
    },

    /// The gateway is not an address that the subnet's bridge can have.
    #[error(
        "{gateway} cannot be the gateway of {subnet}: it must be an address of the subnet, and not its first or last"
    )]
    Gateway {
        /// The gateway.
        gateway: IpAddr,
        /// The subnet.
        subnet: IpNet,
    },

    /// A part of a subnet that does not lie in it.
    #[error("{range} is no part of the subnet {subnet}: give an --ip-range that lies within it")]
    Range {
        /// The range.
        range: IpNet,
        /// The subnet.
        subnet: IpNet,
    },

    /// A host name, search domain or option that would break the file that it is written to.
    #[error("{text:?} cannot be written to {file}: {problem}")]
    FileText {
        /// The text.
        text: String,
        /// The file in the container.
        file: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Error {
    /// The errno, where it was the kernel that refused.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Kernel(refusal) => Some(refusal.errno),
            Self::NamespaceLost { errno } => Some(*errno),
            _ => None,
        }
    }

    /// Whether the process must end now: see [`Error::NamespaceLost`].
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::NamespaceLost { .. })
    }
}

/// A request that the kernel refused.
#[derive(Debug)]
pub struct Refusal {
    /// What was asked for, as a verb with its object: "create the bridge".
    pub operation: &'static str,
    /// Which one: a link's name, an address.
    pub object: String,
    /// The kernel's reason.
    pub errno: Errno,
    /// The kernel's reason in words, where it has some (netlink's extended acknowledgement).
    pub message: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot {}", self.operation)?;
        if !self.object.is_empty() {
            write!(out, " {}", self.object)?;
        }
        write!(out, ": {}", self.errno)?;
        if let Some(message) = &self.message {
            write!(out, ": {message}")?;
        }
        let remedy = match self.errno {
            Errno::PERM | Errno::ACCESS => "; it needs CAP_NET_ADMIN over the network namespace",
            Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT => {
                "; this kernel was built without it"
            }
            Errno::NOBUFS | Errno::NOMEM => "; the kernel is short of memory",
            Errno::NFILE | Errno::MFILE => "; raise the limit of open files (ulimit -n)",
            _ => "",
        };
        out.write_str(remedy)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// A refusal without words of the kernel's.
    pub(crate) fn new(operation: &'static str, object: impl Into<String>, errno: Errno) -> Self {
        Self { operation, object: object.into(), errno, message: None }
    }
}
