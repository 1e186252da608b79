//! The host's side of a bind: what has to be done to its source before it is mounted.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, RenameFlags, Uid, chownat, fchown, fstat, openat,
    renameat_with, unlinkat,
};
use rustix::io::Errno;

use super::STEP;
use super::bind::Seen;
use crate::error::{Error, Result, Step};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// How deep `:U` goes.
const DEEPEST: usize = 256;

/// Whose a folder is on disk, as far as that is known.
type Owner = (Option<u32>, Option<u32>);

/// Makes the folder `path` if there is nothing there, with all that is missing above it, owned by `owner`. It appears in
/// one step, so nobody ever finds one with another owner. Gives whether there was nothing.
///
/// Who owns the folder above may be hostile: it must be the one that was `seen` when the owner was decided, and what is
/// made in it is held by descriptors.
pub(super) fn make_missing(path: &str, owner: Owner, seen: Option<Seen>) -> Result<bool> {
    let path = Path::new(path);
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    // The uppermost folder that is missing is made aside, with what belongs into it, and then moved into place.
    let mut top = path;
    while let Some(parent) = top.parent().filter(|parent| parent.symlink_metadata().is_err()) {
        top = parent;
    }
    let make = || -> rustix::io::Result<()> {
        let above = openat(CWD, top.parent().unwrap_or(Path::new("/")), FOLDER, Mode::empty())?;
        if let Some(seen) = seen
            && !seen.is(above.as_fd())?
        {
            return Err(Errno::STALE);
        }
        let name = top.file_name().ok_or(Errno::INVAL)?;
        let rest: Vec<&OsStr> = path.strip_prefix(top).map(|rest| rest.iter().collect()).unwrap_or_default();
        let aside = aside();
        let made = make_chain(&above, &aside, &rest, owner).and_then(|()| {
            match renameat_with(&above, &*aside, &above, name, RenameFlags::NOREPLACE) {
                // Another container was quicker.
                Err(Errno::EXIST) => remove_chain(&above, &aside, &rest),
                other => other,
            }
        });
        if made.is_err() {
            let _ = remove_chain(&above, &aside, &rest);
        }
        made
    };
    make().step(STEP, || format!("make the folder {}, which is to be mounted", path.display()))?;
    Ok(true)
}

/// A name that nobody else has.
fn aside() -> OsString {
    let mut bytes = [0u8; 8];
    let _ = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty());
    format!(".bulkhead-{:016x}", u64::from_ne_bytes(bytes)).into()
}

