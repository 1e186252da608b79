//! Messages of D-Bus (the D-Bus specification, "Message Protocol"): a header and a body. How values become bytes is the
//! crate zbus's; its connections are not used, since they refuse what systemd says on its own socket, where it calls itself
//! by the name that it has on buses.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use zbus::wire::serialized::{Context, Data};
use zbus::wire::{BE, DynamicType, Endian, LE, ObjectPath, Type, Variant, to_bytes};

/// The largest message that is read, in bytes; systemd's answers here have some hundreds.
const LARGEST: usize = 1 << 20;
const VERSION: u8 = 1;
/// The part of a header that has always the same size.
const FIXED: usize = 16;
const CALL: u8 = 1;

/// Fields of a header, by their numbers.
mod field {
    pub(super) const PATH: u8 = 1;
    pub(super) const INTERFACE: u8 = 2;
    pub(super) const MEMBER: u8 = 3;
    pub(super) const ERROR_NAME: u8 = 4;
    pub(super) const REPLY_SERIAL: u8 = 5;
    pub(super) const DESTINATION: u8 = 6;
    pub(super) const SIGNATURE: u8 = 8;
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An answer.
    Return,
    /// The same, of something that failed.
    Error,
    /// Something has happened.
    Signal,
    /// What nobody here waits for.
    Other,
}

/// A message that came.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    /// Which call it answers.
    pub(super) reply_to: Option<u32>,
    /// A signal's name, or an error's.
    pub(super) name: String,
    signature: String,
    endian: Endian,
    body: Vec<u8>,
}

/// Where a call goes.
pub(super) struct Target<'t> {
    pub(super) destination: Option<&'t str>,
    pub(super) path: &'t str,
    pub(super) interface: &'t str,
}

/// A call as it is sent; its body is what `method` takes, as a tuple.
pub(super) fn call<B: Serialize + Type>(
    serial: u32,
    to: &Target<'_>,
    method: &str,
    body: &B,
) -> zbus::Result<Vec<u8>> {
    let encoded = to_bytes(Context::new(LE, 0), body)?;
    let signature = without_parentheses(&body.signature().to_string());
    let mut fields: Vec<(u8, Variant<'_>)> = vec![
        (field::PATH, Variant::ObjectPath(ObjectPath::try_from(to.path)?)),
        (field::INTERFACE, Variant::Str(to.interface.into())),
        (field::MEMBER, Variant::Str(method.into())),
    ];
    fields.extend(to.destination.map(|name| (field::DESTINATION, Variant::Str(name.into()))));
    let size = u32::try_from(encoded.len()).map_err(|_| zbus::Error::ExcessData)?;
    let mut bytes =
        to_bytes(Context::new(LE, 0), &(b'l', CALL, 0u8, VERSION, size, serial, fields))?.to_vec();
    if !signature.is_empty() {
        add_signature(&mut bytes, &signature)?;
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend_from_slice(&encoded);
    Ok(bytes)
}

/// Adds a body's signature as the last field of a header: the crate's own type knows no signature of several values, and
/// makes a structure of them.
fn add_signature(header: &mut Vec<u8>, signature: &str) -> zbus::Result<()> {
    let length = u8::try_from(signature.len()).map_err(|_| zbus::Error::ExcessData)?;
    header.resize(header.len().next_multiple_of(8), 0);
    // The field's number; of its value the signature, `g`; its length, itself, a zero.
    header.extend_from_slice(&[field::SIGNATURE, 1, b'g', 0, length]);
    header.extend_from_slice(signature.as_bytes());
    header.push(0);
    let fields = u32::try_from(header.len() - FIXED).map_err(|_| zbus::Error::ExcessData)?;
    if let Some(place) = header.get_mut(FIXED - 4..FIXED) {
        place.copy_from_slice(&fields.to_le_bytes());
    }
    Ok(())
}

/// A signature of what is in a body, by that of the tuple of it.
fn without_parentheses(signature: &str) -> String {
    let inner = signature.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    inner.unwrap_or(signature).to_owned()
}

/// Reads the next one.
///
/// # Errors
/// The connection's, its end included, and InvalidData for what is no message.
pub(super) fn read(source: &mut impl Read) -> io::Result<Message> {
    let mut bytes = vec![0u8; FIXED];
    source.read_exact(&mut bytes)?;
    let endian = match bytes.first() {
        Some(b'l') => LE,
        Some(b'B') => BE,
        _ => return Err(malformed("it has no byte order")),
    };
    let number = |at: usize| -> usize {
        let word = bytes.get(at..at + 4).and_then(|word| <[u8; 4]>::try_from(word).ok()).unwrap_or_default();
        let number = if endian == LE { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) };
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    let (body, fields) = (number(4), number(12));
    if body > LARGEST || fields > LARGEST {
        return Err(malformed("it is too large"));
    }
    let begin = (FIXED + fields).next_multiple_of(8);
    bytes.resize(begin + body, 0);
    source.read_exact(bytes.get_mut(FIXED..).unwrap_or_default())?;
    let body = bytes.split_off(begin);
    parse(&bytes, body, endian).map_err(|error| malformed(&error.to_string()))
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a message cannot be read: {why}"))
}

fn parse(header: &[u8], body: Vec<u8>, endian: Endian) -> zbus::Result<Message> {
    type Header<'h> = (u8, u8, u8, u8, u32, u32, Vec<(u8, Variant<'h>)>);
    let data = Data::new(header, Context::new(endian, 0));
    let ((_, kind, _, _, _, _, fields), _): (Header<'_>, usize) = data.deserialize()?;
    let kind = match kind {
        2 => Kind::Return,
        3 => Kind::Error,
        4 => Kind::Signal,
        _ => Kind::Other,
    };
    let mut message =
        Message { kind, reply_to: None, name: String::new(), signature: String::new(), endian, body };
    for (number, value) in fields {
        match (number, value) {
            (field::MEMBER | field::ERROR_NAME, Variant::Str(name)) => message.name = name.to_string(),
            (field::REPLY_SERIAL, Variant::U32(serial)) => message.reply_to = Some(serial),
            (field::SIGNATURE, Variant::Signature(signature)) => {
                message.signature = without_parentheses(&signature.to_string());
            }
            _ => {}
        }
    }
    Ok(message)
}

