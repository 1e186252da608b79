//! A question to the container's name service, and what is said to it: wire format in, wire format out, nothing else
//! is touched. RFC 1035, with EDNS (RFC 6891) for its size.
//!
//! Any program of the container may send anything. What cannot be read is answered with the code for it, or not at
//! all; an answer to a datagram is never longer than its sender said it takes. Nothing can be made to amplify: the
//! service's sockets are bound to 127.0.0.11 in the container's own network namespace, so that nobody outside can ask,
//! and no forged sender's address leads anywhere but back into it.

use std::io;
use std::net::IpAddr;

use hickory_proto::ProtoError;
use hickory_proto::op::{Header, HeaderCounts, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder};

use super::records::{Data, Extension, extension};

/// What a client takes that does not say.
const PLAIN: u16 = 512;
/// The longest datagram, whatever a client says.
pub const LONGEST: u16 = 4096;

/// What a question came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A connection.
    Tcp,
}

/// Who is called what.
pub trait Names {
    /// The addresses of a name, which is without a dot at its end; `None`: nobody known is called so.
    ///
    /// # Errors
    /// It is not known whether anybody is.
    fn addresses(&self, name: &str) -> io::Result<Option<Vec<IpAddr>>>;

    /// The name of an address.
    ///
    /// # Errors
    /// It is not known.
    fn name_of(&self, address: IpAddr) -> io::Result<Option<String>>;
}

/// A question that can be answered.
#[derive(Clone, Debug)]
pub struct Question {
    asked: Metadata,
    query: Query,
    /// Whether it came with EDNS, as the answer must then.
    extended: bool,
    room: usize,
}

impl Question {
    /// Reads it.
    ///
    /// # Errors
    /// What to answer instead, if anything.
    pub fn read(bytes: &[u8], transport: Transport) -> Result<Question, Option<Vec<u8>>> {
        let Ok(Header { metadata, counts }) = Header::read(&mut BinDecoder::new(bytes)) else {
            return Err(None);
        };
        // Whoever answered an answer could be made to talk to itself for ever.
        if metadata.message_type != MessageType::Query {
            return Err(None);
        }
        let refuse = |code| Err(Some(error(&metadata, code)));
        if metadata.op_code != OpCode::Query {
            return refuse(ResponseCode::NotImp);
        }
        if counts.queries != 1 {
            return refuse(ResponseCode::FormErr);
        }
        let mut decoder = BinDecoder::new(bytes);
        let parts = Header::read(&mut decoder).and_then(|_| Query::read(&mut decoder));
        let parts = parts.and_then(|query| Ok((query, extension(&mut decoder, counts)?)));
        let Ok((query, extension)) = parts else { return refuse(ResponseCode::FormErr) };
        let room = match transport {
            Transport::Udp => extension.map_or(PLAIN, |extension| extension.room).clamp(PLAIN, LONGEST),
            Transport::Tcp => u16::MAX,
        };
        let newer = extension.is_some_and(|extension| extension.version > 0);
        let question = Question { asked: metadata, query, extended: extension.is_some(), room: room.into() };
        if newer {
            return Err(Some(question.failed(ResponseCode::BADVERS)));
        }
        // What takes many messages nobody passes on here.
        if matches!(question.query.query_type, RecordType::AXFR | RecordType::IXFR) {
            return Err(Some(question.failed(ResponseCode::Refused)));
        }
        Ok(question)
    }

