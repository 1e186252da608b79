//! Whether files can be shown with other IDs here (mount_setattr(2), MOUNT_ATTR_IDMAP): the kernel, the file system and
//! the caller's rights over it decide, and only an attempt tells. Nothing is left of one.
//!
//! An attempt takes a child or two, so the caller has one thread (see [`clone3`](bulkhead_sys::process::clone3)).

use std::os::fd::AsFd;

use bulkhead_sys::mount::{Change, set_attributes};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::{Layer, Rootfs, STEP, prepare};
use crate::error::{Error, Result, Step};
use crate::namespaces::user::{IdMappings, for_mounts};

/// The kernel's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They can.
    Yes,
    /// They cannot, and why, as completes "ID-mapped mounts: no, since …".
    No(String),
}

/// Any will do; this one can be had in a container too, by an engine that has few IDs.
fn mapping() -> IdMappings {
    IdMappings::range(0, 1)
}

/// Whether a mount of `folder` can have a mapping.
///
/// # Errors
/// Where no answer can be had, such as without memory for a process.
pub fn mount_of(folder: &str) -> Result<Answer> {
    let user = for_mounts(&mapping())?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, folder, flags).step(STEP, || format!("open {folder}"))?;
    let change = Change { idmap: Some(user.as_fd()), ..Change::default() };
    let Err(error) = set_attributes(mount.as_fd(), &change) else { return Ok(Answer::Yes) };
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSYS) => Ok(Answer::No("this kernel has none (Linux 5.12 has)".into())),
        Some(Errno::PERM) => Ok(Answer::No("the store's file system lets this process make none".into())),
        Some(error) if cannot(error) => {
            let name = crate::mounts::file_system(mount.as_fd()).unwrap_or_else(|| "its kind".into());
            Ok(Answer::No(format!("the store's file system ({name}) has none with this kernel")))
        }
        _ => Err(error).step(STEP, || format!("try an ID-mapped mount of {folder}")),
    }
}

/// Whether an overlay takes layers that are in a mapped mount of `store`, which can be mapped. `layers` are two folders
/// in it.
///
/// # Errors
/// Where no answer can be had.
pub fn overlay_of(store: &str, layers: [&str; 2]) -> Result<Answer> {
    let user = for_mounts(&mapping())?;
    let layers = layers.map(|name| Layer::Stored { store: store.into(), name: name.into() });
    let rootfs = Rootfs { layers: layers.into(), writable: None, readonly: true, whole: None };
    match prepare(&rootfs, Some(user.as_fd())) {
        Ok(_) => Ok(Answer::Yes),
        Err(Error { errno: Some(number), .. }) if cannot(Errno::from_raw_os_error(number)) => {
            Ok(Answer::No("overlayfs takes none as layers with this kernel (Linux 5.19 does)".into()))
        }
        Err(error) => Err(error),
    }
}

/// Whether that is what the kernel says to a mapping that it cannot do.
pub(crate) fn cannot(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    use super::{Answer, mount_of, overlay_of};

    #[test]
    fn only_an_attempt_tells_and_nothing_is_left_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        // Needs rights that tests need not have.
        let Ok(answer) = mount_of(path) else { return };
        // No kernel maps the IDs of proc.
        assert!(matches!(mount_of("/proc/sys"), Ok(Answer::No(_))));
        assert!(mount_of("/proc/no such folder").is_err());
        for name in ["one", "two"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        if answer == Answer::Yes {
            overlay_of(path, ["one", "two"]).unwrap();
            assert!(overlay_of(path, ["one", "three"]).is_err());
        }
        for name in ["one", "two"] {
            std::fs::remove_dir(folder.path().join(name)).unwrap();
        }
    }
}
