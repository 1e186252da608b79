//! Messages over TCP: two bytes of length before each (RFC 1035, 4.2.2), sent and received without waiting.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outbox {
    /// Nothing, if it is too long to be sent at all.
    pub(super) fn new(message: &[u8]) -> Option<Outbox> {
        let length = u16::try_from(message.len()).ok()?;
        Some(Outbox { bytes: [&length.to_be_bytes(), message].concat(), sent: 0 })
    }

    /// Sends what the socket takes. Gives whether that was all.
    pub(super) fn send(&mut self, socket: impl AsFd) -> io::Result<bool> {
        while let Some(rest) = self.bytes.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match send(&socket, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => self.sent += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

/// A message that comes in.
#[derive(Debug, Default)]
pub(super) struct Inbox(Vec<u8>);

impl Inbox {
    /// Receives what is there, of one message and no more, which is given when it is whole. It is an error if it is longer
    /// than `most`, or the other side has closed. No memory is taken for what has not come yet.
    pub(super) fn receive(&mut self, socket: impl AsFd, most: u16) -> io::Result<Option<Vec<u8>>> {
        loop {
            let wanted = match self.0.first_chunk() {
                None => 2,
                Some(length) => {
                    let length = u16::from_be_bytes(*length);
                    if length > most {
                        return Err(ErrorKind::InvalidData.into());
                    }
                    2 + usize::from(length)
                }
            };
            if self.0.len() == wanted && wanted > 2 {
                let mut message = std::mem::take(&mut self.0);
                message.drain(..2);
                return Ok(Some(message));
            }
            let mut buffer = [0; 4096];
            let missing = (wanted - self.0.len()).min(buffer.len());
            let Some(room) = buffer.get_mut(..missing).filter(|room| !room.is_empty()) else {
                // A message of no bytes.
                return Err(ErrorKind::InvalidData.into());
            };
            match recv(&socket, room, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok((_, length)) => self.0.extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Inbox, Outbox};
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_message_comes_whole_however_it_was_cut() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut inbox = Inbox::default();
        for byte in [0, 3, 7, 8] {
            ours.write_all(&[byte]).unwrap();
            assert_eq!(inbox.receive(&theirs, 10).unwrap(), None);
        }
        // The next one's first byte is not taken with it.
        ours.write_all(&[9, 0]).unwrap();
        assert_eq!(inbox.receive(&theirs, 10).unwrap().unwrap(), [7, 8, 9]);
        drop(ours);
        assert!(inbox.receive(&theirs, 10).is_err());
    }

    #[test]
    fn what_is_empty_or_too_long_is_an_error() {
        for length in [[0, 0], [0, 11], [0xff, 0xff]] {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(&length).unwrap();
            assert!(Inbox::default().receive(&theirs, 10).is_err(), "{length:?}");
        }
        assert!(Outbox::new(&[0; 65536]).is_none());
    }

    #[test]
    fn what_is_not_taken_is_sent_later() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let message = vec![5; 65535];
        let mut inbox = Inbox::default();
        let mut received = Vec::new();
        for _ in 0..20 {
            let mut outbox = Outbox::new(&message).unwrap();
            let mut sent = false;
            for _ in 0..100 {
                sent = sent || outbox.send(&ours).unwrap();
                received.extend(inbox.receive(&theirs, u16::MAX).unwrap());
                if sent && !received.is_empty() {
                    break;
                }
            }
            assert_eq!(received.pop().unwrap(), message);
        }
        while Outbox::new(&message).unwrap().send(&ours).unwrap() {}
    }
}