    /// The number that its asker gave it.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.asked.id
    }

    /// Whether `other` is the same, asked once more.
    pub(super) fn is(&self, other: &Question) -> bool {
        self.asked.id == other.asked.id && self.query == other.query
    }

    /// The answer; `None`: others are to be asked, which is so only if there are any (`forwards`). `turn`, a random
    /// number, says which of several addresses comes first.
    #[must_use]
    pub fn answer(&self, names: &impl Names, forwards: bool, turn: u32) -> Option<Vec<u8>> {
        let known = match self.query.query_class {
            DNSClass::IN => self.own(names, turn),
            _ => Ok(None),
        };
        match known {
            // What we know is never asked of others, not even what we do not know about it.
            Ok(Some(data)) => {
                let mut head = self.head(ResponseCode::NoError);
                head.authoritative = true;
                Some(self.fit(head, &data))
            }
            Ok(None) if forwards => None,
            Ok(None) if self.query.query_class == DNSClass::IN => Some(self.failed(ResponseCode::NXDomain)),
            Ok(None) => Some(self.failed(ResponseCode::Refused)),
            Err(_) => Some(self.failed(ResponseCode::ServFail)),
        }
    }

    /// What we know of the name that is meant; `None`: nothing.
    fn own(&self, names: &impl Names, turn: u32) -> io::Result<Option<Vec<Data>>> {
        let wanted = self.query.query_type;
        let wants = |kind: RecordType| wanted == kind || wanted == RecordType::ANY;
        if let Some(address) = address_of(&self.query.name) {
            let Some(name) = names.name_of(address)?.and_then(|name| domain(&name)) else { return Ok(None) };
            return Ok(Some(Vec::from_iter(wants(RecordType::PTR).then_some(Data::Name(name)))));
        }
        let Some(name) = text(&self.query.name) else { return Ok(None) };
        let Some(addresses) = names.addresses(&name)? else { return Ok(None) };
        let kind = |address: &IpAddr| if address.is_ipv4() { RecordType::A } else { RecordType::AAAA };
        let asked_for = addresses.into_iter().filter(|address| wants(kind(address)));
        let mut data: Vec<Data> = asked_for.map(Data::Address).collect();
        if let Some(first) = usize::try_from(turn).unwrap_or(0).checked_rem(data.len()) {
            data.rotate_left(first);
        }
        Ok(Some(data))
    }

    /// An answer that says only what is wrong.
    #[must_use]
    pub fn failed(&self, code: ResponseCode) -> Vec<u8> {
        self.fit(self.head(code), &[])
    }

    /// Whether `bytes` are a resolver's answer to this question, which was put to it under the number `id`; and what
    /// became of it.
    #[must_use]
    pub fn outcome(&self, bytes: &[u8], id: u16) -> Option<ResponseCode> {
        let mut decoder = BinDecoder::new(bytes);
        let Header { metadata, counts } = Header::read(&mut decoder).ok()?;
        let code = metadata.response_code;
        if metadata.id != id
            || metadata.message_type != MessageType::Response
            || metadata.op_code != OpCode::Query
        {
            return None;
        }
        // Some say nothing of the question they could not read.
        if counts.queries == 0 && code != ResponseCode::NoError && code != ResponseCode::NXDomain {
            return Some(code);
        }
        let about = Query::read(&mut decoder).ok().filter(|_| counts.queries == 1)?;
        let same = about.name == self.query.name
            && about.query_type == self.query.query_type
            && about.query_class == self.query.query_class;
        same.then_some(code)
    }

    /// A resolver's answer as the asker gets it; `length` is how long it was before it was cut, if it was.
    #[must_use]
    pub fn passed_on(&self, answer: &[u8], length: usize) -> Vec<u8> {
        let whole = length <= self.room && length == answer.len();
        match with_id(answer, self.asked.id).filter(|_| whole) {
            Some(answer) => answer,
            None => {
                let mut head = self.head(ResponseCode::NoError);
                head.truncation = true;
                self.fit(head, &[])
            }
        }
    }

    fn head(&self, code: ResponseCode) -> Metadata {
        let mut head = Metadata::response_from_request(&self.asked);
        head.recursion_available = true;
        head.response_code = code;
        head
    }

    /// Leaves out of an answer what is too much for its asker, who is told so, and may ask by TCP. (Some resolvers take
    /// what there is.)
    fn fit(&self, mut head: Metadata, data: &[Data]) -> Vec<u8> {
        let mut count = data.len();
        loop {
            let said = data.get(..count).unwrap_or_default();
            let length = match self.write(head, said) {
                Ok(bytes) if bytes.len() <= self.room => return bytes,
                Ok(bytes) => bytes.len(),
                // More than any message holds.
                Err(_) => self.room * 2,
            };
            if count == 0 {
                return error(&self.asked, ResponseCode::ServFail);
            }
            head.truncation = true;
            count = (count * self.room / length).min(count - 1);
        }
    }

    fn write(&self, head: Metadata, data: &[Data]) -> Result<Vec<u8>, ProtoError> {
        let counts = HeaderCounts {
            queries: 1,
            answers: u16::try_from(data.len()).map_err(|_| "too many records")?,
            authorities: 0,
            additionals: self.extended.into(),
        };
        let mut bytes = Vec::new();
        let mut encoder = BinEncoder::new(&mut bytes);
        Header { metadata: head, counts }.emit(&mut encoder)?;
        self.query.emit(&mut encoder)?;
        for data in data {
            data.write(&mut encoder)?;
        }
        if self.extended {
            Extension { room: LONGEST, version: 0 }.write(head.response_code, &mut encoder)?;
        }
        Ok(bytes)
    }
}

/// The query as it is put to a resolver, or an answer as it is given to its asker: with that number.
#[must_use]
pub fn with_id(bytes: &[u8], id: u16) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    bytes.get_mut(..2)?.copy_from_slice(&id.to_be_bytes());
    Some(bytes)
}

/// An answer to what was not understood well enough to repeat it.
fn error(asked: &Metadata, code: ResponseCode) -> Vec<u8> {
    let mut metadata = Metadata::response_from_request(asked);
    metadata.response_code = code;
    // Twelve bytes always have room.
    Header { metadata, counts: HeaderCounts::default() }.to_bytes().unwrap_or_default()
}

/// The name in lower case, if it can be one of ours at all: a dot within a label would be taken for one between two.
fn text(name: &Name) -> Option<String> {
    let mut text = String::new();
    for label in name {
        if label.contains(&b'.') {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(str::from_utf8(label).ok()?);
    }
    text.make_ascii_lowercase();
    Some(text).filter(|text| !text.is_empty())
}

/// The address that a name of in-addr.arpa or ip6.arpa is about.
fn address_of(name: &Name) -> Option<IpAddr> {
    let range = name.parse_arpa_name().ok()?;
    (range.prefix_len() == range.max_prefix_len()).then_some(range.addr())
}

fn domain(name: &str) -> Option<Name> {
    let mut name = Name::from_labels(name.split('.').map(str::as_bytes)).ok()?;
    name.set_fqdn(true);
    Some(name)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
pub(super) mod tests;
