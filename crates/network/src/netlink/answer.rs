//! Taking the kernel's answers apart: results with the extended acknowledgement, data, the end of a dump
//! (netlink(7); struct nlmsgerr and its attributes in linux/netlink.h).

use rustix::io::Errno;

use super::attributes::{Attributes, text};

const HEADER: usize = 16;
const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// One message of the kernel's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    /// NLMSG_ERROR: what became of a request; no errno means that it was done.
    Result { sequence: u32, errno: Option<Errno>, message: Option<String> },
    /// What was asked for.
    Data { sequence: u32, payload: &'a [u8], interrupted: bool },
    /// The end of a dump.
    Done { sequence: u32, errno: Option<Errno>, interrupted: bool },
}

impl Answer<'_> {
    /// The number of the request that this answers.
    pub(super) fn sequence(&self) -> u32 {
        match self {
            Self::Result { sequence, .. } | Self::Data { sequence, .. } | Self::Done { sequence, .. } => {
                *sequence
            }
        }
    }
}

/// The messages in one datagram. A length that does not fit ends it.
pub(super) fn answers(mut datagram: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    std::iter::from_fn(move || {
        loop {
            let header = datagram.first_chunk::<HEADER>()?;
            let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
            let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
            let kind = u16::from_ne_bytes([k0, k1]);
            let flags = u16::from_ne_bytes([f0, f1]);
            let sequence = u32::from_ne_bytes([s0, s1, s2, s3]);
            let payload = datagram.get(HEADER..length)?;
            datagram = datagram.get(length.checked_next_multiple_of(4)?..).unwrap_or_default();
            let interrupted = flags & NLM_F_DUMP_INTR != 0;
            return Some(match kind {
                NLMSG_NOOP => continue,
                NLMSG_ERROR => {
                    Answer::Result { sequence, errno: errno(payload), message: words(flags, payload) }
                }
                NLMSG_DONE => Answer::Done { sequence, errno: errno(payload), interrupted },
                _ => Answer::Data { sequence, payload, interrupted },
            });
        }
    })
}

/// The negated errno at the start of a result.
fn errno(payload: &[u8]) -> Option<Errno> {
    let code = i32::from_ne_bytes(*payload.first_chunk()?);
    // Anything that is no errno is still no success.
    (code != 0).then(|| {
        code.checked_neg()
            .filter(|code| (1..4096).contains(code))
            .map_or(Errno::PROTO, Errno::from_raw_os_error)
    })
}

/// The kernel's reason in words: an attribute after the header of the request that it repeats.
fn words(flags: u16, payload: &[u8]) -> Option<String> {
    if flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let request = payload.get(4..)?;
    let repeated = if flags & NLM_F_CAPPED != 0 {
        HEADER
    } else {
        usize::try_from(u32::from_ne_bytes(*request.first_chunk()?)).ok()?
    };
    let said =
        Attributes::after(request, repeated.min(request.len())).find(NLMSGERR_ATTR_MSG).and_then(text)?;
    (!said.is_empty()).then(|| said.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(answers(&bytes).count() <= bytes.len() / HEADER);
        }

        #[test]
        fn any_result_is_read(flags in any::<u16>(), payload in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = words(flags, &payload);
            let _ = errno(&payload);
        }
    }

    #[test]
    fn a_refusal_with_words() {
        let mut bytes = Vec::new();
        bytes.extend(48u32.to_ne_bytes());
        bytes.extend(NLMSG_ERROR.to_ne_bytes());
        bytes.extend((NLM_F_CAPPED | NLM_F_ACK_TLVS).to_ne_bytes());
        bytes.extend(5u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend((-17i32).to_ne_bytes());
        bytes.extend([0; HEADER]);
        bytes.extend(10u16.to_ne_bytes());
        bytes.extend(NLMSGERR_ATTR_MSG.to_ne_bytes());
        bytes.extend(b"it is\0\0\0");
        let expected =
            Answer::Result { sequence: 5, errno: Some(Errno::EXIST), message: Some("it is".to_owned()) };
        assert_eq!(answers(&bytes).collect::<Vec<_>>(), [expected]);
    }
}
