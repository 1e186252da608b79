//! Messages with file descriptors between processes of ours: a SOCK_SEQPACKET unix socket (unix(7)).
//!
//! Each message is one packet, so there is no framing to get wrong, and the descriptors arrive with the
//! message that they belong to. A body too large for a packet travels in a memory file (memfd_create(2))
//! as the last descriptor. Received descriptors are close-on-exec.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// The largest body that goes into a packet itself.
const INLINE: usize = 16 * 1024;
/// The largest body accepted in a memory file.
const LARGEST: u64 = 32 * 1024 * 1024;
/// The most descriptors a message can carry (SCM_MAX_FD, less one for the body's file).
pub const MAX_FDS: usize = 252;

const IN_PACKET: u8 = b'p';
const IN_FILE: u8 = b'f';

/// A message as it arrived.
pub struct Message {
    /// What was said.
    pub body: Vec<u8>,
    /// The descriptors that came with it, in the sender's order.
    pub fds: Vec<OwnedFd>,
}

/// A connected pair of channels, close-on-exec.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Sends one message with `fds`.
///
/// # Errors
/// EPIPE when the other side is gone; EAGAIN on a non-blocking socket whose buffer is full; EINVAL for more
/// than [`MAX_FDS`] descriptors.
pub fn send(socket: impl AsFd, body: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if fds.len() > MAX_FDS {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    if body.len() <= INLINE {
        return send_packet(socket.as_fd(), &[IoSlice::new(&[IN_PACKET]), IoSlice::new(body)], fds);
    }
    let file = rustix::fs::memfd_create("message", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut rest = body;
    while !rest.is_empty() {
        let n = rustix::io::write(&file, rest)?;
        rest = rest.get(n..).unwrap_or_default();
    }
    let mut with_file = fds.to_vec();
    with_file.push(file.as_fd());
    send_packet(socket.as_fd(), &[IoSlice::new(&[IN_FILE])], &with_file)
}

fn send_packet(socket: BorrowedFd<'_>, parts: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1)) + size_of_val(fds)];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    loop {
        match rustix::net::sendmsg(socket, parts, &mut control, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

/// Receives one message; `None` when the other side has closed the channel.
///
/// # Errors
/// EAGAIN on a non-blocking socket with nothing to read; EBADMSG for what is not one of our messages.
pub fn receive(socket: impl AsFd) -> io::Result<Option<Message>> {
    let malformed = || io::Error::from_raw_os_error(libc::EBADMSG);
    let length = next_length(socket.as_fd())?;
    if length == 0 {
        return Ok(None);
    }
    let mut packet = vec![0u8; length];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS + 1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match rustix::net::recvmsg(
            socket.as_fd(),
            &mut [IoSliceMut::new(&mut packet)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        ) {
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
            result => break result?,
        }
    };
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    if received.flags.intersects(ReturnFlags::CTRUNC | ReturnFlags::TRUNC) {
        return Err(malformed());
    }
    packet.truncate(received.bytes);
    match packet.first() {
        Some(&IN_PACKET) => {
            packet.remove(0);
            packet.shrink_to_fit();
            Ok(Some(Message { body: packet, fds }))
        }
        Some(&IN_FILE) => {
            let file = fds.pop().ok_or_else(malformed)?;
            let length = u64::try_from(rustix::fs::fstat(&file)?.st_size).map_err(|_| malformed())?;
            if length > LARGEST {
                return Err(malformed());
            }
            let mut body = vec![0u8; usize::try_from(length).map_err(|_| malformed())?];
            let mut filled = 0;
            while let Some(rest) = body.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                let n = rustix::io::pread(&file, rest, filled as u64)?;
                if n == 0 {
                    return Err(malformed());
                }
                filled += n;
            }
            Ok(Some(Message { body, fds }))
        }
        _ => Err(malformed()),
    }
}

/// Sends a short message by write(2), for a process that can rely on no other call. SIGPIPE must be ignored.
///
/// # Errors
/// EPIPE when the other side is gone; EINVAL for a message that is not short.
pub fn write_plainly(socket: impl AsFd, body: &[u8]) -> io::Result<()> {
    if body.len() > INLINE {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let packet: Vec<u8> = [IN_PACKET].iter().chain(body).copied().collect();
    loop {
        match rustix::io::write(&socket, &packet) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

/// Waits for a message of which only its coming counts, by read(2); whether one came, or the end.
///
/// # Errors
/// The kernel's.
pub fn read_plainly(socket: impl AsFd) -> io::Result<bool> {
    let mut packet = [0u8; 16];
    loop {
        match rustix::io::read(&socket, &mut packet) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result? > 0),
        }
    }
}

/// How long the next packet is, which is waited for; 0 at the end. Most are short: to have room for the largest in each
/// case would cost more, in pages that must be zeroed, than to ask.
fn next_length(socket: BorrowedFd<'_>) -> io::Result<usize> {
    loop {
        match rustix::net::recv(socket, &mut [0u8; 0], RecvFlags::PEEK | RecvFlags::TRUNC) {
            // ECONNRESET: the other side ended with data of ours unread. The kernel says so once, before what that
            // side still had to say: its last message comes next, or the end.
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
            Ok((_, length)) if length > INLINE + 1 => {
                return Err(io::Error::from_raw_os_error(libc::EBADMSG));
            }
            Ok((_, length)) => return Ok(length),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{pair, receive, send};
    use std::os::fd::AsFd;

    #[test]
    fn messages_of_every_size_arrive_whole_and_with_their_descriptors() {
        for size in [0, 1, 16 * 1024, 16 * 1024 + 1, 1_000_000] {
            let (a, b) = pair().unwrap();
            let body: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            send(&a, &body, &[a.as_fd(), b.as_fd()]).unwrap();
            let message = receive(&b).unwrap().unwrap();
            assert_eq!(message.body, body);
            assert_eq!(message.fds.len(), 2);
        }
    }

    #[test]
    fn a_last_word_is_heard_from_one_who_did_not_listen() {
        let (a, b) = pair().unwrap();
        send(&a, b"go", &[]).unwrap();
        send(&b, b"failed", &[]).unwrap();
        drop(b);
        assert_eq!(receive(&a).unwrap().unwrap().body, b"failed");
        assert!(receive(&a).unwrap().is_none());
    }

    #[test]
    fn a_closed_channel_is_an_end_and_no_error() {
        let (a, b) = pair().unwrap();
        drop(a);
        assert!(receive(&b).unwrap().is_none());
    }
}
