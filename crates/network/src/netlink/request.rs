//! Building requests: headers, attributes, nesting (netlink(7); the kernel's Documentation/userspace-api/netlink).
//!
//! All requests of one send share one buffer. What each is for is kept beside it as a static verb and a borrowed
//! name, so that an error can say which one failed without anything being formatted while all goes well.

use rustix::io::Errno;

use crate::error::{Error, Refusal, Result};

const REQUEST: u16 = 0x1;
/// NLM_F_ACK: the kernel answers with a result.
pub(crate) const ACK: u16 = 0x4;
/// NLM_F_DUMP: all of them, in as many messages as it takes.
pub(crate) const DUMP: u16 = 0x300;
/// NLM_F_EXCL: an error if it is there already.
pub(crate) const EXCLUSIVE: u16 = 0x200;
/// NLM_F_REPLACE: in place of the one that is there.
pub(crate) const REPLACE: u16 = 0x100;
/// NLM_F_CREATE: make it if it is not there.
pub(crate) const CREATE: u16 = 0x400;

const NESTED: u16 = 0x8000;
const HEADER: usize = 16;

/// What one request is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    operation: &'static str,
    object: &'a str,
    tolerated: Option<Errno>,
}

impl Step<'_> {
    /// Whether this refusal is as good as success for this request.
    pub(crate) fn tolerates(&self, errno: Errno) -> bool {
        self.tolerated == Some(errno)
    }

    /// The request's error.
    pub(crate) fn refusal(&self, errno: Errno, message: Option<String>) -> Refusal {
        Refusal { operation: self.operation, object: self.object.to_owned(), errno, message }
    }
}

/// Requests that go to the kernel in one send.
#[derive(Debug)]
pub(crate) struct Requests<'a> {
    bytes: Vec<u8>,
    steps: Vec<Step<'a>>,
    first: u32,
    last_start: usize,
    too_long: bool,
}

impl<'a> Requests<'a> {
    pub(crate) fn starting_at(first: u32) -> Self {
        // Attaching a container is about 500 bytes in 5 requests.
        Self {
            bytes: Vec::with_capacity(512),
            steps: Vec::with_capacity(8),
            first,
            last_start: 0,
            too_long: false,
        }
    }

    /// Adds a request of the kernel's type `kind`; `header` is the fixed part that the type wants.
    /// `operation` and `object` are what an error says: "cannot {operation} {object}".
    pub(crate) fn add(
        &mut self,
        kind: u16,
        flags: u16,
        (operation, object): (&'static str, &'a str),
        header: &[u8],
        attributes: impl FnOnce(&mut Message<'_>),
    ) -> &mut Self {
        let start = self.bytes.len();
        self.last_start = start;
        let sequence = self.next_sequence();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        let mut message = Message { bytes: &mut self.bytes, too_long: &mut self.too_long };
        message.raw(header);
        attributes(&mut message);
        match u32::try_from(self.bytes.len() - start) {
            Ok(length) => overwrite(&mut self.bytes, start, &length.to_ne_bytes()),
            Err(_) => self.too_long = true,
        }
        self.steps.push(Step { operation, object, tolerated: None });
        self
    }

    /// Makes `errno` as good as success for the request that was added last.
    pub(crate) fn tolerating(&mut self, errno: Errno) -> &mut Self {
        if let Some(step) = self.steps.last_mut() {
            step.tolerated = Some(errno);
        }
        self
    }

    /// Asks for an acknowledgement of the request that was added last.
    pub(crate) fn acknowledge_last(&mut self) {
        let place = self.last_start + 6;
        let flags = self.bytes.get(place..).and_then(|bytes| bytes.first_chunk()).copied();
        if let Some(flags) = flags.map(u16::from_ne_bytes) {
            overwrite(&mut self.bytes, place, &(flags | ACK).to_ne_bytes());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(crate) fn bytes(&self) -> Result<&[u8]> {
        if self.too_long { Err(Error::MessageTooLong) } else { Ok(&self.bytes) }
    }

    /// Where in the list the request with that sequence number is.
    pub(crate) fn position(&self, sequence: u32) -> Option<usize> {
        let position = usize::try_from(sequence.wrapping_sub(self.first)).ok()?;
        (position < self.steps.len()).then_some(position)
    }

    pub(crate) fn step(&self, sequence: u32) -> Option<Step<'a>> {
        self.position(sequence).and_then(|position| self.steps.get(position)).copied()
    }

    pub(crate) fn first_operation(&self) -> &'static str {
        self.steps.first().map_or("send a netlink message", |step| step.operation)
    }

    /// The sequence number of the request that would be added next.
    pub(crate) fn next_sequence(&self) -> u32 {
        // More than 2^32 requests do not fit in memory.
        self.first.wrapping_add(u32::try_from(self.steps.len()).unwrap_or(u32::MAX))
    }

    pub(crate) fn last_sequence(&self) -> u32 {
        self.next_sequence().wrapping_sub(1)
    }
}

/// The request that is being written: attributes are appended to it.
#[derive(Debug)]
pub(crate) struct Message<'b> {
    bytes: &'b mut Vec<u8>,
    too_long: &'b mut bool,
}

