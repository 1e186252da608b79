//! Tests of the name service in namespaces of their own: a container's programs ask, by UDP and TCP, at 127.0.0.11, port
//! 53; resolvers of the test's making are asked in the host's.

mod world;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::registry::{Registry, look_up};
use crate::names::registry::tests::membership;
use crate::networks::{Membership, Upstream};
use crate::status::ProcessId;
use world::{Resolver, SERVICE, World, answers, ask_tcp, ask_udp, query, tcp, udp};

fn dead() -> ProcessId {
    let own = ProcessId::of(std::process::id().cast_signed()).unwrap();
    ProcessId { started: own.started + 1, ..own }
}

fn with_a_way_out(mut network: Membership) -> Membership {
    network.endpoint.gateways.push("10.0.0.1".parse().unwrap());
    network
}

fn at(address: &str) -> Upstream {
    Upstream { address: address.parse().unwrap(), inside: false }
}

/// A resolver's answer: 192.0.2.7.
fn good(asked: &Message) -> Message {
    let mut message = asked.clone().into_response();
    let name = asked.queries[0].name.clone();
    message.add_answer(Record::from_rdata(name, 60, RData::A(A([192, 0, 2, 7].into()))));
    message
}

#[test]
fn containers_find_each_other_over_udp_and_tcp() {
    let world = World::new(&[]);
    let (web, db) = (world.container("c1"), world.container("c2"));
    let mut first = membership(&["10.0.0.2/24", "fd00::2/64"], &["web", "c10123456789"]);
    first.links.insert("Store".into(), "db".into());
    world.join(&web, &first);
    world.join(&db, &membership(&["10.0.0.3/24"], &["db", "shared.alias"]));
    let found = |name: &str, kind| {
        let all = answers(&ask_udp(&web, &query(name, kind)));
        assert_eq!(answers(&ask_tcp(&web, &query(name, kind))), all);
        all
    };
    for name in ["db.", "DB.", "shared.alias.", "db.backend.", "shared.alias.Backend.", "store."] {
        assert_eq!(found(name, RecordType::A), ["10.0.0.3"], "{name}");
        assert_eq!(found(name, RecordType::AAAA), [""; 0]);
    }
    assert_eq!(found("web.", RecordType::AAAA), ["fd00::2"]);
    assert_eq!(found("c10123456789.", RecordType::A), ["10.0.0.2"]);
    assert_eq!(found("3.0.0.10.in-addr.arpa.", RecordType::PTR), ["db.backend."]);
    assert_eq!(ask_udp(&db, &query("store.", RecordType::A)).metadata.response_code, ResponseCode::NXDomain);
    // By another name from now on, and by none of it from then on.
    world.change(&db, |names| names.renamed("Base").unwrap());
    assert_eq!(
        (found("base.", RecordType::A), found("db.", RecordType::A)),
        (vec!["10.0.0.3".into()], vec![])
    );
    assert_eq!(found("3.0.0.10.in-addr.arpa.", RecordType::PTR), ["Base.backend."]);
    assert_eq!(found("shared.alias.", RecordType::A), ["10.0.0.3"]);
    world.change(&db, |names| names.left("n1"));
    assert_eq!(found("base.", RecordType::A), [""; 0]);
    assert_eq!(ask_udp(&db, &query("web.", RecordType::A)).metadata.response_code, ResponseCode::NXDomain);
}

#[test]
fn who_joins_again_has_what_is_new_alone() {
    let world = World::new(&[]);
    let web = world.container("c1");
    world.join(&web, &membership(&["10.0.0.2/24"], &["web", "old"]));
    let mut second = membership(&["10.0.1.2/24"], &["web"]);
    second.id = "n2".into();
    world.join(&web, &second);
    world.join(&web, &membership(&["10.0.0.7/24", "fd00::7/64"], &["web", "new"]));
    let at = |name: &str| answers(&ask_udp(&web, &query(name, RecordType::A)));
    // The network is the first still.
    assert_eq!(
        (at("web."), at("new."), at("old.")),
        (vec!["10.0.0.7".into()], vec!["10.0.0.7".into()], vec![])
    );
    assert_eq!(answers(&ask_udp(&web, &query("2.0.0.10.in-addr.arpa.", RecordType::PTR))), [""; 0]);
    world.join(&web, &membership(&["10.0.0.7/24"], &[]));
    assert_eq!((at("web."), at("new.")), (vec!["10.0.1.2".into()], vec![]));
    assert_eq!(look_up(world.folder(), "n1", "web").unwrap(), None);
}

