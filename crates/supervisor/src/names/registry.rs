//! Who is called what on a network: folders and symbolic links below `STATE/networks`, without a process that has them.
//!
//! ```text
//! STATE/networks/NETWORK_ID/names/NAME/OWNER         -> "172.20.0.2,fd00::2 web"
//! STATE/networks/NETWORK_ID/addresses/ADDRESS/OWNER  -> the same
//! ```
//! NAME is in lower case. OWNER is the container's ID with its supervisor's process: `ID.PID.START.BOOT` (the boot by the
//! last group of its ID). The link's text has the addresses, and the container's own name. It leads nowhere: a link is
//! merely the one file that is made whole in one step, and its text, kept short, lies in the inode itself on most file
//! systems.
//!
//! Each supervisor makes its own links and removes them at the end. Who finds the link of a supervisor that has died
//! takes no notice of it but to remove it. Since the process is part of the file's name, that cannot meet the link
//! of a later supervisor of the same container, and so nothing here is ever locked, by anybody.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use crate::networks::Membership;
use crate::status::{ProcessId, boot_id};

/// What a link ends with while it is not at its place yet.
const NEXT: &str = ".next";
/// How often a folder is made again that somebody else, seeing it empty, removes.
const TRIES: usize = 100;

/// How a name is kept: in lower case, without a dot at its end.
///
/// # Errors
/// A sentence that says why nobody can be called so.
pub fn check(name: &str) -> Result<String, String> {
    let kept = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let wrong = match kept.as_str() {
        "" | "." | ".." => "it is no name",
        _ if kept.contains(['/', '\0']) => "it holds a slash or a zero byte",
        _ if kept.len() > 255 => "it has more than 255 bytes",
        _ => return Ok(kept),
    };
    Err(format!("{name:?} cannot be looked up on a network: {wrong}"))
}

/// A container's part of it.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
    owner: String,
}

impl Registry {
    /// That of the container with this full ID, whose supervisor is `process`, in `folder` (`STATE/networks`).
    ///
    /// # Errors
    /// The ID is no name of a file.
    pub fn new(folder: &Path, container: &str, process: &ProcessId) -> io::Result<Registry> {
        let owner =
            format!("{}.{}.{}.{}", component(container)?, process.pid, process.started, short(&process.boot));
        Ok(Registry { folder: folder.to_owned(), owner })
    }

    /// Says what the container is called on a network; what it said before of the same names counts no more.
    /// Gives a sentence for each name that cannot be had, and is left out.
    ///
    /// # Errors
    /// Those of making folders and links.
    pub fn publish(&self, network: &Membership) -> io::Result<Vec<String>> {
        let root = self.folder.join(component(&network.id)?);
        let (names, addresses) = said(network);
        let own = network.names.first().map_or("", String::as_str);
        let text = format!("{} {own}", addresses.join(","));
        for name in &names {
            self.put(&root.join("names").join(name), &text)?;
        }
        for address in &addresses {
            self.put(&root.join("addresses").join(address), &text)?;
        }
        Ok(network.names.iter().filter_map(|name| check(name).err()).collect())
    }

    /// Takes back what was said of a network.
    pub fn withdraw(&self, network: &Membership) {
        self.retire(network, None);
    }

    /// Takes back what was said of a network, but for what is said now.
    pub fn retire(&self, network: &Membership, now: Option<&Membership>) {
        let Ok(id) = component(&network.id) else { return };
        let root = self.folder.join(id);
        let (names, addresses) = said(network);
        let (kept_names, kept_addresses) = now.map(said).unwrap_or_default();
        for name in names.iter().filter(|name| !kept_names.contains(name)) {
            self.take(&root.join("names").join(name));
        }
        for address in addresses.iter().filter(|address| !kept_addresses.contains(address)) {
            self.take(&root.join("addresses").join(address));
        }
    }

    fn put(&self, place: &Path, text: &str) -> io::Result<()> {
        let link = place.join(&self.owner);
        let mut last = None;
        for _ in 0..TRIES {
            match symlink(text, &link) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    last = Some(error);
                    match fs::DirBuilder::new().recursive(true).mode(0o700).create(place) {
                        // It was there when it was to be made, and gone when it was looked at.
                        Err(error) if error.kind() == ErrorKind::AlreadyExists => last = Some(error),
                        made => made?,
                    }
                }
                // Our own, of before: replaced in one step, so that the name is never missing.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    let next = place.join(format!("{}{NEXT}", self.owner));
                    let _ = fs::remove_file(&next);
                    symlink(text, &next)?;
                    return fs::rename(&next, &link);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| ErrorKind::NotFound.into()))
    }

    fn take(&self, place: &Path) {
        // One that cannot be removed is a dead supervisor's soon.
        let _ = fs::remove_file(place.join(&self.owner));
        let _ = fs::remove_dir(place);
    }
}

