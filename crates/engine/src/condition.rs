//! Where a container stands: what its supervisor wrote, held against whether that supervisor lives.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use bulkhead_isolation::cgroups;
use bulkhead_supervisor::identity::withdraw;
use bulkhead_supervisor::names;
use bulkhead_supervisor::networks::withdraw as withdraw_ports;
use bulkhead_supervisor::status::{ProcessId, State, Status, boot_id, now};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

use crate::error::{Doing, Error, Result};
use crate::store::containers::Container;
use crate::{Engine, id};

/// A container's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has never been started.
    Created,
    /// Its first program runs, or is frozen.
    Running(Status),
    /// It has ended, and its restart policy starts it again soon.
    Restarting(Status),
    /// It has ended.
    Exited(Status),
}

impl Condition {
    /// Docker's word.
    pub fn word(&self) -> &'static str {
        match self {
            Condition::Created => "created",
            Condition::Running(status) if status.state == State::Paused => "paused",
            Condition::Running(_) => "running",
            Condition::Restarting(_) => "restarting",
            Condition::Exited(_) => "exited",
        }
    }

    /// What the supervisor wrote.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Condition::Created => None,
            Condition::Running(status) | Condition::Restarting(status) | Condition::Exited(status) => {
                Some(status)
            }
        }
    }

    /// What the supervisor wrote, if the container runs.
    pub fn running(&self) -> Option<&Status> {
        match self {
            Condition::Running(status) => Some(status),
            _ => None,
        }
    }

    /// What the supervisor wrote, if the container has one: it runs, or will again by itself.
    pub fn active(&self) -> Option<&Status> {
        match self {
            Condition::Running(status) | Condition::Restarting(status) => Some(status),
            _ => None,
        }
    }

    fn of(status: Status) -> Condition {
        match status.state {
            State::Running | State::Paused => Condition::Running(status),
            State::Restarting => Condition::Restarting(status),
            State::Exited => Condition::Exited(status),
        }
    }
}

impl Engine {
    /// Where the container stands. If its supervisor was killed, what it left is cleared away first.
    ///
    /// # Errors
    /// The status cannot be read.
    pub fn condition(&self, container: &Container) -> Result<Condition> {
        Ok(match self.status_of(container)? {
            None => Condition::Created,
            Some(status) if status.state == State::Exited || status.supervisor.lives() => {
                Condition::of(status)
            }
            Some(_) => self.bury(container)?,
        })
    }