#[test]
fn a_rename_that_fails_changes_nothing() {
    let world = World::new(&[]);
    let web = world.container("c1");
    world.join(&web, &membership(&["10.0.0.2/24"], &["web", "www"]));
    // Nobody can make a folder here.
    std::fs::write(world.folder().join("n1/names/new"), "").unwrap();
    world.change(&web, |names| assert!(names.renamed("new").is_err()));
    assert_eq!(answers(&ask_udp(&web, &query("web.", RecordType::A))), ["10.0.0.2"]);
    assert_eq!(answers(&ask_udp(&web, &query("2.0.0.10.in-addr.arpa.", RecordType::PTR))), ["web.backend."]);
}

#[test]
fn the_container_keeps_port_53_for_itself() {
    let world = World::new(&[]);
    let web = world.container("c1");
    world.join(&web, &membership(&["10.0.0.2/24"], &["web"]));
    web.run(|| {
        std::net::UdpSocket::bind(SERVICE).unwrap();
        std::net::TcpListener::bind(("0.0.0.0", 53)).unwrap();
    });
    assert_eq!(answers(&ask_udp(&web, &query("web.", RecordType::A))), ["10.0.0.2"]);
}

#[test]
fn a_network_without_names_has_no_service() {
    let world = World::new(&[]);
    let web = world.container("c1");
    world.join(&web, &membership(&["10.0.0.2/24"], &[]));
    world.change(&web, |names| assert!(names.server.is_none() && names.due().is_none()));
    let mut named = membership(&["10.0.1.2/24"], &["web"]);
    named.id = "n2".into();
    world.join(&web, &named);
    assert_eq!(answers(&ask_udp(&web, &query("web.", RecordType::A))), ["10.0.1.2"]);
}

#[test]
fn two_hundred_names_and_one_that_all_have() {
    let world = World::new(&[]);
    let web = world.container("c1");
    world.join(&web, &membership(&["10.0.0.2/24"], &["web"]));
    let own = ProcessId::of(std::process::id().cast_signed()).unwrap();
    for number in 0..200 {
        let registry = Registry::new(world.folder(), &format!("x{number}"), &own).unwrap();
        let address = format!("10.9.0.{number}/16");
        registry.publish(&membership(&[&address], &[&format!("x{number}"), "all"])).unwrap();
    }
    for number in 0..200 {
        let said = answers(&ask_udp(&web, &query(&format!("x{number}."), RecordType::A)));
        assert_eq!(said, [format!("10.9.0.{number}")]);
    }
    let short = ask_udp(&web, &query("all.", RecordType::A));
    assert!(short.metadata.truncation && (20..200).contains(&short.answers.len()));
    let mut large = query("all.", RecordType::A);
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    large.set_edns(edns);
    assert_eq!(ask_udp(&web, &large).answers.len(), 200);
    let mut firsts: Vec<String> =
        (0..50).map(|_| ask_tcp(&web, &query("all.", RecordType::A)).answers[0].data.to_string()).collect();
    firsts.sort();
    firsts.dedup();
    assert!(firsts.len() > 10, "the first of 200 is nearly always another: {firsts:?}");
}

#[test]
fn the_dead_are_not_found() {
    let world = World::new(&[]);
    let web = world.container("c1");
    world.join(&web, &membership(&["10.0.0.2/24"], &["web"]));
    Registry::new(world.folder(), "c2", &dead())
        .unwrap()
        .publish(&membership(&["10.0.0.9/24"], &["web", "gone"]))
        .unwrap();
    assert_eq!(answers(&ask_udp(&web, &query("web.", RecordType::A))), ["10.0.0.2"]);
    assert_eq!(ask_udp(&web, &query("gone.", RecordType::A)).metadata.response_code, ResponseCode::NXDomain);
    assert!(!world.folder().join("n1/names/gone").exists());
}

#[test]
fn at_the_end_nobody_finds_it() {
    let world = World::new(&[]);
    let web = world.container("c1");
    world.join(&web, &membership(&["10.0.0.2/24"], &["web"]));
    world.change(&web, super::Names::end);
    assert_eq!(look_up(world.folder(), "n1", "web").unwrap(), None);
}

#[test]
fn other_names_are_asked_of_the_host_s_resolvers() {
    let world = World::new(&[at("127.0.0.1")]);
    let _resolver = Resolver::at(&world, "127.0.0.1", |asked| vec![good(asked)]);
    let web = world.container("c1");
    world.join(&web, &with_a_way_out(membership(&["10.0.0.2/24"], &["web"])));
    for answer in [
        ask_udp(&web, &query("Example.org.", RecordType::A)),
        ask_tcp(&web, &query("Example.org.", RecordType::A)),
    ] {
        assert_eq!(
            (answer.metadata.id, answers(&answer)),
            (query("x.", RecordType::A).metadata.id, vec!["192.0.2.7".to_owned()])
        );
    }
    // Own names never leave.
    assert_eq!(answers(&ask_udp(&web, &query("web.", RecordType::AAAA))), [""; 0]);
}

