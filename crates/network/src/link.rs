//! Network links: bridges and pairs of virtual Ethernet (rtnetlink(7), veth(4); linux/if_link.h).
//!
//! The pair is made in **one** message, its far end already in the container's namespace under its final name, both
//! ends down. Made here and moved, the same pair costs the kernel two waits for RCU grace periods (35 ms); with the
//! far end made up at once, the kernel refuses and waits as long for taking it back.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::error::{Error, Refusal, Result};
use crate::netlink::{self, ACK, Attributes, CREATE, EXCLUSIVE, Message, Requests, Socket};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const VETH_INFO_PEER: u16 = 1;
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_BR_MULTI_BOOLOPT: u16 = 46;
/// The first bit of `struct br_boolopt_multi`.
const NO_LINK_LOCAL_LEARN: u32 = 1;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
/// Leaves the counters out of answers about links.
const RTEXT_FILTER_SKIP_STATS: u32 = 8;

const AF_INET6: u16 = 10;
const IFF_UP: u32 = 1;
/// The bytes of `struct ifinfomsg`.
const HEADER: usize = 16;
/// The longest name of a link, in bytes.
const NAME_MAX: usize = 15;
/// The loopback device is the first link of every network namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// A MAC address.
pub type Mac = [u8; 6];

/// A link as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Whether it is set up (not whether it has a carrier).
    pub up: bool,
    /// What made it: "bridge", "veth", ...; empty for devices of a driver.
    pub kind: String,
    /// Its MAC address; zeros if it has none, or one of another length.
    pub mac: Mac,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// The link that it is a port of.
    pub master: Option<u32>,
    /// Whether it is a bridge that learns from frames which it does not forward: see [`learn_from_forwarded`].
    pub learns_from_all: bool,
}

/// Looks a link up by its name; None if there is none.
///
/// # Errors
/// When the kernel refuses for any other reason.
pub fn find(socket: &mut Socket, name: &str) -> Result<Option<Link>> {
    let mut requests = socket.requests();
    get(&mut requests, name);
    let mut found = Ok(None);
    socket.ask(&requests, |_, answer| found = read(name, answer))?;
    found
}

/// Deletes a link, and with one end of a pair the other; false if there was none.
///
/// The kernel waits for a grace period (10 to 40 ms), so do not do it while somebody waits: a link that goes with
/// its namespace costs nothing.
///
/// # Errors
/// When the kernel refuses for any other reason.
pub fn delete(socket: &mut Socket, name: &str) -> Result<bool> {
    check_name(name)?;
    let mut requests = socket.requests();
    requests.add(RTM_DELLINK, ACK, ("delete the link", name), &header(0, 0), |message| {
        message.text(IFLA_IFNAME, name);
    });
    match socket.run(&requests) {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Refuses what the kernel would refuse as a name, or would take for a pattern ('%'), and what is no plain text.
///
/// # Errors
/// [`Error::LinkName`].
pub fn check_name(name: &str) -> Result<()> {
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.len() > NAME_MAX {
        "it is longer than 15 bytes"
    } else if name == "." || name == ".." {
        "it is a folder's name"
    } else if !name.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:%\"'\\".contains(&byte)) {
        "it has characters that names of links cannot have"
    } else {
        return Ok(());
    };
    Err(Error::LinkName { name: name.to_owned(), problem })
}

/// Asks for a link by name; [`read`] takes the answer.
pub(crate) fn get<'a>(requests: &mut Requests<'a>, name: &'a str) {
    requests.add(RTM_GETLINK, 0, ("look up the link", name), &header(0, 0), |message| {
        message.text(IFLA_IFNAME, name).number(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    });
}

/// What the kernel answered to [`get`].
pub(crate) fn read(name: &str, answer: std::result::Result<&[u8], Errno>) -> Result<Option<Link>> {
    match answer {
        Ok(payload) => parse(payload)
            .map(Some)
            .ok_or(Error::Answer { operation: "look up a link", problem: "its description is cut short" }),
        Err(Errno::NODEV) => Ok(None),
        Err(errno) => Err(Refusal::new("look up the link", name, errno).into()),
    }
}

fn parse(payload: &[u8]) -> Option<Link> {
    let index = netlink::number(payload.get(4..8)?)?;
    let flags = netlink::number(payload.get(8..12)?)?;
    let mut link = Link {
        index,
        up: flags & IFF_UP != 0,
        kind: String::new(),
        mac: Mac::default(),
        mtu: 0,
        master: None,
        learns_from_all: false,
    };
    for (attribute, value) in Attributes::after(payload, HEADER) {
        match attribute {
            IFLA_ADDRESS => link.mac = value.try_into().unwrap_or_default(),
            IFLA_MTU => link.mtu = netlink::number(value)?,
            IFLA_MASTER => link.master = netlink::number(value),
            IFLA_LINKINFO => {
                let kind = Attributes::of(value).find(IFLA_INFO_KIND).and_then(netlink::text);
                link.kind = kind.unwrap_or_default().to_owned();
                let data = Attributes::of(value).find(IFLA_INFO_DATA).filter(|_| link.kind == "bridge");
                let options = data.and_then(|data| Attributes::of(data).find(IFLA_BR_MULTI_BOOLOPT));
                let values = options.and_then(|options| netlink::number(options.get(..4)?));
                // A kernel before 5.0 does not say, and cannot be told otherwise.
                link.learns_from_all = values.is_some_and(|values| values & NO_LINK_LOCAL_LEARN == 0);
            }
            _ => {}
        }
    }
    Some(link)
}

/// Makes a bridge, down. An error of the kernel's (EEXIST) if there is a link of that name.
pub(crate) fn create_bridge<'a>(requests: &mut Requests<'a>, name: &'a str, mac: Mac) {
    let flags = ACK | CREATE | EXCLUSIVE;
    requests.add(RTM_NEWLINK, flags, ("create the bridge", name), &header(0, 0), |message| {
        // A bridge without a MAC address of its own takes the lowest of its ports', and so changes it under its
        // neighbours when containers come and go.
        message.text(IFLA_IFNAME, name).bytes(IFLA_ADDRESS, &mac).nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "bridge");
        });
    });
}

