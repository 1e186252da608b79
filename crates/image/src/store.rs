//! The store: a folder of blobs and unpacked layers, each under the digest of what it holds.
//!
//! ```text
//! blobs/sha256/HEX        configs and manifests, as they came
//! layers/HEX/diff/        a layer's files, in overlayfs's form, with the IDs that the archive gives them
//! layers/HEX/meta.json    its LayerMeta
//! layers/HEX/blobs.json   in which registries it is, and as what (see `known`)
//! layers/HEX/skeleton.zst all of its tar but the contents of files
//! layers/HEX/replaced/    contents that a later entry of the same tar replaced (rare)
//! shifted/KEY/HEX/        a layer's files with the IDs of certain containers (see `shifted`)
//! tmp/NAME/               work in progress, locked by who does it
//! ```
//!
//! **All or nothing.** A layer or a blob is made in `tmp/`, verified, and renamed into place: what is in place is
//! whole. Whoever dies leaves only a folder in `tmp/`, whose lock (flock(2)) dies too; [`Store::clean`] removes those.
//! Two processes that load the same layer both make it, and the second rename finds the place taken: the content is the
//! same by its digest, so it just drops its own.
//!
//! **Nothing is synced.** An fsync for each file costs more than all the rest, and an image can be had again. After a
//! power failure a layer may be incomplete; [`Store::verify_layer`] tells.
//!
//! **Nobody but the owner gets in.** The root is 0700, so set-user-ID files in it are out of users' reach.

mod blobs;
mod known;
pub(crate) mod layer;
mod shifted;
mod skeleton;
mod work;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::{ImageError, Result};

pub use known::KnownBlob;
pub use layer::LayerMeta;
pub use shifted::{Shifted, ShiftedNames};
pub(crate) use skeleton::SkeletonWriter;
pub(crate) use work::Work;

/// The image store. Cheap to open; any number of processes may use one at the same time.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    blobs: OwnedFd,
    layers: OwnedFd,
    tmp: OwnedFd,
}

impl Store {
    /// Opens the store at `root` and makes it if it isn't there.
    ///
    /// # Errors
    /// If `root` belongs to another user, or cannot be made.
    pub fn open(root: &Path) -> Result<Store> {
        let doing = |what: &str| format!("{what} the image store {}", root.display());
        std::fs::create_dir_all(root).map_err(|e| ImageError::io(doing("make"), e))?;
        let fd = rustix::fs::open(root, directory(), Mode::empty())
            .map_err(|e| ImageError::io(doing("open"), e))?;
        let stat = rustix::fs::fstat(&fd).map_err(|e| ImageError::io(doing("examine"), e))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            let why =
                std::io::Error::other(format!("it belongs to user {}: give another --root", stat.st_uid));
            return Err(ImageError::io(doing("use"), why));
        }
        if stat.st_mode & 0o7777 != 0o700 {
            rustix::fs::fchmod(&fd, Mode::RWXU).map_err(|e| ImageError::io(doing("protect"), e))?;
        }
        let folder = |name: &str| -> Result<OwnedFd> {
            make_directory(&fd, name)
                .map_err(|e| ImageError::io(format!("make {name} in {}", root.display()), e))
        };
        folder("blobs")?;
        Ok(Store {
            root: root.to_owned(),
            blobs: folder("blobs/sha256")?,
            layers: folder("layers")?,
            tmp: folder("tmp")?,
        })
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

fn directory() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

/// Makes a directory of the store if it isn't there, and opens it.
fn make_directory(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    rustix::fs::openat(parent, name, directory() | OFlags::NOFOLLOW, Mode::empty())
}
