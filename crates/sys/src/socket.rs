//! What a socket's other side has not read yet.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::ioctl::{Getter, Opcode, ioctl};

/// SIOCOUTQ, which is TIOCOUTQ (unix(7)).
#[allow(
    clippy::cast_possible_truncation,
    reason = "the kernel's are 32 bits wide, libc's type is not everywhere"
)]
const UNREAD: Opcode = libc::TIOCOUTQ as Opcode;

/// How many bytes of what was sent through a unix socket its other side has not read. They are counted with what the
/// kernel keeps beside them, so only "none" is exact.
///
/// # Errors
/// It is no socket.
pub fn unread_by_peer(socket: BorrowedFd<'_>) -> io::Result<usize> {
    // SAFETY: the opcode writes one int.
    let unread: libc::c_int = unsafe { ioctl(socket, Getter::<UNREAD, libc::c_int>::new()) }?;
    Ok(usize::try_from(unread).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::unread_by_peer;

    #[test]
    fn what_is_sent_is_unread_until_it_is_read() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        assert_eq!(unread_by_peer(ours.as_fd()).unwrap(), 0);
        ours.write_all(b"head").unwrap();
        assert!(unread_by_peer(ours.as_fd()).unwrap() > 0);
        let mut buffer = [0; 4];
        theirs.read_exact(&mut buffer).unwrap();
        assert_eq!(unread_by_peer(ours.as_fd()).unwrap(), 0);
        let (read, _write) = rustix::pipe::pipe().unwrap();
        assert!(unread_by_peer(read.as_fd()).is_err());
    }
}