#[test]
fn without_a_way_out_nobody_is_asked() {
    let world = World::new(&[at("127.0.0.1")]);
    let resolver = Resolver::at(&world, "127.0.0.1", |asked| vec![good(asked)]);
    let web = world.container("c1");
    world.join(&web, &membership(&["10.0.0.2/24"], &["web"]));
    let answer = ask_udp(&web, &query("secret.example.org.", RecordType::A));
    assert_eq!((answer.metadata.response_code, resolver.asked()), (ResponseCode::NXDomain, 0));
}

#[test]
fn a_resolver_of_the_container_s_own_is_asked_from_within() {
    let inside = Upstream { address: "127.0.0.9".parse().unwrap(), inside: true };
    let world = World::new(&[inside]);
    let web = world.container("c1");
    let _resolver = Resolver::within(&web, "127.0.0.9", |asked| vec![good(asked)]);
    world.join(&web, &membership(&["10.0.0.2/24"], &["web"]));
    assert_eq!(answers(&ask_udp(&web, &query("example.org.", RecordType::A))), ["192.0.2.7"]);
    assert_eq!(answers(&ask_tcp(&web, &query("example.org.", RecordType::A))), ["192.0.2.7"]);
}

#[test]
fn lies_are_not_heard() {
    let world = World::new(&[at("127.0.0.1")]);
    let _resolver = Resolver::at(&world, "127.0.0.1", |asked| {
        let mut lie = good(asked);
        lie.answers[0].data = RData::A(A([203, 0, 113, 66].into()));
        let mut of_another_id = lie.clone();
        of_another_id.metadata.id = !asked.metadata.id;
        let mut of_another_name = lie.clone();
        of_another_name.queries[0] = Query::query(Name::from_ascii("bank.example.").unwrap(), RecordType::A);
        let no_answer = {
            let mut m = lie;
            m.metadata.message_type = hickory_proto::op::MessageType::Query;
            m
        };
        vec![of_another_id, of_another_name, no_answer, good(asked)]
    });
    let web = world.container("c1");
    world.join(&web, &with_a_way_out(membership(&["10.0.0.2/24"], &["web"])));
    assert_eq!(answers(&ask_udp(&web, &query("example.org.", RecordType::A))), ["192.0.2.7"]);
}

#[test]
fn who_refuses_or_is_silent_is_followed_by_the_next() {
    // Nobody is at the first; the second fails; the third is silent at first.
    let world = World::new(&[at("127.0.0.1"), at("127.0.0.2"), at("127.0.0.3")]);
    let failing = Resolver::at(&world, "127.0.0.2", |asked| {
        let mut message = asked.clone().into_response();
        message.metadata.response_code = ResponseCode::ServFail;
        vec![message]
    });
    let third = Resolver::at(&world, "127.0.0.3", |asked| vec![good(asked)]);
    let web = world.container("c1");
    world.join(&web, &with_a_way_out(membership(&["10.0.0.2/24"], &["web"])));
    for answer in [
        ask_udp(&web, &query("example.org.", RecordType::A)),
        ask_tcp(&web, &query("example.org.", RecordType::A)),
    ] {
        assert_eq!(answers(&answer), ["192.0.2.7"]);
    }
    assert_eq!((failing.asked(), third.asked()), (2, 2));
}

#[test]
fn when_nobody_answers_that_is_said() {
    let world = World::new(&[at("127.0.0.1")]);
    let silent = Resolver::at(&world, "127.0.0.1", |_| Vec::new());
    let web = world.container("c1");
    world.join(&web, &with_a_way_out(membership(&["10.0.0.2/24"], &["web"])));
    let answer = ask_udp(&web, &query("example.org.", RecordType::A));
    assert_eq!((answer.metadata.response_code, silent.asked()), (ResponseCode::ServFail, 2));
    world.change(&web, |names| assert_eq!(names.due(), None, "nothing is waited for any more"));
}

