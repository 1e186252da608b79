//! Masked and read-only paths: parts of /proc and /sys that tell of or act on the whole machine.
//!
//! They are looked up below the container's root without following any link, after the kernel's own file
//! systems are attached there: nothing of the image's making can stand in their place.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_sys::mount::set_attributes;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::target::Kind;
use super::{Attributes, STEP, attach, pseudo};
use crate::error::{Error, Result, Step};

fn look(root: BorrowedFd<'_>, path: &str) -> Result<Option<OwnedFd>> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
        Ok(found) => Ok(Some(found)),
        // What this kernel does not have needs no cover.
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error).step(STEP, || format!("find {path}, which is to be protected")),
    }
}

/// Covers `paths`: a file by the null device, a folder by an empty, read-only one.
pub(crate) fn mask(root: BorrowedFd<'_>, paths: &[String]) -> Result<()> {
    let copy =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let mut empty: Option<OwnedFd> = None;
    for path in paths {
        let Some(place) = look(root, path)? else { continue };
        let cover = match Kind::of(&place)? {
            Kind::File => {
                let null = look(root, "/dev/null")?
                    .ok_or_else(|| Error::new(STEP, format!("cannot mask {path}: there is no /dev/null")))?;
                if !is_null(&null)? {
                    return Err(Error::new(
                        STEP,
                        format!("cannot mask {path}: /dev/null in the container is not the null device"),
                    ));
                }
                open_tree(&null, "", copy).step(STEP, || format!("mask {path}"))?
            }
            Kind::Folder => match &empty {
                // One empty file system covers all: copies of an attached mount are cheap.
                Some(first) => open_tree(first, "", copy).step(STEP, || format!("mask {path}"))?,
                None => {
                    let options = [("mode", "0755"), ("nr_inodes", "1"), ("size", "4k")];
                    pseudo::mount("tmpfs", &options, Attributes::INERT.readonly())?
                }
            },
        };
        attach(&cover, &place, path)?;
        if empty.is_none() && Kind::of(&cover)? == Kind::Folder {
            empty = Some(cover);
        }
    }
    Ok(())
}

/// Something else in its place would show, and let write, what whoever put it there likes.
fn is_null(found: &OwnedFd) -> Result<bool> {
    use rustix::fs::{FileType, fstat, major, minor};
    let stat = fstat(found).step(STEP, || "look at /dev/null in the container")?;
    let is_character = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    Ok(is_character && (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3))
}

/// Makes `paths` read-only. What is mounted below them is hidden by that.
pub(crate) fn make_readonly(root: BorrowedFd<'_>, paths: &[String]) -> Result<()> {
    let copy =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    for path in paths {
        let Some(place) = look(root, path)? else { continue };
        let itself = open_tree(&place, "", copy).step(STEP, || format!("make {path} read-only"))?;
        // The copy keeps what its file system carries already, and must not lose it (locked attributes).
        set_attributes(itself.as_fd(), &Attributes::INERT.readonly().change())
            .step(STEP, || format!("make {path} read-only"))?;
        attach(&itself, &place, path)?;
    }
    Ok(())
}
