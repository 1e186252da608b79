//! What is built here, read by another implementation of the protocol.

use std::os::fd::AsFd;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use super::*;

fn parse_as_others_do(bytes: &[u8]) -> LinkMessage {
    let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes).unwrap();
    assert_eq!(usize::try_from(message.header.length).unwrap(), bytes.len());
    match message.payload {
        NetlinkPayload::InnerMessage(
            RouteNetlinkMessage::NewLink(link)
            | RouteNetlinkMessage::SetLink(link)
            | RouteNetlinkMessage::GetLink(link),
        ) => link,
        other => panic!("not about a link: {other:?}"),
    }
}

#[test]
fn a_pair_is_one_message_with_the_peer_in_its_place() {
    let netns = std::fs::File::open("/dev/null").unwrap();
    let mut requests = Requests::starting_at(1);
    let mac = [2, 0x42, 10, 0, 0, 2];
    let pair = Pair { near: "bh1", master: 7, far: "eth0", far_mac: mac, netns: netns.as_fd(), mtu: 1400 };
    create_pair(&mut requests, &pair);
    let link = parse_as_others_do(requests.bytes().unwrap());

    assert!(link.attributes.contains(&LinkAttribute::IfName("bh1".into())));
    assert!(link.attributes.contains(&LinkAttribute::Controller(7)));
    assert!(link.attributes.contains(&LinkAttribute::Mtu(1400)));
    let info = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(info) => Some(info),
        _ => None,
    });
    let [LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(data))] = info.unwrap().as_slice()
    else {
        panic!("not a pair: {info:?}");
    };
    let InfoVeth::Peer(peer) = data else { panic!("no peer: {data:?}") };
    let fd = netns.as_raw_fd();
    let expected = [
        LinkAttribute::IfName("eth0".into()),
        LinkAttribute::Mtu(1400),
        LinkAttribute::NumTxQueues(1),
        LinkAttribute::NumRxQueues(1),
        LinkAttribute::Address(mac.to_vec()),
        LinkAttribute::NetNsFd(fd),
    ];
    assert_eq!(peer.attributes, expected);
    assert!(peer.header.flags.is_empty(), "a peer made up costs 34 ms and fails");
}

#[test]
fn up_changes_that_flag_only() {
    let mut requests = Requests::starting_at(1);
    up(&mut requests, Which::Index(3, "eth0"));
    let link = parse_as_others_do(requests.bytes().unwrap());
    assert_eq!(link.header.index, 3);
    assert_eq!((link.header.flags, link.header.change_mask), (LinkFlags::Up, LinkFlags::Up));
}

#[test]
fn names_that_no_link_can_have() {
    for bad in ["", ".", "..", "a b", "a/b", "a:b", "eth%d", "sixteen-letters-", "ä", "a\0b", "\"q\""] {
        let error = check_name(bad).unwrap_err().to_string();
        assert!(error.contains("cannot be the name of a network link"), "{bad}: {error}");
    }
    for good in ["bh0", "docker0", "br-0123456789ab", "fifteen-letters", "a.b_c"] {
        check_name(good).unwrap();
    }
}

#[test]
fn a_description_that_is_cut_short_is_an_error() {
    assert!(read("bh0", Ok(&[0; 11])).is_err());
    assert!(matches!(read("bh0", Err(Errno::NODEV)), Ok(None)));
}

#[test]
fn a_vlan_and_the_flags_of_a_port() {
    let mut requests = Requests::starting_at(1);
    create_vlan(&mut requests, "eth0.50", 4, 50);
    let link = parse_as_others_do(requests.bytes().unwrap());
    assert!(link.attributes.contains(&LinkAttribute::Link(4)), "{link:?}");
    let text = format!("{link:?}");
    assert!(text.contains("Kind(Vlan)") && text.contains("Id(50)"), "{text}");

    let mut requests = Requests::starting_at(1);
    port_flag(&mut requests, Which::Index(3, "bhp1"), PortFlag::Isolated);
    let text = format!("{:?}", parse_as_others_do(requests.bytes().unwrap()));
    assert!(text.contains("PortKind(Bridge)") && text.contains("Isolated(true)"), "{text}");
}
