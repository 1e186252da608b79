//! Where clients find the server.
//!
//! A Unix socket whose folder and mode say who may reach it: root, and the group `bulkhead` where the machine has one.
//! Whoever can reach it can do what root can (SECURITY.md). The engine's folder of this boot is closed to all but root; for
//! the group's sake it may be passed through to the socket, and nothing else in it is open. A socket that a dead server
//! left is replaced; one that somebody listens at is not.

use std::fmt;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::ServeError;

/// The group whose members may use the engine.
const GROUP: &str = "bulkhead";

/// Something to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Reads `unix:///run/bulkhead/bulkhead.sock`, as of `-H`.
    ///
    /// # Errors
    /// Another form, with the reason why.
    pub fn parse(text: &str) -> Result<Address, String> {
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Address::Unix(path.into())),
            Some(("tcp", _)) => {
                Err(format!("invalid address {text}: bulkhead does not listen at TCP addresses"))
            }
            _ => Err(format!("invalid address {text}: write unix:// and an absolute path")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address::Unix(path) = self;
        write!(formatter, "unix://{}", path.display())
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

    #[test]
    fn addresses_are_sockets_by_absolute_path() {
        assert_eq!(Address::parse("unix:///a/b"), Ok(Address::Unix("/a/b".into())));
        for bad in ["", "/a", "unix://a", "tcp://127.0.0.1:1", "fd://"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
