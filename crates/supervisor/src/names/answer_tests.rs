//! Tests of [`super`].

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use proptest::prelude::*;

use super::{Names, Question, Transport, with_id};

#[derive(Default)]
struct Known {
    addresses: BTreeMap<String, Vec<IpAddr>>,
    broken: bool,
}

impl Names for Known {
    fn addresses(&self, name: &str) -> io::Result<Option<Vec<IpAddr>>> {
        if self.broken {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(self.addresses.get(name).cloned())
    }

    fn name_of(&self, address: IpAddr) -> io::Result<Option<String>> {
        let found = self.addresses.iter().find(|(_, all)| all.contains(&address));
        Ok(found.map(|(name, _)| format!("{name}.backend")))
    }
}

fn known() -> Known {
    let mut known = Known::default();
    known.addresses.insert("web".into(), vec!["10.0.0.2".parse().unwrap()]);
    known.addresses.insert("db.one".into(), vec!["10.0.0.3".parse().unwrap(), "fd00::3".parse().unwrap()]);
    let many = (0..200u8).map(|last| IpAddr::from([10, 0, 1, last])).collect();
    known.addresses.insert("many".into(), many);
    known
}

pub(crate) fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn ask_with(message: &Message, transport: Transport, turn: u32) -> Option<Message> {
    let question = Question::read(&message.to_vec().unwrap(), transport).unwrap();
    question.answer(&known(), false, turn).map(|bytes| Message::from_vec(&bytes).unwrap())
}

fn ask(name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
    let message = ask_with(&query(name, kind), Transport::Udp, 0).unwrap();
    assert_eq!((message.metadata.id, message.metadata.message_type), (0x1234, MessageType::Response));
    assert!(message.metadata.recursion_available && message.metadata.recursion_desired);
    let said = message.answers.iter().map(|record| {
        assert_eq!(record.ttl, 0);
        record.data.to_string()
    });
    (message.metadata.response_code, said.collect())
}

fn refusal(bytes: &[u8]) -> Option<ResponseCode> {
    let answer = Question::read(bytes, Transport::Udp).expect_err("it cannot be answered")?;
    Some(Message::from_vec(&answer).unwrap().metadata.response_code)
}

#[test]
fn own_names_are_answered_in_any_case() {
    let found = |texts: &[&str]| (ResponseCode::NoError, texts.iter().map(|t| (*t).to_owned()).collect());
    assert_eq!(ask("WeB.", RecordType::A), found(&["10.0.0.2"]));
    assert_eq!(ask("db.one.", RecordType::AAAA), found(&["fd00::3"]));
    assert_eq!(ask("db.one.", RecordType::ANY), found(&["10.0.0.3", "fd00::3"]));
    assert_eq!(ask("2.0.0.10.in-addr.arpa.", RecordType::PTR), found(&["web.backend."]));
    let six = format!("3{}.0.0.d.f.ip6.arpa.", ".0".repeat(27));
    assert_eq!(ask(&six, RecordType::PTR), found(&["db.one.backend."]));
}

#[test]
fn what_is_not_known_of_an_own_name_is_nothing_and_asked_of_nobody() {
    for (name, kind) in
        [("web.", RecordType::AAAA), ("web.", RecordType::MX), ("2.0.0.10.in-addr.arpa.", RecordType::A)]
    {
        let question = Question::read(&query(name, kind).to_vec().unwrap(), Transport::Udp).unwrap();
        let answer = Message::from_vec(&question.answer(&known(), true, 0).unwrap()).unwrap();
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 0));
    }
}

