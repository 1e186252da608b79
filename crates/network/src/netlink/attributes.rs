//! Reading attributes out of what the kernel sent. A length that does not fit ends the list: nothing can panic.

use std::net::IpAddr;

const TYPE: u16 = 0x3fff;
const HEADER: usize = 4;

/// The attributes in a message's payload or in a nested attribute: (type, value), in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// The attributes after a fixed part of `skip` bytes.
    pub(crate) fn after(payload: &'a [u8], skip: usize) -> Self {
        Self(payload.get(skip.next_multiple_of(4)..).unwrap_or_default())
    }

    /// The attributes in a nested attribute's value.
    pub(crate) fn of(value: &'a [u8]) -> Self {
        Self(value)
    }

    /// The first attribute of that type.
    pub(crate) fn find(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find_map(|(found, value)| (found == kind).then_some(value))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (kind, _) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_ne_bytes(*length));
        let value = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes(*kind) & TYPE, value))
    }
}

/// A number in the machine's byte order.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// A number in network byte order.
pub(crate) fn number_be(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Text up to its zero byte; None if it is not UTF-8 (names of links may be any bytes: such a one is not ours).
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    std::str::from_utf8(value.get(..end)?).ok()
}

/// An address: of IPv6 if it has sixteen bytes, of IPv4 if it has four.
pub(crate) fn address(value: &[u8]) -> Option<IpAddr> {
    let ipv4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    ipv4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let count = Attributes::of(&bytes).count();
            prop_assert!(count <= bytes.len() / HEADER);
        }
    }

    #[test]
    fn values_and_types_come_out() {
        let mut bytes = Vec::new();
        for (kind, value) in [(0x8001_u16, b"abc".as_slice()), (2, b"")] {
            bytes.extend(u16::try_from(HEADER + value.len()).unwrap().to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let found: Vec<_> = Attributes::of(&bytes).collect();
        assert_eq!(found, [(1, b"abc".as_slice()), (2, b"")]);
        assert_eq!(text(b"eth0\0\0"), Some("eth0"));
        assert_eq!(text(&[0xff]), None);
    }
}
