//! The records of a message (RFC 1035, 4.1.3).
//!
//! What records say is passed over when they are read, and there are three kinds to be written: so the supervisor has
//! no code for the other eighty, which would be a fifth of its executable, and as much for the hostile to try.

use std::net::IpAddr;

use hickory_proto::ProtoError;
use hickory_proto::op::{HeaderCounts, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder, DecodeError};

/// For how many seconds an answer about containers may be kept: not at all, since a container may be gone, and its
/// address another's, at any time, and asking again costs microseconds. (Docker says 600.)
const LIFETIME: u32 = 0;
/// A pointer (RFC 1035, 4.1.4) to the question's name, which follows the head at once.
const SAME_NAME: u16 = 0xc000 | 12;

/// What a record of ours says.
#[derive(Debug)]
pub(super) enum Data {
    Address(IpAddr),
    Name(Name),
}

impl Data {
    pub(super) fn write(&self, encoder: &mut BinEncoder<'_>) -> Result<(), ProtoError> {
        let (kind, bytes) = match self {
            Data::Address(IpAddr::V4(address)) => (RecordType::A, address.octets().to_vec()),
            Data::Address(IpAddr::V6(address)) => (RecordType::AAAA, address.octets().to_vec()),
            Data::Name(name) => (RecordType::PTR, name.to_bytes()?),
        };
        encoder.emit_u16(SAME_NAME)?;
        encoder.emit_u16(kind.into())?;
        encoder.emit_u16(DNSClass::IN.into())?;
        encoder.emit_u32(LIFETIME)?;
        encoder.emit_u16(u16::try_from(bytes.len()).map_err(|_| "a name is too long")?)?;
        encoder.emit_vec(&bytes)
    }
}

/// What EDNS says of an asker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension {
    /// The longest datagram that it takes.
    pub(super) room: u16,
    pub(super) version: u8,
}

impl Extension {
    /// Its record in an answer with that code, the upper half of which is here.
    pub(super) fn write(self, code: ResponseCode, encoder: &mut BinEncoder<'_>) -> Result<(), ProtoError> {
        Name::root().emit(encoder)?;
        encoder.emit_u16(RecordType::OPT.into())?;
        encoder.emit_u16(self.room)?;
        encoder.emit_u32(u32::from_be_bytes([code.high(), self.version, 0, 0]))?;
        encoder.emit_u16(0)
    }
}

/// Looks through the records after the question for that of EDNS.
pub(super) fn extension(
    decoder: &mut BinDecoder<'_>,
    counts: HeaderCounts,
) -> Result<Option<Extension>, DecodeError> {
    let mut found = None;
    for count in [counts.answers, counts.authorities, counts.additionals] {
        for _ in 0..count {
            Name::read(decoder)?;
            let kind = decoder.read_u16()?.unverified();
            let room = decoder.read_u16()?.unverified();
            let [_, version, ..] = decoder.read_u32()?.unverified().to_be_bytes();
            let length = decoder.read_u16()?.unverified();
            decoder.read_slice(length.into())?;
            if kind == u16::from(RecordType::OPT) && found.replace(Extension { room, version }).is_some() {
                return Err(DecodeError::DuplicateEdns);
            }
        }
    }
    Ok(found)
}
