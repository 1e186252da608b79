//! How much the files below a folder are: what containers wrote, and volumes.
//!
//! They may change it while it is looked at, so everything is opened from its folder's descriptor and no link is followed: a
//! folder that is replaced by a link to somewhere else shows nothing of what is there.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};

/// Deeper folders count nothing: each level costs a descriptor.
const DEEPEST: usize = 256;

/// The sizes of all files below a folder, each counted once, whatever its names; what cannot be read counts nothing.
pub(super) fn size(folder: &Path) -> u64 {
    match open(CWD, folder) {
        Some(folder) => below(folder, DEEPEST, &mut HashSet::new()),
        None => 0,
    }
}

fn open(at: impl AsFd, name: impl rustix::path::Arg) -> Option<OwnedFd> {
    openat(at, name, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()
}

fn below(folder: OwnedFd, levels: usize, seen: &mut HashSet<(u64, u64)>) -> u64 {
    let Ok(entries) = Dir::read_from(&folder) else { return 0 };
    let mut total: u64 = 0;
    for entry in entries.flatten() {
        let name: CString = entry.file_name().to_owned();
        if matches!(name.as_bytes(), b"." | b"..") {
            continue;
        }
        let Ok(stat) = statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let bytes = if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            let first = stat.st_nlink == 1 || seen.insert((stat.st_dev, stat.st_ino));
            if first { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 }
        } else if levels > 0 {
            open(&folder, &name).map_or(0, |folder| below(folder, levels - 1, seen))
        } else {
            0
        };
        total = total.saturating_add(bytes);
    }
    total
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir, create_dir_all, hard_link, write};
    use std::os::unix::fs::symlink;

    use super::size;

    #[test]
    fn each_file_counts_once_and_links_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join("all").join(name);
        create_dir(at("")).unwrap();
        write(at("a"), [0; 100]).unwrap();
        hard_link(at("a"), at("b")).unwrap();
        create_dir_all(at("deep/er")).unwrap();
        write(at("deep/er/c"), [0; 1000]).unwrap();
        assert_eq!(size(&at("")), 1100);
        write(folder.path().join("outside"), [0; 5000]).unwrap();
        symlink("..", at("l")).unwrap();
        // A link counts what it says.
        assert_eq!(size(&at("")), 1102);
        assert_eq!(size(&at("l")), 0);
        assert_eq!(size(&at("none")), 0);
    }
}