#[test]
fn other_names_are_asked_of_others_if_there_are_any() {
    for name in ["example.org.", "single.", "9.0.0.10.in-addr.arpa.", "10.in-addr.arpa.", "."] {
        let question = Question::read(&query(name, RecordType::A).to_vec().unwrap(), Transport::Udp).unwrap();
        assert_eq!(question.answer(&known(), true, 0), None, "{name}");
        assert_eq!(ask(name, RecordType::A).0, ResponseCode::NXDomain, "{name}");
    }
    let mut chaos = query("web.", RecordType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(ask_with(&chaos, Transport::Udp, 0).unwrap().metadata.response_code, ResponseCode::Refused);
}

#[test]
fn names_that_cannot_be_read_are_no_reason_to_ask_others() {
    let question = Question::read(&query("web.", RecordType::A).to_vec().unwrap(), Transport::Udp).unwrap();
    let broken = Known { broken: true, ..Known::default() };
    let answer = Message::from_vec(&question.answer(&broken, true, 0).unwrap()).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn a_label_with_a_dot_in_it_is_another_name() {
    let mut message = query("web.", RecordType::A);
    let name = Name::from_labels([&b"db.one"[..]]).unwrap();
    message.queries[0].set_name(name);
    assert_eq!(ask_with(&message, Transport::Udp, 0).unwrap().metadata.response_code, ResponseCode::NXDomain);
}

#[test]
fn each_of_several_addresses_has_its_turn_to_be_first() {
    let first = |turn| {
        let message = ask_with(&query("many.", RecordType::A), Transport::Tcp, turn).unwrap();
        assert_eq!(message.answers.len(), 200);
        message.answers[0].data.to_string()
    };
    assert_eq!((first(0), first(7), first(201)), ("10.0.1.0".into(), "10.0.1.7".into(), "10.0.1.1".into()));
}

#[test]
fn an_answer_is_as_long_as_its_asker_takes() {
    for (payload, least) in [(None, 25), (Some(100), 25), (Some(1232), 65), (Some(65535), 200)] {
        let mut message = query("many.", RecordType::A);
        if let Some(payload) = payload {
            let mut edns = Edns::new();
            edns.set_max_payload(payload);
            message.set_edns(edns);
        }
        let question = Question::read(&message.to_vec().unwrap(), Transport::Udp).unwrap();
        let bytes = question.answer(&known(), false, 0).unwrap();
        let answer = Message::from_vec(&bytes).unwrap();
        assert!(bytes.len() <= payload.unwrap_or(0).clamp(512, 4096).into(), "{payload:?}: {}", bytes.len());
        assert!(answer.answers.len() >= least, "{payload:?}: {}", answer.answers.len());
        assert_eq!(answer.metadata.truncation, answer.answers.len() < 200);
        assert_eq!(answer.edns.is_some(), payload.is_some());
    }
}

#[test]
fn what_is_no_question_is_refused_or_not_heard() {
    let whole = query("web.", RecordType::A);
    let bytes = |change: &dyn Fn(&mut Message)| {
        let mut message = whole.clone();
        change(&mut message);
        message.to_vec().unwrap()
    };
    assert_eq!(refusal(b""), None);
    assert_eq!(refusal(&[0; 11]), None);
    assert_eq!(refusal(&bytes(&|m| m.metadata.message_type = MessageType::Response)), None);
    for code in [OpCode::Status, OpCode::Notify, OpCode::Update, OpCode::Unknown(9)] {
        assert_eq!(refusal(&bytes(&|m| m.metadata.op_code = code)), Some(ResponseCode::NotImp), "{code}");
    }
    assert_eq!(refusal(&bytes(&|m| drop(m.queries.pop()))), Some(ResponseCode::FormErr));
    let twice = bytes(&|m| m.queries.push(m.queries[0].clone()));
    assert_eq!(refusal(&twice), Some(ResponseCode::FormErr));
    let cut = bytes(&|_| ());
    assert_eq!(refusal(&cut[..cut.len() - 1]), Some(ResponseCode::FormErr));
    assert_eq!(refusal(&bytes(&|m| m.queries[0].query_type = RecordType::AXFR)), Some(ResponseCode::Refused));
    let newer = bytes(&|m| {
        let mut edns = Edns::new();
        edns.set_version(1);
        m.set_edns(edns);
    });
    // The same number as BADVERS has.
    assert_eq!(refusal(&newer), Some(ResponseCode::BADSIG));
}

#[test]
fn only_an_answer_to_the_question_counts() {
    let question =
        Question::read(&query("example.org.", RecordType::A).to_vec().unwrap(), Transport::Udp).unwrap();
    let mut reply = query("EXAMPLE.org.", RecordType::A);
    reply.metadata.id = 7;
    reply.metadata.message_type = MessageType::Response;
    let outcome = |reply: &Message| question.outcome(&reply.to_vec().unwrap(), 7);
    assert_eq!(outcome(&reply), Some(ResponseCode::NoError));
    let wrong: [&dyn Fn(&mut Message); 6] = [
        &|m| m.metadata.id = 8,
        &|m| m.metadata.message_type = MessageType::Query,
        &|m| m.queries[0] = Query::query(Name::from_ascii("example.com.").unwrap(), RecordType::A),
        &|m| m.queries[0].query_type = RecordType::AAAA,
        &|m| m.queries[0].query_class = DNSClass::CH,
        &|m| drop(m.queries.pop()),
    ];
    for (index, change) in wrong.iter().enumerate() {
        let mut lie = reply.clone();
        change(&mut lie);
        assert_eq!(outcome(&lie), None, "{index}");
    }
    reply.queries.clear();
    reply.metadata.response_code = ResponseCode::FormErr;
    assert_eq!(outcome(&reply), Some(ResponseCode::FormErr));
}

#[test]
fn what_others_say_is_passed_on_or_said_to_be_too_long() {
    let question =
        Question::read(&query("example.org.", RecordType::A).to_vec().unwrap(), Transport::Udp).unwrap();
    let mut reply = [9; 600];
    assert_eq!(question.passed_on(&reply[..512], 512)[..4], [0x12, 0x34, 9, 9]);
    reply[..2].copy_from_slice(&[0, 7]);
    for (bytes, length) in [(&reply[..], 600), (&reply[..512], 600)] {
        let answer = Message::from_vec(&question.passed_on(bytes, length)).unwrap();
        assert!(answer.metadata.truncation && answer.metadata.id == 0x1234);
    }
}

proptest! {
    #[test]
    fn anything_may_be_asked(
        head in any::<[u8; 4]>(),
        counts in any::<[u8; 4]>(),
        rest in proptest::collection::vec(any::<u8>(), 0..200),
        plain in any::<bool>(),
    ) {
        // Half of them with a head that gets them further.
        let mut bytes = if plain { vec![head[0], head[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, counts[0] & 3] } else { [head, counts, counts].concat() };
        bytes.extend(rest);
        for (transport, most) in [(Transport::Udp, 4096), (Transport::Tcp, 65535)] {
            match Question::read(&bytes, transport) {
                Ok(question) => {
                    let answer = question.answer(&known(), false, 1).unwrap();
                    prop_assert!(answer.len() <= most);
                    let answer = Message::from_vec(&answer).unwrap();
                    prop_assert_eq!(&answer.metadata.id.to_be_bytes()[..], &bytes[..2]);
                    let _ = question.outcome(&bytes, question.id());
                }
                Err(answer) => prop_assert!(answer.is_none_or(|answer| answer.len() <= bytes.len().max(512))),
            }
        }
        let _ = with_id(&bytes, 3);
    }

    #[test]
    fn any_name_may_be_asked(labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..64), 0..4)) {
        let mut message = query("web.", RecordType::A);
        let mut name = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
        name.set_fqdn(true);
        message.queries[0].set_name(name.clone());
        let answer = ask_with(&message, Transport::Udp, 0).unwrap();
        prop_assert_eq!(&answer.queries[0].name, &name);
        prop_assert!(answer.answers.iter().all(|record| matches!(record.data, RData::A(_))));
    }
}
