//! Containers on disk: under the root a folder each, with
//!
//! | file | what |
//! |---|---|
//! | `state.json` | the record, with runc's names where it has them; replaced whole |
//! | `lock` | flock(2): who makes, starts, changes or deletes the container |
//! | `start` | the socket at which its process waits to be started |
//!
//! A record without a process whose lock is free is what a killed `create` left, and counts as no container: whoever
//! meets it under the lock removes it.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use bulkhead_isolation::{cgroups, hold};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

use crate::error::{Doing, Error, Result};
use crate::state::{State, Status, check_id};

const FILE: &str = "state.json";
const LOCK: &str = "lock";
/// The socket's name.
pub(crate) const START: &str = "start";

/// The folder of all containers.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// A container that is recorded.
#[derive(Debug)]
pub struct Container {
    folder: PathBuf,
    opened: OwnedFd,
    /// The record.
    pub state: State,
    /// Held until this is dropped.
    lock: Option<File>,
}

impl Store {
    /// The containers under `root`.
    pub fn new(root: PathBuf) -> Store {
        Store { root }
    }

    /// Makes the record of a container that is to be made; what a killed `create` of this ID left goes first.
    ///
    /// # Errors
    /// There is one of this ID.
    pub fn create(&self, state: State) -> Result<Container> {
        check_id(&state.id)?;
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&self.root).doing(|| format!("make {}", self.root.display()))?;
        let folder = self.root.join(&state.id);
        // Each turn has another's leftovers gone, or another that was quicker.
        for _ in 0..8 {
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    let Some(lock) = lock(&folder, FlockOperation::NonBlockingLockExclusive)? else {
                        return Err(Error::Exists);
                    };
                    match read(&folder)? {
                        Some(found) if found.first.pid != 0 => return Err(Error::Exists),
                        found => bury(&folder, found.as_ref()),
                    }
                    drop(lock);
                    continue;
                }
                Err(error) => return Err(error).doing(|| format!("make {}", folder.display())),
            }
            // Between the two lines above and this one somebody may have taken it for a leftover.
            let Some(lock) = lock(&folder, FlockOperation::NonBlockingLockExclusive)? else { continue };
            let opened = open_folder(&folder)?;
            let container =
                Container { folder: folder.clone(), opened, state: state.clone(), lock: Some(lock) };
            container.write()?;
            return Ok(container);
        }
        Err(Error::Exists)
    }

    /// A container, without a lock: to look at it.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, id: &str) -> Result<Container> {
        check_id(id)?;
        let folder = self.root.join(id);
        let state = read(&folder)?.ok_or(Error::NotFound)?;
        let opened = open_folder(&folder)?;
        let container = Container { folder, opened, state, lock: None };
        if container.state.first.pid == 0
            && let Some(_free) = lock(&container.folder, FlockOperation::NonBlockingLockExclusive)?
        {
            // The record may have been finished since it was read.
            let again = read(&container.folder)?;
            if again.as_ref().is_none_or(|state| state.first.pid == 0) {
                bury(&container.folder, again.as_ref());
                return Err(Error::NotFound);
            }
            return Ok(Container { state: again.unwrap_or_default(), ..container });
        }
        Ok(container)
    }

    /// A container, locked: to change it.
    ///
    /// # Errors
    /// There is none.
    pub fn lock(&self, id: &str) -> Result<Container> {
        let found = self.find(id)?;
        let lock = lock(&found.folder, FlockOperation::LockExclusive)?.ok_or(Error::NotFound)?;
        // It may have been deleted while the lock was waited for.
        let state = read(&found.folder)?.ok_or(Error::NotFound)?;
        Ok(Container { state, lock: Some(lock), ..found })
    }

    /// All of them, by ID.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn all(&self) -> Result<Vec<Container>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.doing(|| format!("read {}", self.root.display()))?,
        };
        let mut ids: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        ids.sort_unstable();
        let mut all = Vec::new();
        for id in ids {
            match self.find(&id) {
                Err(Error::NotFound | Error::InvalidId) => {}
                found => all.push(found?),
            }
        }
        Ok(all)
    }
}

impl Container {
    /// How it is now.
    pub fn status(&self) -> Status {
        if self.state.first.pid == 0 {
            Status::Creating
        } else if !self.state.first.lives() {
            Status::Stopped
        } else if cgroups::is_frozen(&self.state.cgroup) {
            Status::Paused
        } else if self.folder.join(START).exists() && hold::is_held(self.opened.as_fd(), START) {
            Status::Created
        } else {
            Status::Running
        }
    }

