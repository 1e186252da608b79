//! What is known of containers on disk: under the root a folder each, with
//!
//! | file | what |
//! |---|---|
//! | `state.json` | the record, with runc's names where it has them; replaced whole |
//! | `lock` | flock(2): who makes, starts, changes or deletes the container |
//! | `start` | the socket at which its process waits to be started |
//!
//! A record without a process whose lock is free is what a killed `create` left, and counts as no container: whoever
//! meets it under the lock removes it.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use bulkhead_isolation::namespaces::Namespaces;
use bulkhead_isolation::{cgroups, hold};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::process::ProcessId;
use crate::spec::VERSION;
use crate::spec::hooks::Hooks;
use crate::spec::process::Process;

const FILE: &str = "state.json";
const LOCK: &str = "lock";
/// The socket's name.
pub(crate) const START: &str = "start";
/// The longest ID: what a folder's name may be, with room for the names of groups.
const LONGEST: usize = 250;

/// The record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// The container's name.
    pub id: String,
    /// Its first process.
    #[serde(flatten)]
    pub first: ProcessId,
    /// When it was made (RFC 3339).
    pub created: String,
    /// The version of the specification that its configuration was written for.
    pub oci_version: String,
    /// The bundle's absolute path.
    pub bundle: String,
    /// The root file system's absolute path.
    pub rootfs: String,
    /// What the configuration notes.
    pub annotations: BTreeMap<String, String>,
    /// Who made it.
    pub owner: u32,
    /// The control group, below the root of each hierarchy.
    pub cgroup: String,
    /// Its folders.
    pub cgroup_paths: Vec<PathBuf>,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// What later programs begin with: the configuration's process.
    pub process: Process,
    /// And its filter.
    pub seccomp: Option<bulkhead_isolation::seccomp::Seccomp>,
    /// And its execution domain.
    pub personality: Option<crate::spec::process::Personality>,
    /// The configuration's hooks.
    pub hooks: Hooks,
}

/// How a container is (runtime.md, "State").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being made.
    Creating,
    /// It waits to be started.
    Created,
    /// Its program runs.
    Running,
    /// It is frozen.
    Paused,
    /// Its program has ended.
    Stopped,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        })
    }
}

/// What `state` prints, and hooks read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown<'a> {
    oci_version: &'static str,
    id: &'a str,
    pub(crate) pid: i32,
    pub(crate) status: Status,
    bundle: &'a str,
    rootfs: &'a str,
    created: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    owner: String,
}

impl State {
    /// As others see it.
    pub(crate) fn shown(&self, status: Status, owner: String) -> Shown<'_> {
        Shown {
            oci_version: VERSION,
            id: &self.id,
            pid: if status == Status::Stopped { 0 } else { self.first.pid },
            status,
            bundle: &self.bundle,
            rootfs: &self.rootfs,
            created: &self.created,
            annotations: &self.annotations,
            owner,
        }
    }

    /// What a hook reads.
    pub(crate) fn for_hooks(&self, status: Status) -> Vec<u8> {
        serde_json::to_vec(&self.shown(status, String::new())).unwrap_or_default()
    }
}

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

/// Refuses what can be no ID.
///
/// # Errors
/// Anything but letters, digits and `_+-.`, or a name that leads elsewhere.
pub fn check_id(id: &str) -> Result<()> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_+-.".contains(letter);
    if id.is_empty() || id.len() > LONGEST || id == "." || id == ".." || !id.chars().all(plain) {
        return Err(Error::InvalidId);
    }
    Ok(())
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
        cgroups::clear(&state.cgroup);
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
    use super::{State, Store, check_id};
    use crate::error::Error;

    #[test]
    fn ids_lead_nowhere_else() {
        for good in ["a", "A-1_2+3.x", "...", &"x".repeat(250)] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\n", &"x".repeat(251)] {
            assert!(matches!(check_id(bad), Err(Error::InvalidId)), "{bad:?}");
        }
    }

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