#[test]
fn a_silent_resolver_delays_nobody_else_and_too_many_questions_are_refused() {
    let world = World::new(&[at("127.0.0.1")]);
    let _silent = Resolver::at(&world, "127.0.0.1", |_| Vec::new());
    let web = world.container("c1");
    world.join(&web, &with_a_way_out(membership(&["10.0.0.2/24"], &["web"])));
    let socket = udp(&web);
    for number in 0..150u16 {
        let mut asked = query("example.org.", RecordType::A);
        asked.metadata.id = number;
        socket.send(&asked.to_vec().unwrap()).unwrap();
    }
    // The same again is no more work.
    let mut again = query("example.org.", RecordType::A);
    again.metadata.id = 0;
    socket.send(&again.to_vec().unwrap()).unwrap();
    let mut own = query("web.", RecordType::A);
    own.metadata.id = 999;
    socket.send(&own.to_vec().unwrap()).unwrap();
    let mut refused = 0;
    loop {
        let answer = world::receive(&socket);
        if answer.metadata.id == 999 {
            assert_eq!(answers(&answer), ["10.0.0.2"]);
            break;
        }
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        refused += 1;
    }
    assert_eq!(refused, 50);
}

#[test]
fn what_a_resolver_cuts_is_asked_by_tcp() {
    let world = World::new(&[at("127.0.0.1")]);
    let _resolver = Resolver::at(&world, "127.0.0.1", |asked| {
        let mut long = good(asked);
        for _ in 0..1000 {
            long.answers.push(long.answers[0].clone());
        }
        vec![long]
    });
    let web = world.container("c1");
    world.join(&web, &with_a_way_out(membership(&["10.0.0.2/24"], &["web"])));
    let short = ask_udp(&web, &query("example.org.", RecordType::A));
    assert!(short.metadata.truncation);
    assert_eq!(ask_tcp(&web, &query("example.org.", RecordType::A)).answers.len(), 1001);
}

#[test]
fn malformed_questions_and_idle_or_slow_connections_are_nobody_s_trouble() {
    let world = World::new(&[]);
    let web = world.container("c1");
    world.join(&web, &membership(&["10.0.0.2/24"], &["web"]));
    let socket = udp(&web);
    for bytes in [&b""[..], &[0; 11], &[0xff; 600], &[0x12; 4096], &[7; 9000]] {
        socket.send(bytes).unwrap();
    }
    // More than there may be; each stays in the middle of a message.
    let idle: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = tcp(&web);
            std::io::Write::write_all(&mut stream, &[0, 40, 1]).unwrap();
            stream
        })
        .collect();
    let mut wrong = tcp(&web);
    std::io::Write::write_all(&mut wrong, &[0xff, 0xff, 1, 2]).unwrap();
    assert_eq!(answers(&ask_udp(&web, &query("web.", RecordType::A))), ["10.0.0.2"]);
    assert_eq!(answers(&ask_tcp(&web, &query("web.", RecordType::A))), ["10.0.0.2"]);
    world.change(&web, |names| {
        let server = names.server.as_ref().unwrap();
        assert!(names.due().unwrap() <= Instant::now() + Duration::from_secs(10));
        assert!(server.clients() <= 32);
    });
    drop(idle);
}

#[test]
fn several_questions_on_one_connection_are_answered_in_turn() {
    let world = World::new(&[at("127.0.0.1")]);
    let _resolver = Resolver::at(&world, "127.0.0.1", |asked| vec![good(asked)]);
    let web = world.container("c1");
    world.join(&web, &with_a_way_out(membership(&["10.0.0.2/24"], &["web"])));
    let mut stream = tcp(&web);
    for name in ["web.", "example.org.", "web."] {
        world::send(&mut stream, &query(name, RecordType::A));
    }
    let said: Vec<_> = (0..3).map(|_| answers(&world::take(&mut stream))).collect();
    assert_eq!(said, [["10.0.0.2"], ["192.0.2.7"], ["10.0.0.2"]]);
}

#[test]
fn the_first_network_that_knows_a_name_counts() {
    let world = World::new(&[]);
    let (web, db) = (world.container("c1"), world.container("c2"));
    let named = |id: &str, name: &str, address: &str, own: &str| {
        let mut network = membership(&[address], &[own]);
        (network.id, network.name) = (id.to_owned(), name.to_owned());
        network
    };
    world.join(&web, &named("front", "frontend", "10.1.0.2/24", "web"));
    world.join(&web, &named("back", "backend", "10.2.0.2/24", "web"));
    world.join(&db, &named("back", "backend", "10.2.0.3/24", "db"));
    let at = |who, name: &str| answers(&ask_udp(who, &query(name, RecordType::A)));
    assert_eq!(at(&web, "web."), ["10.1.0.2"]);
    assert_eq!(at(&web, "web.backend."), ["10.2.0.2"]);
    assert_eq!(at(&web, "db."), ["10.2.0.3"]);
    assert_eq!(at(&db, "web."), ["10.2.0.2"]);
    // What is on a network of others only is not known.
    assert_eq!(at(&db, "web.frontend."), [""; 0]);
}
