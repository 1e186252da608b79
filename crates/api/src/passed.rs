//! Sockets that whoever started the server listens at already: a service manager, or one that does as it does
//! (sd_listen_fds(3)). LISTEN_PID says whom they are meant for, LISTEN_FDS how many there are from descriptor 3 on, and
//! LISTEN_FDNAMES what they are called.

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// The first one's number (SD_LISTEN_FDS_START).
const FIRST: i32 = 3;

/// Which of them are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// `fd://`
    All,
    /// `fd://3`: that descriptor.
    Number(i32),
    /// `fd://NAME`: all of that name (`FileDescriptorName=` of systemd.socket(5)).
    Named(String),
}

/// What clients connect to.
#[derive(Debug)]
pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// All that were passed, until they are taken.
#[derive(Debug, Default)]
pub(crate) struct Passed(Vec<One>);

#[derive(Debug)]
struct One {
    number: i32,
    name: String,
    socket: Option<OwnedFd>,
}

/// How many there are, and their names: what the environment says to the process `pid`.
fn told(pid: &str, read: impl Fn(&str) -> Option<String>) -> io::Result<Vec<String>> {
    let none = |why: &str| io::Error::new(ErrorKind::NotFound, format!("no socket was passed: {why}"));
    if read("LISTEN_PID").ok_or_else(|| none("LISTEN_PID is not set"))? != pid {
        return Err(none("LISTEN_PID names another process"));
    }
    let count = read("LISTEN_FDS").and_then(|text| text.parse::<u16>().ok()).unwrap_or(0);
    if count == 0 {
        return Err(none("LISTEN_FDS is no number of descriptors"));
    }
    let names = read("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    // What has no name is called so (sd_listen_fds_with_names(3)).
    let name = |_| names.next().filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".into());
    Ok((0..count).map(name).collect())
}

impl Passed {
    /// Those that this process was given.
    pub(crate) fn to_us() -> io::Result<Passed> {
        let pid = getpid();
        let names = told(&pid.as_raw_nonzero().to_string(), |key| std::env::var(key).ok())?;
        // A copy of each, so that nothing else of this process is taken for one.
        let ourselves = pidfd_open(pid, PidfdFlags::empty())?;
        let mut all = Vec::new();
        for (number, name) in (FIRST..).zip(names) {
            let socket = pidfd_getfd(&ourselves, number, PidfdGetfdFlags::empty()).map_err(|error| {
                io::Error::new(ErrorKind::NotFound, format!("descriptor {number}: {error}"))
            })?;
            all.push(One { number, name, socket: Some(socket) });
        }
        // Those that the copies are of, too, are nothing for what this process executes.
        bulkhead_sys::process::close_on_exec_from(FIRST.unsigned_abs())?;
        Ok(Passed(all))
    }

    /// Takes what is meant, each once.
    pub(crate) fn take(&mut self, which: &Which) -> io::Result<Vec<Listener>> {
        let mut taken = Vec::new();
        for one in &mut self.0 {
            let is_meant = match which {
                Which::All => true,
                Which::Number(number) => *number == one.number,
                Which::Named(name) => *name == one.name,
            };
            if is_meant && let Some(socket) = one.socket.take() {
                let number = one.number;
                taken.push(listener(socket).map_err(|error| {
                    io::Error::new(error.kind(), format!("descriptor {number}: {error}"))
                })?);
            }
        }
        if taken.is_empty() {
            let names: Vec<String> =
                self.0.iter().map(|one| format!("{} ({})", one.number, one.name)).collect();
            let why =
                format!("no such socket was passed, or it is taken twice; there are {}", names.join(", "));
            return Err(io::Error::new(ErrorKind::NotFound, why));
        }
        Ok(taken)
    }
}

/// What a descriptor is, if clients can connect to it.
fn listener(socket: OwnedFd) -> io::Result<Listener> {
    let listens = socket_type(&socket) == Ok(SocketType::STREAM) && socket_acceptconn(&socket) == Ok(true);
    if !listens {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no stream socket that listens"));
    }
    rustix::io::ioctl_fionbio(socket.as_fd(), true)?;
    match socket_domain(&socket)? {
        AddressFamily::UNIX => Ok(Listener::Unix(socket.into())),
        AddressFamily::INET | AddressFamily::INET6 => Ok(Listener::Tcp(socket.into())),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "it is neither a Unix socket nor a TCP one")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;

    use super::{Listener, One, Passed, Which, listener, told};

    fn read<'a>(all: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |key| all.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_environment_says_what_was_passed() {
        let all = [("LISTEN_PID", "7"), ("LISTEN_FDS", "3"), ("LISTEN_FDNAMES", "a::c:d")];
        assert_eq!(told("7", read(&all)).unwrap(), ["a", "unknown", "c"]);
        assert_eq!(told("7", read(&all[..2])).unwrap(), ["unknown", "unknown", "unknown"]);
        assert!(told("8", read(&all)).is_err());
        assert!(told("7", read(&all[..1])).is_err());
        assert!(told("7", read(&[])).is_err());
        for bad in ["0", "-1", "x", "99999999", ""] {
            assert!(told("7", read(&[("LISTEN_PID", "7"), ("LISTEN_FDS", bad)])).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_is_taken_once_and_only_if_it_listens() {
        let socket = || Some(TcpListener::bind("127.0.0.1:0").unwrap().into());
        let one = |number, name: &str| One { number, name: name.into(), socket: socket() };
        let mut passed = Passed(vec![one(3, "a"), one(4, "b"), one(5, "b"), one(6, "c")]);
        assert_eq!(passed.take(&Which::Number(3)).unwrap().len(), 1);
        assert_eq!(passed.take(&Which::Named("b".into())).unwrap().len(), 2);
        assert!(passed.take(&Which::Named("b".into())).is_err());
        assert!(passed.take(&Which::Number(3)).is_err());
        assert!(matches!(passed.take(&Which::All).unwrap()[..], [Listener::Tcp(_)]));
        assert!(listener(UnixStream::pair().unwrap().0.into()).is_err());
        assert!(listener(std::fs::File::open("/dev/null").unwrap().into()).is_err());
    }
}
