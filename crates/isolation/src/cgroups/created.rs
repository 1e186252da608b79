//! A group that exists, opened by descriptors: what a birth, an exec and a change of limits work with, whichever version it
//! is of.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};

use super::layout::{self, Layout};
use super::resources::Resources;
use super::{Below, Cgroup, STEP, clone, remove, v1, v2};
use crate::error::{Error, Result, Step};
use crate::mounts::Attributes;

/// A group that exists, opened. It is not removed when this is dropped.
#[derive(Debug)]
pub struct Created {
    version: Version,
    /// On version 1: where the first process enters beside, so that systemd counts it.
    counted: Vec<OwnedFd>,
    /// What could not be set and was left out, a sentence each.
    pub warnings: Vec<String>,
}

#[derive(Debug)]
enum Version {
    V1(Vec<v1::Group>),
    V2(v2::Group),
}

impl Created {
    /// Makes the group and sets its limits. On an error nothing is left behind.
    ///
    /// # Errors
    /// A hierarchy that cannot be written, a limit that the kernel refuses.
    pub fn create(cgroup: &Cgroup) -> Result<Created> {
        let layout = Layout::detect()?;
        let made = match &layout {
            Layout::V1(hierarchies) => v1::create(hierarchies, cgroup)
                .map(|(groups, warnings)| Created::with(Version::V1(groups), warnings)),
            Layout::V2(mount) => {
                v2::create(mount, cgroup).map(|(group, warnings)| Created::with(Version::V2(group), warnings))
            }
        };
        let made = made.and_then(|made| {
            match (cgroup.delegate, &made.version) {
                (None, _) => {}
                (Some(owner), Version::V1(groups)) => v1::delegate(groups, owner)?,
                (Some(owner), Version::V2(group)) => v2::delegate(group, owner)?,
            }
            Ok(made)
        });
        made.inspect_err(|_| {
            // The first error is the one to tell; what is not removed now, `remove` finds again.
            let _ = remove(&cgroup.path);
        })
    }

    /// Opens a group that exists, as another process made it.
    ///
    /// # Errors
    /// A hierarchy that cannot be written.
    pub fn open(path: &str) -> Result<Created> {
        let cgroup = Cgroup { path: path.to_owned(), ..Cgroup::default() };
        Ok(match Layout::detect()? {
            Layout::V1(hierarchies) => {
                Created::with(Version::V1(v1::create(&hierarchies, &cgroup)?.0), Vec::new())
            }
            Layout::V2(mount) => Created::with(Version::V2(v2::create(&mount, &cgroup)?.0), Vec::new()),
        })
    }

    fn with(version: Version, warnings: Vec<String>) -> Created {
        Created { version, counted: Vec::new(), warnings }
    }

    /// The same for a group that systemd made at `path`: whoever enters it does so too where systemd counts processes. On
    /// version 1 that is apart from all controllers, and a group that nobody is in there is over for systemd.
    ///
    /// # Errors
    /// There is no such group.
    pub fn counted_by_systemd(mut self, path: &str) -> Result<Created> {
        if let Version::V1(_) = self.version {
            self.counted = v1::open_counted(&layout::counted_by_systemd()?, path)?;
        }
        Ok(self)
    }

    /// Opens groups below `path` that exist: for each hierarchy of version 1 that of the first of `below` which names one of
    /// its controllers or none at all, and `path` itself where there is no such. Version 2 has one, without controllers.
    ///
    /// # Errors
    /// A group that does not exist, a path that leads elsewhere, controllers on version 2.
    pub fn open_below(path: &str, below: &[Below]) -> Result<Created> {
        let leads_elsewhere = |below: &Below| below.group.split('/').any(|part| part == "..");
        if let Some(elsewhere) = below.iter().find(|below| leads_elsewhere(below)) {
            return Err(Error::new(STEP, format!("the control group {:?} leads upwards", elsewhere.group)));
        }
        let version = match Layout::detect()? {
            Layout::V1(hierarchies) => Version::V1(v1::open_below(&hierarchies, path, below)?),
            Layout::V2(mount) => {
                if below.len() > 1 || below.iter().any(|below| !below.controllers.is_empty()) {
                    return Err(Error::new(
                        STEP,
                        "version 2 has one control group for all controllers: name none",
                    ));
                }
                let group = below.first().map(|below| below.group.trim_matches('/')).unwrap_or_default();
                Version::V2(v2::open(super::below(&mount, &format!("{path}/{group}")))?)
            }
        };
        Ok(Created::with(version, Vec::new()))
    }

