//! Where a path leads below a root, all links followed with that as their root, the last one too: also where nothing is
//! there yet.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Stat, readlinkat, statat};
use rustix::io::Errno;

use super::failed;
use super::name::CleanPath;
use super::tree::Tree;
use crate::{ImageError, Result};

/// Links followed at the end of a path; the kernel's own limit (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A place below a root.
#[derive(Clone, Debug)]
pub struct Located {
    /// The folder that it is in: a path without links from the root. Empty is the root.
    pub folder: Vec<u8>,
    /// Its name there; empty: it is the root itself.
    pub name: Vec<u8>,
    /// What is there.
    pub stat: Option<Stat>,
}

impl Located {
    /// The whole path, without links.
    pub fn path(&self) -> Vec<u8> {
        crate::pack::join(&self.folder, &self.name)
    }

    /// Whether a folder is there.
    pub fn is_folder(&self) -> bool {
        self.is(FileType::Directory)
    }

    /// Whether something of that kind is there.
    pub fn is(&self, kind: FileType) -> bool {
        self.stat.as_ref().is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == kind)
    }
}

/// Follows `path` below `root`. The answer is of this moment: who uses it must not rely on what it says about links.
///
/// # Errors
/// A folder on the way is not there, or is none; a loop of links.
pub fn locate(root: impl AsFd, path: &[u8]) -> Result<Located> {
    let root = root.as_fd();
    let mut tree = Tree::new(root, None);
    let mut path = path.to_vec();
    for _ in 0..MAX_LINKS {
        let clean = CleanPath::in_root(&path);
        let Some((folder, name)) = clean.split() else {
            let stat = rustix::fs::fstat(root).map_err(|e| failed("examine", b"/", e))?;
            return Ok(Located { folder: Vec::new(), name: Vec::new(), stat: Some(stat) });
        };
        let parent = tree.parent(folder, None)?;
        let link = match statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                readlinkat(&parent.fd, name, Vec::new())
                    .map_err(|e| failed("read the symbolic link", &path, e))?
            }
            Ok(stat) => {
                return Ok(Located { folder: parent.path.clone(), name: name.to_vec(), stat: Some(stat) });
            }
            Err(Errno::NOENT) => {
                return Ok(Located { folder: parent.path.clone(), name: name.to_vec(), stat: None });
            }
            Err(error) => return Err(failed("examine", &path, error)),
        };
        let link = link.into_bytes();
        path = if link.starts_with(b"/") { link } else { parent.join(&link) };
    }
    Err(ImageError::entry(&path, "it is a loop of symbolic links"))
}
