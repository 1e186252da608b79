//! Removing a whole folder that an archive filled, however deep it is.
//!
//! `std::fs::remove_dir_all` keeps a descriptor open for each level, and an archive can make more levels than a process
//! may have descriptors. So below a certain depth directories are moved up to the top first. Nothing is followed, and
//! no path is used.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

const MAX_DEPTH: usize = 32;

/// Removes `name` in `parent` and all that is in it; not being there is fine.
pub(crate) fn tree(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let top = match open(parent, name) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(rustix::fs::unlinkat(parent, name, AtFlags::empty())?),
        Err(error) => return Err(error.into()),
    };
    let mut moved = 0u64;
    // Each round empties the top and brings up what lay too deep for it.
    loop {
        let before = moved;
        empty(&top, &top, 0, &mut moved)?;
        if moved == before {
            break;
        }
    }
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

fn open(parent: impl std::os::fd::AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Empties `directory`; what is too deep goes to `top`, and is counted.
fn empty(top: &OwnedFd, directory: &OwnedFd, depth: usize, moved: &mut u64) -> io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let is_directory = match entry.file_type() {
            FileType::Unknown => {
                let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            }
            kind => kind == FileType::Directory,
        };
        if !is_directory {
            rustix::fs::unlinkat(directory, name, AtFlags::empty())?;
        } else if depth >= MAX_DEPTH {
            // The name must be free: archives don't choose it, but one could have guessed it.
            loop {
                *moved += 1;
                let flags = rustix::fs::RenameFlags::NOREPLACE;
                match rustix::fs::renameat_with(directory, name, top, format!(".deep-{moved}"), flags) {
                    Err(Errno::EXIST) => {}
                    done => break done?,
                }
            }
        } else {
            let below = open(directory, name.to_bytes())?;
            empty(top, &below, depth + 1, moved)?;
            drop(below);
            rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_very_deep_folder_goes() {
        let folder = tempfile::tempdir().unwrap();
        let root: OwnedFd = std::fs::File::open(folder.path()).unwrap().into();
        rustix::fs::mkdirat(&root, "x", Mode::from_raw_mode(0o700)).unwrap();
        let mut here = open(&root, b"x").unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&here, "d", Mode::from_raw_mode(0o700)).unwrap();
            here = open(&here, b"d").unwrap();
        }
        tree(root.as_fd(), b"x").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        tree(root.as_fd(), b"x").unwrap();
    }

    #[test]
    fn links_are_removed_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("keep/a")).unwrap();
        std::fs::create_dir(folder.path().join("x")).unwrap();
        std::os::unix::fs::symlink("../keep", folder.path().join("x/link")).unwrap();
        let root: OwnedFd = std::fs::File::open(folder.path()).unwrap().into();
        tree(root.as_fd(), b"x").unwrap();
        assert!(folder.path().join("keep/a").exists());
        std::os::unix::fs::symlink("keep", folder.path().join("y")).unwrap();
        tree(root.as_fd(), b"y").unwrap();
        assert!(folder.path().join("keep/a").exists() && !folder.path().join("y").is_symlink());
    }
}