    /// The folder that a clone is born in (v2).
    pub(crate) fn for_clone(&self) -> Option<BorrowedFd<'_>> {
        match &self.version {
            Version::V2(group) => Some(group.folder.as_fd()),
            Version::V1(_) => None,
        }
    }

    /// In the child, while it has one thread: enters the group (v1; on v2 it was born in it).
    pub(crate) fn enter(&self) -> Result<()> {
        match &self.version {
            Version::V2(_) => Ok(()),
            Version::V1(groups) => v1::enter(groups, &self.counted),
        }
    }

    /// In the supervisor: detached mounts of the group's folders, for /sys/fs/cgroup in the container.
    pub(crate) fn clones(&self) -> Result<Vec<OwnedFd>> {
        match &self.version {
            Version::V1(groups) => groups.iter().map(|group| clone(&group.folder)).collect(),
            Version::V2(group) => Ok(vec![clone(&group.path)?]),
        }
    }

    /// In the child: attaches those mounts at `target`.
    pub(crate) fn attach(
        &self,
        root: BorrowedFd<'_>,
        target: &str,
        attributes: Attributes,
        next: &mut impl FnMut() -> Result<OwnedFd>,
    ) -> Result<()> {
        use crate::mounts::{attach, target::find_exact};
        let place = find_exact(root, target)?;
        let finish = |mount: &OwnedFd| {
            bulkhead_sys::mount::set_attributes(mount.as_fd(), &attributes.change())
                .step(STEP, || format!("set the attributes of {target}"))
        };
        match &self.version {
            Version::V2(_) => {
                let mount = next()?;
                finish(&mount)?;
                attach(&mount, &place, target)
            }
            Version::V1(groups) => {
                let base = crate::mounts::pseudo::mount(
                    "tmpfs",
                    &[("mode", "0755")],
                    Attributes { readonly: false, ..attributes },
                )?;
                v1::make_names(&base, groups)?;
                attach(&base, &place, target)?;
                for group in groups {
                    let mount = next()?;
                    finish(&mount)?;
                    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
                    let place = openat(&base, group.name.as_str(), flags, Mode::empty())
                        .step(STEP, || format!("open {target}/{}", group.name))?;
                    attach(&mount, &place, target)?;
                }
                finish(&base)
            }
        }
    }

    /// Sets limits beside, or in place of, those that hold. Gives what could not be set, a sentence each.
    ///
    /// # Errors
    /// A limit that the kernel refuses; those before it hold then.
    pub fn limit(&self, limits: &Resources) -> Result<Vec<String>> {
        match &self.version {
            Version::V1(groups) => v1::limit(groups, limits),
            Version::V2(group) => v2::limit(group, limits),
        }
    }

    /// Stops (or continues) every process of the group, for as long as it is frozen.
    ///
    /// # Errors
    /// The kernel's.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        match &self.version {
            Version::V1(groups) => v1::freeze(groups, frozen),
            Version::V2(group) => v2::freeze(group, frozen),
        }
    }

    /// How many processes the kernel has ended in it for want of memory.
    pub fn oom_kills(&self) -> u64 {
        match &self.version {
            Version::V1(groups) => v1::oom_kills(groups),
            Version::V2(group) => v2::oom_kills(group),
        }
    }
}
