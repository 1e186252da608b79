//! A client's side: start a supervisor, connect to one, ask it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bulkhead_isolation::cgroups::supervisors::birthplace;
use bulkhead_sys::channel;
use rustix::fs::{Mode, OFlags, open};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::protocol::{Reply, Request};

/// The socket's name in the container's folder of this boot.
pub const SOCKET: &str = "supervisor";

/// A connection to a supervisor.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
}

impl Connection {
    /// Starts a supervisor from the executable `program`. It outlives this process.
    ///
    /// It is executed through a read-only copy of its mount: programs in a container that reach it by
    /// /proc/PID/exe, with whatever rights, can never write to the file on disk.
    ///
    /// # Errors
    /// The executable is not there, or no process can be made.
    pub fn start_supervisor(program: &Path) -> io::Result<Connection> {
        let (ours, theirs) = channel::pair()?;
        let executable = sealed_executable(program)?;
        // Where that is not allowed, it is born in our own group, as everywhere on version 1.
        if let Ok(Some(group)) = birthplace() {
            let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
            let args = [c"bulkhead-supervisor".to_owned(), c"--supervise".to_owned()];
            let (group, executable) = (group.as_fd(), executable.as_fd());
            if bulkhead_sys::process::spawn_in(group, executable, &args, theirs.as_fd(), null.as_fd()).is_ok()
            {
                return Ok(Connection { socket: ours });
            }
        }
        // The child is not waited for here: it ends long after us, or the caller is told by its connection.
        let child = Command::new(format!("/proc/self/fd/{}", executable.as_raw_fd()))
            .arg("--supervise")
            .env_clear()
            .envs(bulkhead_sys::fail::environment())
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        drop(child);
        Ok(Connection { socket: ours })
    }

    /// Connects to the supervisor whose socket is in `run_folder`.
    ///
    /// # Errors
    /// `NotFound` or `ConnectionRefused`: there is none.
    pub fn to(run_folder: &Path) -> io::Result<Connection> {
        // By way of a descriptor, since a socket's address holds 107 bytes only.
        let folder = open(run_folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &address(&folder)?)?;
        Ok(Connection { socket })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The supervisor has ended.
    pub fn send(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        channel::send(&self.socket, &serde_json::to_vec(request)?, fds)
    }

    /// The next reply, and the descriptors that came with it; `None` when the supervisor has ended.
    ///
    /// # Errors
    /// A message that cannot be understood.
    pub fn receive(&self) -> io::Result<Option<(Reply, Vec<OwnedFd>)>> {
        let Some(message) = channel::receive(&self.socket)? else { return Ok(None) };
        Ok(Some((serde_json::from_slice(&message.body)?, message.fds)))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`receive`](Self::receive); an end without an answer is `UnexpectedEof`.
    pub fn ask(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> io::Result<(Reply, Vec<OwnedFd>)> {
        self.send(request, fds)?;
        self.receive()?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl From<Connection> for OwnedFd {
    fn from(connection: Connection) -> OwnedFd {
        connection.socket
    }
}

impl From<OwnedFd> for Connection {
    /// One that another process made.
    fn from(socket: OwnedFd) -> Connection {
        Connection { socket }
    }
}

/// The socket's address, by way of an open folder.
pub(crate) fn address(folder: &OwnedFd) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new(PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd())))?)
}

/// A descriptor of the executable on a detached, read-only mount of its own.
fn sealed_executable(program: &Path) -> io::Result<OwnedFd> {
    use bulkhead_sys::mount::{Change, attr, set_attributes};
    use rustix::mount::{OpenTreeFlags, open_tree};
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(rustix::fs::CWD, program, flags)?;
    set_attributes(mount.as_fd(), &Change { set: attr::RDONLY, ..Change::default() })?;
    Ok(mount)
}
