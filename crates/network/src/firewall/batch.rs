//! Batches: changes of nf_tables that take effect together or not at all (linux/netfilter/nfnetlink.h).
//!
//! A batch may name the generation of the rule set that it was made for. If somebody has changed anything since, the
//! kernel refuses it with ERESTART, and whoever made it looks again: a lock that nobody can leave locked.

use crate::error::Result;
use crate::netlink::{Message, Requests, Socket};

const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFNL_BATCH_GENID: u16 = 1;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
/// NFPROTO_INET: IPv4 and IPv6.
pub(super) const INET: u8 = 1;

/// A batch that is being written.
#[derive(Debug)]
pub(super) struct Batch<'a>(Requests<'a>);

impl<'a> Batch<'a> {
    /// Begins a batch, for one generation of the rule set or for whichever is current.
    pub(super) fn begin(socket: &Socket, generation: Option<u32>) -> Self {
        let mut requests = socket.requests();
        let header = header(0, NFNL_SUBSYS_NFTABLES);
        let what = ("begin a change of the firewall", "");
        requests.add(NFNL_MSG_BATCH_BEGIN, 0, what, &header, |message| {
            if let Some(generation) = generation {
                message.number_be(NFNL_BATCH_GENID, generation);
            }
        });
        Self(requests)
    }

    /// Adds a change: a message type of nf_tables, its flags, what an error says of it, its attributes.
    pub(super) fn change(
        &mut self,
        message_type: u16,
        flags: u16,
        what: (&'static str, &'a str),
        attributes: impl FnOnce(&mut Message<'_>),
    ) {
        self.0.add(kind(message_type), flags, what, &header(INET, 0), attributes);
    }

    /// Ends the batch and has it carried out.
    pub(super) fn commit(mut self, socket: &mut Socket) -> Result<()> {
        self.0.acknowledge_last();
        let header = header(0, NFNL_SUBSYS_NFTABLES);
        self.0.add(NFNL_MSG_BATCH_END, 0, ("end a change of the firewall", ""), &header, |_| {});
        socket.run_batch(&self.0)
    }
}

/// The netlink message type of an nf_tables message type.
pub(super) fn kind(message_type: u16) -> u16 {
    (NFNL_SUBSYS_NFTABLES << 8) | message_type
}

/// `struct nfgenmsg`.
pub(super) fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}
