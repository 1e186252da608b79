//! Batches: changes of nf_tables that take effect together or not at all (linux/netfilter/nfnetlink.h).
//!
//! A batch may name the generation of the rule set that it was made for. If somebody has changed anything since, the
//! kernel refuses it with ERESTART, and whoever made it looks again: a lock that nobody can leave locked.

use super::sets::{self, Element, NFT_MSG_DELSETELEM, NFT_MSG_DESTROYSETELEM, NFT_MSG_NEWSETELEM};
use crate::error::Result;
use crate::netlink::{CREATE, Message, Requests, Socket};

const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFNL_BATCH_GENID: u16 = 1;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
/// How many bytes of elements go into one change: a netlink attribute has room for 65,535.
const ELEMENTS: usize = 48 * 1024;
/// What an element takes beside its key and data, at most.
const ELEMENT: usize = 32;

/// The families of tables: IPv4 and IPv6 together, and bridges. The others are those of packets.
pub(super) const INET: u8 = 1;
pub(super) const IPV4: u8 = 2;
pub(super) const BRIDGE: u8 = 7;
pub(super) const IPV6: u8 = 10;

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

    /// Adds a change: a message type of nf_tables, the family, flags, what an error says of it, its attributes.
    pub(super) fn change(
        &mut self,
        message_type: u16,
        family: u8,
        flags: u16,
        what: (&'static str, &'a str),
        attributes: impl FnOnce(&mut Message<'_>),
    ) {
        self.0.add(kind(message_type), flags, what, &header(family, 0), attributes);
    }

    /// Adds elements, in as few messages as they fit in. Those of one set should follow each other. That one is there
    /// already is no error, unless it is a map's and leads elsewhere (EEXIST or EBUSY).
    pub(super) fn add(&mut self, elements: &'a [Element]) {
        self.elements(NFT_MSG_NEWSETELEM, CREATE, "add to the firewall set", elements, true);
    }

    /// Deletes elements, which must be there.
    pub(super) fn delete(&mut self, elements: &'a [Element]) {
        self.elements(NFT_MSG_DELSETELEM, 0, "remove from the firewall set", elements, false);
    }

    /// Deletes those elements that are there; EINVAL before Linux 6.3.
    pub(super) fn destroy(&mut self, elements: &'a [Element]) {
        self.elements(NFT_MSG_DESTROYSETELEM, 0, "remove from the firewall set", elements, false);
    }

    fn elements(
        &mut self,
        message_type: u16,
        flags: u16,
        operation: &'static str,
        elements: &'a [Element],
        with_data: bool,
    ) {
        for of_one_set in elements.chunk_by(|one, next| (one.family, one.set) == (next.family, next.set)) {
            let size = |element: &Element| {
                let comment = element.comment.as_ref().map_or(0, String::len);
                element.key.len() + element.data.len() + comment + ELEMENT
            };
            let largest = of_one_set.iter().map(size).max().unwrap_or(ELEMENT);
            for some in of_one_set.chunks((ELEMENTS / largest).max(1)) {
                let Some(first) = some.first() else { continue };
                self.change(message_type, first.family, flags, (operation, first.set), |message| {
                    sets::write(message, some, with_data);
                });
            }
        }
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
