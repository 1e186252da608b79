//! What a supervisor says about the ports that it has published, for everybody else to read.
//!
//! ```text
//! STATE/published/ID              two lines: whose word it is; what the container has in the firewall, and its ports
//! STATE/published/ports/tcp-8080/ID   that it has this port, at whatever address
//! ```
//! The file is written before the firewall has what it says, and removed when the firewall has it no more: so what a
//! killed supervisor has left there can always be found and taken out. A lock on the folder (flock(2)) is held over
//! both together, whoever does it.
//!
//! The folders of single ports make publishing cost the same however many containers there are: whoever takes a port
//! looks only at those who had the same one. The kernel keeps the lease of a port and nothing here does, so an entry
//! that leads nowhere costs a look and no more.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bulkhead_network::conntrack;
use bulkhead_network::firewall::{self, Presence, Protocol};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::status::{ProcessId, State, Status};

/// The folder of the folders of single ports.
const PORTS: &str = "ports";
/// The file that is locked.
const LOCK: &str = "lock";
/// The file that says when all were looked at, and how many containers are many; how often that is done then.
const SWEPT: &str = "swept";
const MANY: usize = 64;
const PAUSE: Duration = Duration::from_secs(5);
/// How the name of a file ends that is not whole yet.
const NEXT: &str = ".next";

/// What a container has published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The container's full ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its folder on disk, where its status is.
    pub folder: String,
    /// Whose word this is.
    pub supervisor: ProcessId,
    /// Its ports, as people see them.
    pub ports: Vec<HostPort>,
    /// What of it is in the firewall, or is about to be: the ports that the kernel leads. (What its links are let through
    /// with is not said here, see `wiring.rs`.)
    pub presence: Presence,
}

/// A port of the host that a container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// The host's address; `0.0.0.0` or `::` stand for all that it has, of that family alone.
    pub address: IpAddr,
    /// The host's port.
    pub port: u16,
    /// Of this protocol.
    pub protocol: Protocol,
    /// The container's port.
    pub container_port: u16,
    /// Where it leads; none while the container is on no network that could be led to.
    pub to: Option<SocketAddr>,
}