impl Message {
    /// What is in it, if it is that.
    pub(super) fn body<T: for<'d> Deserialize<'d> + Type>(&self) -> io::Result<T> {
        if without_parentheses(&T::SIGNATURE.to_string()) != self.signature {
            return Err(malformed(&format!("{} has {:?} in it", self.name, self.signature)));
        }
        let data = Data::new(self.body.as_slice(), Context::new(self.endian, 0));
        data.deserialize().map(|(value, _)| value).map_err(|error| malformed(&error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Target, call, read};
    use proptest::prelude::*;

    const TARGET: Target<'static> = Target { destination: Some("a.b"), path: "/a", interface: "a.b.C" };

    #[test]
    fn what_is_written_can_be_read() {
        let bytes = call(7, &TARGET, "Do", &("x", 5u32)).unwrap();
        // The signature's length, itself, and a zero.
        assert!(bytes.windows(4).any(|part| part == b"\x02su\0"), "{bytes:?}");
        let message = read(&mut bytes.as_slice()).unwrap();
        assert_eq!((message.kind, message.name.as_str()), (Kind::Other, "Do"));
        assert_eq!(message.body::<(String, u32)>().unwrap(), ("x".to_owned(), 5));
        assert!(message.body::<(String, u64)>().is_err(), "another signature");
        let message = read(&mut call(1, &TARGET, "Do", &("x",)).unwrap().as_slice()).unwrap();
        assert_eq!(message.body::<(String,)>().unwrap().0, "x");
        assert_eq!(message.signature, "s");
        assert!(read(&mut call(1, &TARGET, "Do", &()).unwrap().as_slice()).unwrap().signature.is_empty());
    }

    #[test]
    fn what_is_none_is_an_error() {
        assert!(read(&mut [b'l'; 16].as_slice()).unwrap_err().to_string().contains("too large"));
        assert!(read(&mut [0u8; 16].as_slice()).unwrap_err().to_string().contains("byte order"));
        assert!(read(&mut b"l".as_slice()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(begin in 0usize..2, rest in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut bytes = vec![if begin == 0 { b'l' } else { b'B' }, 4, 0, 1];
            bytes.extend(rest);
            let _ = read(&mut bytes.as_slice());
        }

        #[test]
        fn no_change_of_one_byte_makes_it_panic(at in 0usize..100, byte in any::<u8>()) {
            let mut bytes = call(7, &TARGET, "Do", &("x", 5u32)).unwrap();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            if let Ok(message) = read(&mut bytes.as_slice()) {
                let _ = message.body::<(String, u32)>();
            }
        }
    }
}