    /// What the supervisor wrote. A file that cannot be understood (cut short by a power cut) says no more than that
    /// the container has run: what is left of it is cleared away like that of a killed supervisor.
    pub(crate) fn status_of(&self, container: &Container) -> Result<Option<Status>> {
        match Status::read(&self.roots.container(&container.id)) {
            Ok(status) => Ok(status),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
                let nobody = ProcessId { pid: 0, started: 0, boot: String::new() };
                Ok(Some(Status {
                    state: State::Running,
                    first: None,
                    supervisor: nobody,
                    started_at: now(),
                    finished_at: None,
                    exit_code: 255,
                    oom_killed: false,
                    error: String::new(),
                    restarts: 0,
                    waited: 0,
                    stopped: false,
                    health: None,
                }))
            }
            Err(error) => Err(error).doing(|| format!("read the status of container {}", container.name)),
        }
    }

    /// A supervisor was killed: its container's processes ended with it or are ended now, its group goes, and
    /// the record says what happened.
    fn bury(&self, container: &Container) -> Result<Condition> {
        let folder = self.roots.container(&container.id);
        let mut tried = 0;
        let lock = loop {
            match self.lock(container) {
                Ok(Some(lock)) => break lock,
                Ok(None) => {}
                // It was removed since its status was read.
                Err(Error::System { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            // Somebody else is at it, or has started the container again: what comes of it is the answer.
            let status = self.status_of(container)?;
            let settled = status
                .as_ref()
                .is_none_or(|status| status.state == State::Exited || status.supervisor.lives());
            tried += 1;
            if settled || tried > 2_500 {
                return Ok(status.map_or(Condition::Created, Condition::of));
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        };
        let Some(mut status) = self.status_of(container)? else {
            return Ok(Condition::Created);
        };
        if status.state == State::Exited {
            return Ok(Condition::Exited(status));
        }
        let group = self.cgroup_of(container);
        cgroups::kill_all(&group)?;
        for _ in 0..200 {
            match cgroups::remove(&group) {
                Ok(()) => break,
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(2)),
            }
        }
        bulkhead_sys::fail::point("bury: group gone");
        self.forget_networks(container)?;
        bulkhead_sys::fail::point("bury: networks forgotten");
        let waited = status.state == State::Restarting;
        let boot = boot_id().doing(|| "read this boot's ID")?;
        status.state = State::Exited;
        status.first = None;
        if !waited {
            let (exit_code, why) = if status.supervisor.boot == boot {
                (137, "the container's supervisor was killed, and the container with it")
            } else {
                (255, "the machine went down, and the container with it")
            };
            status.exit_code = exit_code;
            status.finished_at = Some(now());
            status.error = why.into();
        }
        let same_boot = status.supervisor.boot == boot;
        // Who starts it again is named before anybody else can look: should that be killed too, the next look finds it.
        if let Some(next) = if same_boot { self.start_again_aside(container, &status)? } else { None } {
            status.state = State::Restarting;
            status.supervisor = next;
        }
        status.write(&folder).doing(|| format!("write the status of container {}", container.name))?;
        bulkhead_sys::fail::point("bury: status written");
        self.forget_run(container);
        if same_boot && !waited {
            self.tell_of(container, "die", [("exitCode", status.exit_code.to_string())]);
        }
        drop(lock);
        Ok(Condition::of(status))
    }

    /// Takes out of the host's network what a killed supervisor left there, and from others the names by which they found
    /// its container.
    pub(crate) fn forget_networks(&self, container: &Container) -> Result<()> {
        let published = self.roots.published();
        withdraw_ports(&published, &container.id)
            .doing(|| format!("take back the published ports of container {}", container.name))?;
        for (_, network) in self.places(&container.id)? {
            names::registry::forget(&self.roots.networks(), &network.id, &container.id)
                .doing(|| format!("forget what container {} is called", container.name))?;
        }
        Ok(())
    }

    /// Removes what its supervisor left of this boot, while nobody else can have its name: its record is there.
    pub(crate) fn forget_run(&self, container: &Container) {
        let run_folder = self.roots.running(&container.id);
        withdraw(&self.roots.name_link(&container.name), &run_folder);
        let _ = std::fs::remove_dir_all(run_folder);
    }

    /// The path of its control group.
    pub(crate) fn cgroup_of(&self, container: &Container) -> String {
        let host = container.config.host_config.as_ref();
        let parent = host.and_then(|host| host.cgroup_parent.as_deref()).filter(|parent| !parent.is_empty());
        format!("/{}/{}", parent.unwrap_or("/bulkhead").trim_matches('/'), container.id)
    }

    /// The container's lock: held by whoever starts or removes it, then by its supervisor for as long as that
    /// lives. `None`: somebody holds it.
    pub(crate) fn lock(&self, container: &Container) -> Result<Option<OwnedFd>> {
        // A file, not the folder: the supervisor has it, and no descriptor of its own may lead to the host's root.
        let file = self.roots.container(&container.id).join("lock");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd =
            open(&file, flags, Mode::from_raw_mode(0o600)).doing(|| format!("open {}", file.display()))?;
        match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(fd)),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error).doing(|| format!("lock {}", file.display())),
        }
    }

    /// The lock of a container that does not run, waited for as long as a supervisor needs to finish (10 seconds).
    /// `running` is asked each time that it is found to run, or to be about to, and says whether waiting makes sense.
    pub(crate) fn lock_stopped(
        &self,
        container: &Container,
        mut running: impl FnMut(&Status) -> Result<()>,
    ) -> Result<OwnedFd> {
        for _ in 0..5_000 {
            // Looked at each time anew: who holds the lock may be starting the container, or finishing it.
            let condition = self.condition(container)?;
            if let Some(status) = condition.active().filter(|status| !is_ours(status)) {
                running(status)?;
            } else if let Some(lock) = self.lock(container)? {
                // Between the look and the lock somebody may have started it, and its supervisor been killed.
                if self.condition_locked(container)? {
                    return Ok(lock);
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Err(Error::Conflict(format!(
            "container {} is being started, stopped or removed by another command: try again when that has ended",
            id::short(&container.id)
        )))
    }

    /// Why something failed that was done with a container: if another command has removed it meanwhile, that, whichever
    /// file was missed first. (Its files may go before its record does.)
    pub(crate) fn unless_removed(&self, container: &Container, error: Error) -> Error {
        let files = self.roots.container(&container.id).try_exists();
        if matches!(files, Ok(false)) || matches!(self.container(&container.id), Err(Error::NotFound { .. }))
        {
            return Error::no_container(&container.name);
        }
        error
    }

    /// The lock of a container that does not run, or nothing for one that does or is about to again: what is decided then
    /// holds for whoever starts it, or has to be told to its supervisor.
    pub(crate) fn lock_unless_active(&self, container: &Container) -> Result<Option<OwnedFd>> {
        for tried in 0..5_000 {
            if self.condition(container)?.active().is_some() {
                return Ok(None);
            }
            match self.lock(container) {
                Ok(Some(lock)) => return Ok(Some(lock)),
                Ok(None) => {}
                // It is being made, or removed, or who made it was killed before it had a folder.
                Err(Error::System { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    self.container(&container.id)?;
                    if tried == 100 {
                        self.make_folders(container)?;
                    }
                }
                Err(error) => return Err(error),
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Err(Error::Conflict(format!(
            "container {} is being started, stopped or removed by another command: try again when that has ended",
            id::short(&container.id)
        )))
    }

    /// Whether a container whose lock we hold is recorded as not running; if its supervisor was killed, the next
    /// look buries it.
    fn condition_locked(&self, container: &Container) -> Result<bool> {
        let status = self.status_of(container)?;
        Ok(status.is_none_or(|status| status.state == State::Exited || is_ours(&status)))
    }

    /// The folders of a container, which may exist.
    pub(crate) fn make_folders(&self, container: &Container) -> Result<()> {
        let folder = self.roots.container(&container.id);
        crate::store::make_folder(&folder)?;
        let open_to_all = |path: std::path::PathBuf| {
            use std::os::unix::fs::DirBuilderExt;
            match std::fs::DirBuilder::new().mode(0o755).create(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    Err(error).doing(|| format!("make the folder {}", path.display()))
                }
                _ => Ok(()),
            }
        };
        // The root of what the container sees is its own: others in it must be able to pass.
        open_to_all(folder.join("rw"))?;
        let upper = folder.join("rw/upper");
        open_to_all(upper.clone())?;
        let root = container.users.root();
        if root != (0, 0) {
            let owner =
                std::fs::metadata(&upper).map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata));
            if owner.doing(|| format!("look at {}", upper.display()))? == 0 {
                std::os::unix::fs::chown(&upper, Some(root.0), Some(root.1))
                    .doing(|| format!("give {} to the container's root", upper.display()))?;
            }
        }
        open_to_all(folder.join("rw/work"))
    }
}

/// Whether the container waits for this very process, which its supervisor has become, to start it again.
fn is_ours(status: &Status) -> bool {
    status.state == State::Restarting && status.supervisor.pid.unsigned_abs() == std::process::id()
}

/// Docker's words for what cannot be done with a container that waits to be started again.
pub(crate) fn restarting(container: &Container) -> Error {
    Error::Conflict(format!("Container {} is restarting, wait until the container is running", container.id))
}
