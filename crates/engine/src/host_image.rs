//! The built-in image `host`: the machine's own userland, so that a first container needs no download.
//!
//! Its one layer is the machine's root with every file made nobody's ([`Layer::Machine`]): in the container
//! exactly that can be read which any user of the machine may read. Over it the writable layer begins with a few
//! folders of its own, where a container's root expects to write; homes, and the engine's own store, are hidden
//! by empty ones.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bulkhead_image::{ContainerConfig, Reference};
use bulkhead_isolation::rootfs::Layer;
use rustix::fs::{XattrFlags, setxattr};

use crate::error::{Doing, Error, Result};

/// Its name.
pub(crate) const NAME: &str = "host";

/// Folders of the container's own over the machine's: path, mode, and whether the machine's content is hidden.
const FOLDERS: [(&str, u32, bool); 24] = [
    ("boot", 0o755, true),
    ("etc", 0o755, false),
    ("home", 0o755, true),
    ("media", 0o755, true),
    ("mnt", 0o755, true),
    ("opt", 0o755, false),
    ("root", 0o700, true),
    ("run", 0o755, true),
    ("srv", 0o755, true),
    ("tmp", 0o1777, true),
    ("usr", 0o755, false),
    ("usr/bin", 0o755, false),
    ("usr/include", 0o755, false),
    ("usr/lib", 0o755, false),
    ("usr/local", 0o755, false),
    ("usr/local/bin", 0o755, false),
    ("usr/local/lib", 0o755, false),
    ("usr/sbin", 0o755, false),
    ("usr/share", 0o755, false),
    ("var", 0o755, false),
    ("var/tmp", 0o1777, true),
    ("var/cache", 0o755, false),
    ("var/lib", 0o755, false),
    ("var/log", 0o755, false),
];

/// Nothing else can have its name.
pub(crate) fn refuse_name(reference: &Reference) -> Result<()> {
    if reference.familiar() == "host:latest" {
        return Err(Error::Conflict("the name host is that of the built-in image: choose another".into()));
    }
    Ok(())
}

/// What its containers start with.
pub(crate) fn config() -> ContainerConfig {
    ContainerConfig { cmd: Some(vec!["/bin/sh".into()]), ..ContainerConfig::default() }
}

/// Its layers.
pub(crate) fn layers() -> Vec<Layer> {
    vec![Layer::Machine]
}

/// Prepares a container's writable layer, whose root is `owner` to the host. `store` is the engine's own root folder.
pub(crate) fn prepare(upper: &Path, store: &Path, owner: (u32, u32)) -> Result<()> {
    for (path, mode, hidden) in FOLDERS {
        // A link on the machine (/bin, /var/run) stays one.
        if fs::symlink_metadata(Path::new("/").join(path)).is_ok_and(|there| there.is_symlink()) {
            continue;
        }
        folder(&upper.join(path), mode, hidden, owner)?;
    }
    // The store, wherever it is, with the folders above it as the machine has them.
    let mut current = upper.to_owned();
    let parts: Vec<_> = store.iter().skip(1).collect();
    for (index, part) in parts.iter().enumerate() {
        current.push(part);
        if !current.exists() {
            folder(&current, 0o755, index + 1 == parts.len(), owner)?;
        }
    }
    Ok(())
}

fn folder(path: &Path, mode: u32, hidden: bool, (uid, gid): (u32, u32)) -> Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        other => other.doing(|| format!("make {}", path.display()))?,
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
        .doing(|| format!("set the mode of {}", path.display()))?;
    if (uid, gid) != (0, 0) {
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .doing(|| format!("give {} to the container's root", path.display()))?;
    }
    if hidden {
        setxattr(path, bulkhead_sys::mount::opaque_attribute(), b"y", XattrFlags::empty())
            .doing(|| format!("hide the machine's files below {}", path.display()))?;
    }
    Ok(())
}