impl Published {
    /// Whether its container has ended, or is gone, so that its ports are about to be given back.
    pub(crate) fn is_ending(&self) -> bool {
        match Status::read(Path::new(&self.folder)) {
            Ok(Some(status)) => matches!(status.state, State::Exited | State::Restarting),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}

/// What the container `id` has published; `folder` is `STATE/published`. `None` if that is nothing, or if its
/// supervisor was killed.
///
/// # Errors
/// A file that cannot be read or understood.
pub fn read_published(folder: &Path, id: &str) -> io::Result<Option<Published>> {
    Ok(read(&folder.join(id))?.filter(|published| published.supervisor.lives()))
}

/// The same of all containers, in no order.
///
/// # Errors
/// Those of reading a folder and its files.
pub fn published_ports(folder: &Path) -> io::Result<Vec<Published>> {
    let mut all = all(folder)?;
    all.retain(|published| published.supervisor.lives());
    Ok(all)
}

/// Takes out of the firewall what supervisors that were killed have left there. Costs a look at each container that
/// has something there, and nothing where none ever had. Where there are many, it is done every few seconds only, for
/// nobody depends on it: whoever takes a port that a dead one had looks for that, and [`withdraw`] is for addresses.
///
/// # Errors
/// What the kernel refused, or a file that cannot be read or removed; what was not yet withdrawn stays to be found.
pub fn withdraw_dead(folder: &Path) -> io::Result<()> {
    let names = names(folder)?;
    if names.len() > MANY {
        let swept = folder.join(SWEPT);
        let recently = fs::metadata(&swept).and_then(|file| file.modified());
        if recently.is_ok_and(|at| at.elapsed().is_ok_and(|ago| ago < PAUSE)) {
            return Ok(());
        }
        fs::write(swept, "")?;
    }
    sweep(folder, &names)
}

fn sweep(folder: &Path, names: &[String]) -> io::Result<()> {
    let unfinished = |names: &[String]| names.iter().any(|name| name.ends_with(NEXT));
    let mut dead = unfinished(names);
    for id in names.iter().filter(|name| is_id(name)) {
        dead = dead || whose(&folder.join(id))?.is_some_and(|supervisor| !supervisor.lives());
    }
    if !dead {
        return Ok(());
    }
    let Some(_lock) = Lock::if_there(folder)? else { return Ok(()) };
    for name in self::names(folder)?.iter().filter(|name| name.ends_with(NEXT)) {
        // Nobody is at it, since that takes the lock.
        unless_gone(fs::remove_file(folder.join(name)))?;
    }
    all(folder)?
        .iter()
        .filter(|published| !published.supervisor.lives())
        .try_for_each(|published| clear(folder, published))
}

/// The same for one container: to be called before its addresses are given to another.
///
/// # Errors
/// The same.
pub fn withdraw(folder: &Path, id: &str) -> io::Result<()> {
    let dead = || Ok(read(&folder.join(id))?.filter(|published| !published.supervisor.lives()));
    let seen: io::Result<Option<Published>> = dead();
    if seen?.is_none() {
        return Ok(());
    }
    let Some(_lock) = Lock::if_there(folder)? else { return Ok(()) };
    dead()?.map_or(Ok(()), |published| clear(folder, &published))
}

/// Does something with what containers have published in the firewall, newborn ones too, while none of it changes: to
/// put it all there again. What dead supervisors have left is withdrawn before.
///
/// # Errors
/// Those of [`withdraw_dead`].
pub fn with_presences<T>(folder: &Path, act: impl FnOnce(&[Presence]) -> T) -> io::Result<T> {
    sweep(folder, &names(folder)?)?;
    let _lock = Lock::if_there(folder)?;
    let presences: Vec<Presence> = published_ports(folder)?.into_iter().map(|one| one.presence).collect();
    Ok(act(&presences))
}

/// Whoever has that port by what the files say, dead or alive. Only under the lock it is sure to be whole.
pub(crate) fn having(folder: &Path, protocol: Protocol, port: u16) -> io::Result<Vec<Published>> {
    let mut found = Vec::new();
    for id in names(&of_port(folder, protocol, port))? {
        found.extend(read(&folder.join(id))?);
    }
    Ok(found)
}

/// Takes what it says out of the firewall and then removes it. The lock is the caller's.
pub(crate) fn clear(folder: &Path, published: &Published) -> io::Result<()> {
    dismiss(&published.presence)?;
    bulkhead_sys::fail::point("publish: dismissed");
    remove(folder, published)
}

/// Takes it out of the firewall, and has the kernel forget whom datagrams were led to.
pub(crate) fn dismiss(presence: &Presence) -> io::Result<()> {
    let dismissed = firewall::dismiss(presence).and_then(|()| conntrack::forget(&presence.ports).map(drop));
    match dismissed {
        // There is no firewall for it to be in.
        Err(bulkhead_network::Error::NoFirewall { .. }) => Ok(()),
        dismissed => dismissed.map_err(io::Error::other),
    }
}

/// Says it. The lock is the caller's.
pub(crate) fn write(folder: &Path, published: &Published) -> io::Result<()> {
    let next = folder.join(format!("{}{NEXT}", published.id));
    let mut text = serde_json::to_vec(&published.supervisor)?;
    text.push(b'\n');
    serde_json::to_writer(&mut text, published)?;
    fs::write(&next, text)?;
    fs::rename(next, folder.join(&published.id))?;
    // After the file, by which they are found and removed.
    for port in &published.ports {
        let entry = of_port(folder, port.protocol, port.port);
        match fs::DirBuilder::new().mode(0o700).recursive(true).create(&entry) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => drop(File::create(entry.join(&published.id))?),
        }
    }
    Ok(())
}

/// Removes what was said: the file last. The lock is the caller's.
pub(crate) fn remove(folder: &Path, published: &Published) -> io::Result<()> {
    for port in &published.ports {
        let entry = of_port(folder, port.protocol, port.port);
        let _ = fs::remove_file(entry.join(&published.id));
        // It stays if another has the port at another address.
        let _ = fs::remove_dir(entry);
    }
    unless_gone(fs::remove_file(folder.join(&published.id)))
}

/// What the file of that container says.
pub(crate) fn read(file: &Path) -> io::Result<Option<Published>> {
    match fs::read(file) {
        Ok(text) => {
            let whole = text.splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default();
            understood(file, serde_json::from_slice(whole))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whose word it is: its first line says that alone, since a container can have thousands of ports, and every command
/// that repairs looks whether their supervisor lives.
fn whose(file: &Path) -> io::Result<Option<ProcessId>> {
    let mut line = Vec::new();
    match File::open(file) {
        Ok(file) => BufReader::with_capacity(256, file.take(4096)).read_until(b'\n', &mut line)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    understood(file, serde_json::from_slice(&line))
}

fn understood<T>(file: &Path, read: serde_json::Result<T>) -> io::Result<Option<T>> {
    read.map(Some).map_err(|error| io::Error::other(format!("cannot understand {}: {error}", file.display())))
}

/// The lock on the folder, until it is dropped.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, and makes the folder if there is none.
    pub(crate) fn take(folder: &Path) -> io::Result<Lock> {
        match Lock::open(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
                Lock::open(folder)
            }
            taken => taken,
        }
    }

    fn if_there(folder: &Path) -> io::Result<Option<Lock>> {
        match Lock::open(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            taken => taken.map(Some),
        }
    }

    fn open(folder: &Path) -> io::Result<Lock> {
        use std::os::unix::fs::OpenOptionsExt;
        let file =
            File::options().write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK))?;
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?;
        Ok(Lock { _file: file })
    }
}

fn of_port(folder: &Path, protocol: Protocol, port: u16) -> PathBuf {
    folder.join(PORTS).join(format!("{}-{port}", super::ports::name_of(protocol)))
}

fn all(folder: &Path) -> io::Result<Vec<Published>> {
    let mut found = Vec::new();
    for id in names(folder)?.into_iter().filter(|name| is_id(name)) {
        found.extend(read(&folder.join(id))?);
    }
    Ok(found)
}

fn is_id(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()))
            .filter(|name| !matches!(name, Ok(name) if name.is_empty()))
            .collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