impl Message<'_> {
    /// Bytes as they are, padded to four.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// An attribute of bytes.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.attribute(kind, |message| message.bytes.extend_from_slice(value))
    }

    /// An attribute of text, with the zero byte that the kernel wants at its end.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.attribute(kind, |message| {
            message.bytes.extend_from_slice(value.as_bytes());
            message.bytes.push(0);
        })
    }

    /// A number in the machine's byte order, as rtnetlink has them.
    pub(crate) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A number in network byte order, as nf_tables has them.
    pub(crate) fn number_be(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// An attribute of attributes.
    pub(crate) fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Message<'_>)) -> &mut Self {
        self.attribute(kind | NESTED, inside)
    }

    /// An attribute of attributes that are written already, as the kernel sent them.
    pub(crate) fn nest_as_is(&mut self, kind: u16, attributes: &[u8]) -> &mut Self {
        self.bytes(kind | NESTED, attributes)
    }

    fn attribute(&mut self, kind: u16, value: impl FnOnce(&mut Message<'_>)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        value(&mut Message { bytes: self.bytes, too_long: self.too_long });
        match u16::try_from(self.bytes.len() - start) {
            Ok(length) => overwrite(self.bytes, start, &length.to_ne_bytes()),
            Err(_) => *self.too_long = true,
        }
        self.pad();
        self
    }

    fn pad(&mut self) {
        // Messages and attributes start at multiples of four from the start of the buffer.
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

const _: () = assert!(HEADER.is_multiple_of(4));

fn overwrite(bytes: &mut [u8], start: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(start..start + value.len()) {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_padding_are_netlinks() {
        let mut requests = Requests::starting_at(7);
        requests.add(16, ACK, ("do", "it"), &[9, 9], |message| {
            message.text(3, "ab").nest(5, |inside| {
                inside.number_be(1, 1);
            });
        });
        let bytes = requests.bytes().unwrap();
        let expected: &[&[u8]] = &[
            &40u32.to_ne_bytes(),
            &16u16.to_ne_bytes(),
            &5u16.to_ne_bytes(),
            &7u32.to_ne_bytes(),
            &[0; 4],
            &[9, 9, 0, 0],
            &7u16.to_ne_bytes(),
            &3u16.to_ne_bytes(),
            b"ab\0\0",
            &12u16.to_ne_bytes(),
            &0x8005u16.to_ne_bytes(),
            &8u16.to_ne_bytes(),
            &1u16.to_ne_bytes(),
            &[0, 0, 0, 1],
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!(requests.position(7), Some(0));
        assert_eq!(requests.position(8), None);
        assert_eq!(requests.position(6), None);
    }

    #[test]
    fn an_attribute_that_is_too_long_is_an_error() {
        let mut requests = Requests::starting_at(1);
        requests.add(1, 0, ("do", ""), &[], |message| {
            message.bytes(1, &vec![0; 70_000]);
        });
        assert!(matches!(requests.bytes(), Err(Error::MessageTooLong)));
    }
}
