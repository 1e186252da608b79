//! Where clients find the server: a Unix socket, TCP ([`tls`](crate::tls)), or what it was started with
//! ([`passed`](crate::passed)).
//!
//! A Unix socket's folder and mode say who may reach it: root, and the group `bulkhead` where the machine has one.
//! Whoever can reach it can do what root can (SECURITY.md). The engine's folder of this boot is closed to all but root; for
//! the group's sake it may be passed through to the socket, and nothing else in it is open. A socket that a dead server
//! left is replaced; one that somebody listens at is not.

use std::fmt;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::ServeError;
use crate::passed::Which;

/// The group whose members may use the engine.
const GROUP: &str = "bulkhead";

/// Something to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP, with mutual TLS.
    Tcp(SocketAddr),
    /// Sockets that the server was started with.
    Passed(Which),
}

impl Address {
    /// Reads `unix:///run/bulkhead/bulkhead.sock`, `tcp://127.0.0.1:2376`, `fd://` and their like, as of `-H`.
    ///
    /// # Errors
    /// Another form, with the reason why.
    pub fn parse(text: &str) -> Result<Address, String> {
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Address::Unix(path.into())),
            // The server looks nothing up, so that it surely listens where it was told and nowhere else.
            Some(("tcp", rest)) => rest.parse().map(Address::Tcp).map_err(|_| {
                format!("invalid address {text}: write tcp://, an IP address and a port, e.g. tcp://127.0.0.1:2376")
            }),
            Some(("fd", "" | "*")) => Ok(Address::Passed(Which::All)),
            Some(("fd", rest)) => match rest.parse::<i32>() {
                Ok(number) if number >= 3 => Ok(Address::Passed(Which::Number(number))),
                Ok(_) => Err(format!("invalid address {text}: sockets are passed from descriptor 3 on")),
                Err(_) => Ok(Address::Passed(Which::Named(rest.into()))),
            },
            _ => Err(format!(
                "invalid address {text}: write unix:// and an absolute path, tcp:// with an IP address and a port, or fd://"
            )),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Address::Tcp(address) => write!(formatter, "tcp://{address}"),
            Address::Passed(Which::All) => formatter.write_str("fd://"),
            Address::Passed(Which::Number(number)) => write!(formatter, "fd://{number}"),
            Address::Passed(Which::Named(name)) => write!(formatter, "fd://{name}"),
        }
    }
}

/// Begins to listen. The name in the file system appears with the right mode: it is made beside, and moved. `state` is
/// the engine's folder of this boot, the one folder whose mode is ours to set.
pub(crate) fn listen(path: &Path, state: &Path) -> Result<UnixListener, ServeError> {
    let doing = || format!("listen at {}", path.display());
    let group = group().map_err(|error| ServeError::new("read /etc/group", error))?;
    if let Some(folder) = path.parent() {
        prepare(folder, state, group).map_err(|error| ServeError::new(doing(), error))?;
    }
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(ServeError::new(doing(), error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            let error = std::io::Error::new(ErrorKind::AlreadyExists, "something else is there");
            return Err(ServeError::new(doing(), error));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            let error = std::io::Error::new(ErrorKind::AddrInUse, "another server listens there");
            return Err(ServeError::new(doing(), error));
        }
        Ok(_) => {}
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let made = make(&beside, group).and_then(|listener| {
        std::fs::rename(&beside, path)?;
        Ok(listener)
    });
    if made.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    made.map_err(|error| ServeError::new(doing(), error))
}

/// Begins to listen at a TCP address.
pub(crate) fn listen_tcp(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| ServeError::new(format!("listen at tcp://{address}"), error))
}

/// Lets the group through the engine's folder to a socket in it that somebody else made.
pub(crate) fn let_through(socket: &Path, state: &Path) -> Result<(), ServeError> {
    let group = group().map_err(|error| ServeError::new("read /etc/group", error))?;
    match socket.parent().filter(|folder| *folder == state) {
        Some(folder) => prepare(folder, state, group)
            .map_err(|error| ServeError::new(format!("let clients reach {}", socket.display()), error)),
        None => Ok(()),
    }
}

/// Makes the folder if it is not there, closed to all but root, and lets the group through the engine's own.
fn prepare(folder: &Path, state: &Path, group: Option<u32>) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    if let Some(group) = group.filter(|_| folder == state) {
        std::os::unix::fs::chown(folder, Some(0), Some(group))?;
        std::fs::set_permissions(folder, Permissions::from_mode(0o710))?;
    }
    Ok(())
}

fn make(path: &Path, group: Option<u32>) -> std::io::Result<UnixListener> {
    // Nobody but root from the first moment on, whatever the caller's umask.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = listener?;
    if let Some(group) = group {
        std::os::unix::fs::chown(path, Some(0), Some(group))?;
        std::fs::set_permissions(path, Permissions::from_mode(0o660))?;
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The number of the group, if the machine has it (group(5)).
fn group() -> std::io::Result<Option<u32>> {
    let text = match std::fs::read_to_string("/etc/group") {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    Ok(text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(GROUP)).then(|| fields.nth(1)?.parse().ok()).flatten()
    }))
}

/// Which file a socket is: taken away at the end if it is still ours.
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::Address;
    use crate::passed::Which;

    #[test]
    fn addresses_are_read_or_refused() {
        for (text, expected) in [
            ("unix:///a/b", Address::Unix("/a/b".into())),
            ("tcp://127.0.0.1:2376", Address::Tcp(([127, 0, 0, 1], 2376).into())),
            ("fd://", Address::Passed(Which::All)),
            ("fd://4", Address::Passed(Which::Number(4))),
            ("fd://bulkhead.socket", Address::Passed(Which::Named("bulkhead.socket".into()))),
        ] {
            assert_eq!(Address::parse(text), Ok(expected.clone()));
            assert_eq!(expected.to_string(), text);
        }
        assert_eq!(Address::parse("fd://*"), Ok(Address::Passed(Which::All)));
        assert!(Address::parse("tcp://[::1]:2376").is_ok());
        for bad in [
            "",
            "/a",
            "unix://a",
            "tcp://",
            "tcp://localhost:1",
            "tcp://:1",
            "tcp://1.2.3.4",
            "fd://2",
            "http://x",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