fn make_chain(above: &OwnedFd, top: &OsStr, rest: &[&OsStr], (uid, gid): Owner) -> rustix::io::Result<()> {
    let mut current = above.try_clone().map_err(|_| Errno::MFILE)?;
    for part in [top].iter().chain(rest) {
        rustix::fs::mkdirat(&current, *part, Mode::from_raw_mode(0o755))?;
        let made = openat(&current, *part, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        fchown(&made, uid.map(Uid::from_raw), gid.map(Gid::from_raw))?;
        current = made;
    }
    Ok(())
}

fn remove_chain(above: &OwnedFd, top: &OsStr, rest: &[&OsStr]) -> rustix::io::Result<()> {
    if let Some((first, rest)) = rest.split_first()
        && let Ok(folder) = openat(above, top, FOLDER | OFlags::NOFOLLOW, Mode::empty())
    {
        remove_chain(&folder, first, rest)?;
    }
    match unlinkat(above, top, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Gives what is mounted from `path`, with all that is in it on the same file system, to these IDs on disk. One whose
/// owner they are already has been given before, and stays as it is.
pub(super) fn reown(path: &str, root: BorrowedFd<'_>, owner: Owner) -> Result<()> {
    let (Some(uid), Some(gid)) = owner else {
        return Err(Error::new(
            STEP,
            format!("cannot give {path} to the container (:U): its user has no ID there"),
        ));
    };
    let owner = (uid, gid);
    let stat = fstat(root).step(STEP, || format!("look at {path}"))?;
    if (stat.st_uid, stat.st_gid) == owner {
        return Ok(());
    }
    let given = Given { owner, device: stat.st_dev, before: stat.st_uid };
    let give = || -> rustix::io::Result<()> {
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            given.folder(&openat(root, ".", FOLDER, Mode::empty())?, 0)?;
        }
        // Last: a folder with the new owner is one that is done.
        given.own(root)
    };
    give().map_err(|error| {
        let why = match error {
            Errno::MLINK => {
                "it holds a file of somebody else's that has other names elsewhere (hard links)".into()
            }
            Errno::NAMETOOLONG => format!("it is deeper than {DEEPEST} folders"),
            error => crate::error::describe(&error.into()),
        };
        Error::new(STEP, format!("cannot give {path} to the container (:U): {why}"))
    })
}

struct Given {
    owner: (u32, u32),
    device: u64,
    /// Whose the whole was.
    before: u32,
}

impl Given {
    fn folder(&self, folder: &OwnedFd, depth: usize) -> rustix::io::Result<()> {
        if depth > DEEPEST {
            return Err(Errno::NAMETOOLONG);
        }
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            // What is looked at is what is given, whatever is put in its place meanwhile.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(folder, name, flags, Mode::empty())?;
            let stat = fstat(&file)?;
            if stat.st_dev != self.device {
                continue;
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                self.folder(&openat(&file, ".", FOLDER, Mode::empty())?, depth + 1)?;
            } else if stat.st_nlink > 1 && stat.st_uid != self.before && stat.st_uid != self.owner.0 {
                // Whoever may write in the folder can have linked a file of the host's root into it.
                return Err(Errno::MLINK);
            }
            self.own(file.as_fd())?;
        }
        Ok(())
    }

    fn own(&self, file: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let (uid, gid) = (Uid::from_raw(self.owner.0), Gid::from_raw(self.owner.1));
        chownat(file, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
    }
}

/// The name of the file system that a mount is of, by its number in linux/magic.h; only those are known whose IDs some
/// kernels cannot map.
pub(crate) fn file_system(mount: BorrowedFd<'_>) -> Option<String> {
    let number = u64::try_from(rustix::fs::fstatfs(mount).ok()?.f_type).ok()?;
    let name = match number {
        0xef53 => "ext4",
        0x5846_5342 => "XFS",
        0x9123_683e => "Btrfs",
        0x8584_58f6 => "ramfs",
        0x6969 => "NFS",
        0x6573_5546 => "FUSE",
        0x0102_1997 => "9p",
        0x794c_7630 => "overlay",
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "SMB",
        0x2fc1_2fc1 => "ZFS",
        0x0102_1994 => "tmpfs",
        0x4d44 => "FAT",
        0x2011_bab0 => "exFAT",
        0x5346_544e => "NTFS",
        0x9fa0 => "proc",
        0x6265_6572 => "sysfs",
        0x0027_e0eb | 0x6367_7270 => "cgroup",
        0x1cd1 => "devpts",
        0x6165_676c => "pstore",
        0x00c3_6400 => "Ceph",
        0x5346_414f => "AFS",
        0x6a65_6a62 => "virtiofs",
        _ => return Some(format!("type {number:#x}")),
    };
    Some(name.into())
}

#[cfg(test)]
mod tests {
    use super::{make_missing, reown};
    use std::os::fd::AsFd;

    #[test]
    fn a_missing_folder_is_made_whole_or_left_to_who_was_quicker() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("a/b/c");
        make_missing(wanted.to_str().unwrap(), (None, None), None).unwrap();
        assert!(wanted.is_dir());
        make_missing(wanted.to_str().unwrap(), (None, None), None).unwrap();
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["a"], "nothing else is left");
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(make_missing(file.join("below").to_str().unwrap(), (None, None), None).is_err());
    }

    #[test]
    fn a_linked_file_of_somebody_else_is_not_given_away() {
        let folder = tempfile::tempdir().unwrap();
        if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(folder.path()).unwrap()) != 0 {
            return;
        }
        let (outside, inside) = (folder.path().join("of-root"), folder.path().join("mine"));
        std::fs::write(&outside, "secret").unwrap();
        std::fs::create_dir(&inside).unwrap();
        std::fs::hard_link(&outside, inside.join("trap")).unwrap();
        std::os::unix::fs::chown(&inside, Some(4242), Some(4242)).unwrap();
        let opened = std::fs::File::open(&inside).unwrap();
        let refused = reown("inside", opened.as_fd(), (Some(9999), Some(9999))).unwrap_err();
        assert!(refused.message.contains("hard links"), "{}", refused.message);
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&outside).unwrap()), 0);
    }

    #[test]
    fn giving_away_follows_no_link() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let own = std::fs::metadata(folder.path()).unwrap();
        let given = folder.path().join("given");
        std::fs::create_dir_all(given.join("deep")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", given.join("link")).unwrap();
        let before = std::fs::metadata("/etc/passwd").unwrap().uid();
        // As root the owner changes; as anybody else only what is one's own can be given to oneself.
        let to = if own.uid() == 0 { (4242, 4242) } else { (own.uid(), own.gid()) };
        let opened = std::fs::File::open(&given).unwrap();
        reown("given", opened.as_fd(), (Some(to.0), Some(to.1))).unwrap();
        assert_eq!(std::fs::metadata("/etc/passwd").unwrap().uid(), before);
        assert_eq!(std::fs::symlink_metadata(given.join("link")).unwrap().uid(), to.0);
        assert_eq!(std::fs::metadata(given.join("deep")).unwrap().uid(), to.0);
    }
}
