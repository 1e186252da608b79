//! What only bridges and their ports have (`enum` IFLA_BR_… and IFLA_BRPORT_… of linux/if_link.h).

use super::{
    CREATE, EXCLUSIVE, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND, IFLA_LINKINFO, Mac, RTM_NEWLINK, Which, header,
};
use crate::netlink::{ACK, Requests};

pub(super) const IFLA_BR_MULTI_BOOLOPT: u16 = 46;
/// The first bit of `struct br_boolopt_multi`.
pub(super) const NO_LINK_LOCAL_LEARN: u32 = 1;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_ISOLATED: u16 = 33;

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