/// The names, as they are kept, and addresses of a container on a network.
fn said(network: &Membership) -> (Vec<String>, Vec<String>) {
    let addresses = network.endpoint.addresses.iter().map(|address| address.addr().to_string());
    (network.names.iter().filter_map(|name| check(name).ok()).collect(), addresses.collect())
}

/// The addresses that a name leads to on a network; `None`: nobody is called so.
///
/// # Errors
/// The links cannot be read: whether there is somebody is not known then.
pub fn look_up(folder: &Path, network: &str, name: &str) -> io::Result<Option<Vec<IpAddr>>> {
    let Ok(name) = check(name) else { return Ok(None) };
    let texts = read(&folder.join(component(network)?).join("names").join(name))?;
    let mut addresses = Vec::new();
    for text in &texts {
        let (list, _) = text.split_once(' ').unwrap_or((text, ""));
        addresses.extend(list.split(',').filter_map(|address| address.parse::<IpAddr>().ok()));
    }
    Ok(Some(addresses).filter(|_| !texts.is_empty()))
}

/// The own name of the container that has an address on a network.
///
/// # Errors
/// The links cannot be read.
pub fn look_up_address(folder: &Path, network: &str, address: IpAddr) -> io::Result<Option<String>> {
    let place = folder.join(component(network)?).join("addresses").join(address.to_string());
    let names = read(&place)?.into_iter().filter_map(|text| {
        text.split_once(' ').map(|(_, name)| name.to_owned()).filter(|name| !name.is_empty())
    });
    Ok({ names }.next())
}

/// Removes what a container's dead supervisors said of a network. (What its living one says stays.)
///
/// # Errors
/// Those of reading folders and of removing files.
pub fn forget(folder: &Path, network: &str, container: &str) -> io::Result<()> {
    let (root, container) = (folder.join(component(network)?), component(container)?);
    for kind in ["names", "addresses"] {
        for place in entries(&root.join(kind))? {
            let place = place?.path();
            let mut found = false;
            for entry in entries(&place)? {
                let entry = entry?;
                let name = entry.file_name();
                let Some(owner) = name.to_str().and_then(Owner::parse) else { continue };
                if owner.container == container && !owner.process.lives() {
                    remove(&entry.path())?;
                    found = true;
                }
            }
            if found {
                let _ = fs::remove_dir(place);
            }
        }
    }
    Ok(())
}

/// Removes all that was ever said of a network, which is no more.
///
/// # Errors
/// Those of removing folders.
pub fn forget_network(folder: &Path, network: &str) -> io::Result<()> {
    match fs::remove_dir_all(folder.join(component(network)?)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The texts of the living at a place. Those of the dead are removed.
fn read(place: &Path) -> io::Result<Vec<String>> {
    let (mut texts, mut dead) = (Vec::new(), false);
    for entry in entries(place)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(Owner::parse) else { continue };
        if !owner.process.lives() {
            // It would cost the next look-up the same again, and nothing else.
            let _ = fs::remove_file(entry.path());
            dead = true;
        } else if owner.whole {
            match fs::read_link(entry.path()) {
                Ok(text) => texts.extend(text.into_os_string().into_string().ok()),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    if dead && texts.is_empty() {
        let _ = fs::remove_dir(place);
    }
    Ok(texts)
}

/// What is in a folder; nothing if it is not there.
fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None.into_iter().flatten())
        }
        Err(error) => Err(error),
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The name of a link.
struct Owner<'a> {
    container: &'a str,
    process: ProcessId,
    /// Whether it is at its place.
    whole: bool,
}

impl Owner<'_> {
    fn parse(name: &str) -> Option<Owner<'_>> {
        let (name, whole) = name.strip_suffix(NEXT).map_or((name, true), |name| (name, false));
        let mut parts = name.rsplitn(4, '.');
        let (boot, started, pid, container) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // By another boot's, a process is not found alive.
        let boot = boot_id().ok().filter(|now| short(now) == boot).unwrap_or_else(|| boot.to_owned());
        Some(Owner {
            container,
            process: ProcessId { pid: pid.parse().ok()?, started: started.parse().ok()?, boot },
            whole,
        })
    }
}

/// The last group of a boot's ID: 48 random bits, which tell it from all others that a machine will see.
fn short(boot: &str) -> &str {
    boot.rsplit('-').next().unwrap_or(boot)
}

/// An ID that may be a file's name.
fn component(id: &str) -> io::Result<&str> {
    if matches!(id, "" | "." | "..") || id.contains(['/', '\0']) || id.len() > 128 {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("{id:?} is no ID")));
    }
    Ok(id)
}

#[cfg(test)]
#[path = "registry_tests.rs"]
pub(super) mod tests;