    /// The folder, opened.
    pub(crate) fn folder(&self) -> BorrowedFd<'_> {
        self.opened.as_fd()
    }

    /// Takes the socket away that nobody waits at any more.
    pub(crate) fn started(&self) {
        // What stays is found to have nobody behind it.
        let _ = fs::remove_file(self.folder.join(START));
    }

    /// Writes the record.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self) -> Result<()> {
        let doing = || format!("write the state of {}", self.state.id);
        let part = self.folder.join("state.json.part");
        let body = serde_json::to_vec(&self.state).map_err(std::io::Error::from).doing(doing)?;
        File::create(&part).and_then(|mut file| file.write_all(&body)).doing(doing)?;
        fs::rename(&part, self.folder.join(FILE)).doing(doing)
    }

    /// Its first process; `None`: it has ended.
    pub(crate) fn first(&self) -> Option<OwnedFd> {
        self.state.first.open()
    }

    /// Removes the record.
    ///
    /// # Errors
    /// The disk's.
    pub fn remove(self) -> Result<()> {
        remove(&self.folder)
    }

    /// Lets others at it.
    pub(crate) fn unlock(&mut self) {
        self.lock = None;
    }
}

/// Removes what a killed `create` left.
fn bury(folder: &Path, state: Option<&State>) {
    if let Some(state) = state {
        let _ = crate::groups::of(state).remove();
    }
    // What cannot be removed is met again.
    let _ = remove(folder);
}

fn remove(folder: &Path) -> Result<()> {
    // The record first: without it there is no container, whatever else is left.
    match fs::remove_file(folder.join(FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).doing(|| format!("remove {}", folder.display()));
        }
        _ => {}
    }
    fs::remove_dir_all(folder).doing(|| format!("remove {}", folder.display()))
}

fn open_folder(folder: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match open(folder, flags, Mode::empty()) {
        Err(Errno::NOENT) => Err(Error::NotFound),
        opened => opened.doing(|| format!("open {}", folder.display())),
    }
}

/// The record; `None`: there is none.
fn read(folder: &Path) -> Result<Option<State>> {
    let path = folder.join(FILE);
    match File::open(&path) {
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        opened => {
            let file = opened.doing(|| format!("open {}", path.display()))?;
            crate::spec::read(file, &path.display().to_string()).map(Some)
        }
    }
}

/// The lock of the container that has this folder now; `None`: somebody has it, or the folder has gone.
fn lock(folder: &Path, how: FlockOperation) -> Result<Option<File>> {
    let path = folder.join(LOCK);
    let doing = || format!("lock {}", folder.display());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = match open(&path, flags, Mode::from_raw_mode(0o600)) {
        Err(Errno::NOENT) => return Ok(None),
        opened => opened.doing(doing)?,
    };
    loop {
        match flock(&file, how) {
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            locked => break locked.doing(doing)?,
        }
    }
    // Somebody may have removed the container meanwhile, and another may be there.
    let same = match (rustix::fs::stat(&path), rustix::fs::fstat(&file)) {
        (Ok(there), Ok(here)) => (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino),
        _ => false,
    };
    Ok(same.then(|| File::from(file)))
}

#[cfg(test)]
mod tests {
    use super::{State, Store};
    use crate::error::Error;

    #[test]
    fn what_a_killed_creation_left_is_no_container_and_in_nobody_s_way() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("root"));
        let state = State { id: "a".into(), cgroup: "/nothing/here".into(), ..State::default() };
        let made = store.create(state.clone()).unwrap();
        assert!(matches!(store.create(state.clone()), Err(Error::Exists)), "its maker lives");
        assert!(store.find("a").is_ok());
        drop(made);
        assert!(matches!(store.find("a"), Err(Error::NotFound)));
        assert!(store.all().unwrap().is_empty());
        drop(store.create(state.clone()).unwrap());
        let mut again = store.create(state).unwrap();
        again.state.first.pid = 1;
        again.write().unwrap();
        drop(again);
        assert_eq!(store.all().unwrap().len(), 1);
        store.lock("a").unwrap().remove().unwrap();
        assert!(matches!(store.lock("a"), Err(Error::NotFound)));
    }
}