/// Has a bridge learn where an address is only from frames that it forwards, and that have passed the firewall so.
///
/// Else anybody teaches it with a frame to one of its own multicast addresses (01:80:c2:00:00:0e, IEEE 802.1D), which no
/// chain sees, that another's address is at his port, and gets what is sent to that.
pub(crate) fn learn_from_forwarded<'a>(requests: &mut Requests<'a>, which: Which<'a>) {
    let operation = "keep from learning of what is not forwarded the bridge";
    requests.add(RTM_NEWLINK, ACK, (operation, which.name()), &which.header(0), |message| {
        which.write(message);
        message.nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "bridge").nest(IFLA_INFO_DATA, |data| {
                // The values, and which of them are meant.
                data.bytes(IFLA_BR_MULTI_BOOLOPT, &[NO_LINK_LOCAL_LEARN.to_ne_bytes(); 2].concat());
            });
        });
    });
}

/// Both ends of a pair of virtual Ethernet links.
#[derive(Debug)]
pub(crate) struct Pair<'a> {
    /// The near end's name, here.
    pub near: &'a str,
    /// The bridge that the near end becomes a port of.
    pub master: u32,
    /// The far end's name, in its namespace.
    pub far: &'a str,
    /// The far end's MAC address.
    pub far_mac: Mac,
    /// The far end's namespace.
    pub netns: BorrowedFd<'a>,
    /// The largest packet of both.
    pub mtu: u32,
}

/// Makes a pair, both ends down.
pub(crate) fn create_pair<'a>(requests: &mut Requests<'a>, pair: &Pair<'a>) {
    let flags = ACK | CREATE | EXCLUSIVE;
    let netns = pair.netns.as_raw_fd();
    requests.add(RTM_NEWLINK, flags, ("create the veth link", pair.near), &header(0, 0), |message| {
        message.text(IFLA_IFNAME, pair.near).number(IFLA_MTU, pair.mtu).number(IFLA_MASTER, pair.master);
        one_queue(message);
        message.nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |peer| {
                    peer.raw(&header(0, 0)).text(IFLA_IFNAME, pair.far).number(IFLA_MTU, pair.mtu);
                    one_queue(peer);
                    peer.bytes(IFLA_ADDRESS, &pair.far_mac).bytes(IFLA_NET_NS_FD, &netns.to_ne_bytes());
                });
            });
        });
    });
}

/// One queue for each direction, instead of one for each processor: veth does not wait at its queues (only XDP
/// programs use them), and the kernel makes an object in sysfs and an event for udev of each.
fn one_queue(message: &mut Message<'_>) {
    message.number(IFLA_NUM_TX_QUEUES, 1).number(IFLA_NUM_RX_QUEUES, 1);
}

/// What a bridge does with one of its ports.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PortFlag {
    /// Exchanges nothing with other isolated ports.
    Isolated,
    /// Gets back what it sent, if it is for itself.
    Hairpin,
}

/// Sets a flag of a bridge's port.
pub(crate) fn port_flag<'a>(requests: &mut Requests<'a>, which: Which<'a>, flag: PortFlag) {
    let (operation, attribute) = match flag {
        PortFlag::Isolated => ("isolate the bridge's port", IFLA_BRPORT_ISOLATED),
        PortFlag::Hairpin => ("turn on the hairpin mode of the bridge's port", IFLA_BRPORT_MODE),
    };
    requests.add(RTM_NEWLINK, ACK, (operation, which.name()), &which.header(0), |message| {
        which.write(message);
        message.nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_SLAVE_KIND, "bridge").nest(IFLA_INFO_SLAVE_DATA, |data| {
                data.bytes(attribute, &[1]);
            });
        });
    });
}

/// A macvlan link, which is made in the namespace where it stays.
#[derive(Debug)]
pub(crate) struct Macvlan<'a> {
    /// The parent's number, here.
    pub parent: u32,
    /// `IFLA_MACVLAN_MODE`.
    pub mode: u32,
    /// Its name, in its namespace.
    pub name: &'a str,
    /// Its MAC address; none for the parent's.
    pub mac: Option<Mac>,
    /// Its namespace.
    pub netns: BorrowedFd<'a>,
    /// Its largest packet.
    pub mtu: u32,
}

/// Makes a macvlan link, down.
pub(crate) fn create_macvlan<'a>(requests: &mut Requests<'a>, macvlan: &Macvlan<'a>) {
    let flags = ACK | CREATE | EXCLUSIVE;
    let netns = macvlan.netns.as_raw_fd();
    let what = ("create the macvlan link", macvlan.name);
    requests.add(RTM_NEWLINK, flags, what, &header(0, 0), |message| {
        message.text(IFLA_IFNAME, macvlan.name).number(IFLA_MTU, macvlan.mtu);
        message.number(IFLA_LINK, macvlan.parent).bytes(IFLA_NET_NS_FD, &netns.to_ne_bytes());
        if let Some(mac) = macvlan.mac {
            message.bytes(IFLA_ADDRESS, &mac);
        }
        message.nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "macvlan").nest(IFLA_INFO_DATA, |data| {
                data.number(IFLA_MACVLAN_MODE, macvlan.mode);
            });
        });
    });
}

/// Makes a link of a VLAN over another. That there is one of its name is no error.
pub(crate) fn create_vlan<'a>(requests: &mut Requests<'a>, name: &'a str, parent: u32, vlan: u16) {
    let flags = ACK | CREATE | EXCLUSIVE;
    requests
        .add(RTM_NEWLINK, flags, ("create the VLAN link", name), &header(0, 0), |message| {
            message.text(IFLA_IFNAME, name).number(IFLA_LINK, parent).nest(IFLA_LINKINFO, |info| {
                info.text(IFLA_INFO_KIND, "vlan").nest(IFLA_INFO_DATA, |data| {
                    data.bytes(IFLA_VLAN_ID, &vlan.to_ne_bytes());
                });
            });
        })
        .tolerating(Errno::EXIST);
}

/// How a request names a link.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// By its number; the name is for errors.
    Index(u32, &'a str),
    /// By its name, when its number isn't known yet.
    Name(&'a str),
}

impl<'a> Which<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Index(_, name) | Self::Name(name) => name,
        }
    }

    fn header(self, flags: u32) -> [u8; HEADER] {
        match self {
            Self::Index(index, _) => header(index, flags),
            Self::Name(_) => header(0, flags),
        }
    }

    fn write(self, message: &mut Message<'_>) {
        if let Self::Name(name) = self {
            message.text(IFLA_IFNAME, name);
        }
    }
}

/// Sets a link up.
pub(crate) fn up<'a>(requests: &mut Requests<'a>, which: Which<'a>) {
    requests.add(RTM_SETLINK, ACK, ("set up the link", which.name()), &which.header(IFF_UP), |message| {
        which.write(message);
    });
}

/// Makes a link a port of a bridge.
pub(crate) fn set_master<'a>(requests: &mut Requests<'a>, which: Which<'a>, master: u32) {
    let what = ("make a port of the bridge of the link", which.name());
    requests.add(RTM_SETLINK, ACK, what, &which.header(0), |message| {
        which.write(message);
        message.number(IFLA_MASTER, master);
    });
}

/// Sets the largest packet, in bytes.
pub(crate) fn mtu<'a>(requests: &mut Requests<'a>, which: Which<'a>, mtu: u32) {
    requests.add(RTM_SETLINK, ACK, ("set the MTU of the link", which.name()), &which.header(0), |message| {
        which.write(message);
        message.number(IFLA_MTU, mtu);
    });
}

/// Keeps the kernel from giving a link an IPv6 address by itself: on a network without IPv6, link-local addresses
/// would be a way around everything that is said about IPv4 (and the kernel would spend the link's first second on
/// finding duplicates). Where there is no IPv6 there is nothing to do.
pub(crate) fn no_ipv6_address<'a>(requests: &mut Requests<'a>, which: Which<'a>) {
    let operation = "turn off IPv6 addresses of the link";
    requests
        .add(RTM_SETLINK, ACK, (operation, which.name()), &which.header(0), |message| {
            which.write(message);
            message.nest(IFLA_AF_SPEC, |families| {
                families.nest(AF_INET6, |ipv6| {
                    ipv6.bytes(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
                });
            });
        })
        .tolerating(Errno::AFNOSUPPORT);
}

/// `struct ifinfomsg`: with `flags` set (no others are changed).
fn header(index: u32, flags: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    let (_, rest) = bytes.split_at_mut(4);
    for (place, value) in rest.chunks_exact_mut(4).zip([index, flags, flags]) {
        place.copy_from_slice(&value.to_ne_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests;
