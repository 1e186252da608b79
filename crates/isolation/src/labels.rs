//! Security modules: the AppArmor profile (apparmor(7)) and the SELinux label (selinux(8)) that a program is held to from
//! its execve on.
//!
//! Both are asked by a file of the process in /proc (proc_pid_attr(5)), which only the process itself may write. The
//! /proc that there is by then is the container's: its files are used only if it is the kernel's own, and what is looked
//! up is so without leaving it, since a word that went into another file would leave the program unconfined.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, fstatfs, open, openat2, statfs};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, Step};

const STEP: &str = "labels";
/// PROC_SUPER_MAGIC and SELINUX_MAGIC of linux/magic.h.
const PROC: u64 = 0x9fa0;
const SELINUX: u64 = 0xf97c_ff8c;
/// The number of the root of every procfs.
const PROC_ROOT: u64 = 1;

/// What a program is held to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// The AppArmor profile.
    pub apparmor: Option<String>,
    /// The SELinux label.
    pub selinux: Option<String>,
}

/// Whether this machine's kernel has AppArmor, and uses it.
pub fn has_apparmor() -> bool {
    enabled(Path::new("/sys/module/apparmor/parameters/enabled"))
}

/// Whether this machine's kernel has SELinux, and uses it.
pub fn has_selinux() -> bool {
    is_selinux(Path::new("/sys/fs/selinux"))
}

fn enabled(parameter: &Path) -> bool {
    std::fs::read_to_string(parameter).is_ok_and(|text| text.starts_with('Y'))
}

fn is_selinux(folder: &Path) -> bool {
    statfs(folder).is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == SELINUX))
}

/// In the child, before its filter: asks for them.
pub(crate) fn apply(labels: &Labels) -> Result<()> {
    if *labels == Labels::default() {
        return Ok(());
    }
    let proc = proc()?;
    for Word { files, text, what } in words(labels) {
        write(proc.as_fd(), files, &text).step(STEP, || format!("take {what}"))?;
    }
    Ok(())
}

/// What is written where: the first of the files that there is.
#[derive(Debug, PartialEq, Eq)]
struct Word {
    files: &'static [&'static str],
    text: String,
    what: String,
}

fn words(labels: &Labels) -> Vec<Word> {
    let mut all = Vec::new();
    if let Some(label) = &labels.selinux {
        // The keyring that is made next has it as well. (A kernel without the file has no such label of keys.)
        for files in [["attr/keycreate"].as_slice(), ["attr/exec"].as_slice()] {
            all.push(Word { files, text: label.clone(), what: format!("the SELinux label {label}") });
        }
    }
    if let Some(profile) = &labels.apparmor {
        all.push(Word {
            // Where several modules share the files of old, the one of AppArmor's own is meant.
            files: &["attr/apparmor/exec", "attr/exec"],
            text: format!("exec {profile}"),
            what: format!("the AppArmor profile {profile}"),
        });
    }
    all
}

fn proc() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = open("/proc", flags, Mode::empty()).step(STEP, || "open the container's /proc")?;
    let kind = fstatfs(&folder).step(STEP, || "look at the container's /proc")?.f_type;
    let number = fstat(&folder).step(STEP, || "look at the container's /proc")?.st_ino;
    if u64::try_from(kind) == Ok(PROC) && number == PROC_ROOT {
        Ok(folder)
    } else {
        Err(Error::new(STEP, "cannot take a security label: /proc in the container is not the kernel's"))
    }
}

fn write(proc: BorrowedFd<'_>, files: &[&str], text: &str) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let mut result = Err(Errno::NOENT);
    for file in files {
        result = openat2(proc, format!("thread-self/{file}"), flags, Mode::empty(), resolve);
        if !matches!(result, Err(Errno::NOENT)) {
            break;
        }
    }
    // In one piece: the kernel takes each write for the whole.
    let written = rustix::io::write(result?, text.as_bytes())?;
    if written == text.len() { Ok(()) } else { Err(Errno::IO) }
}

#[cfg(test)]
mod tests {
    use super::{Labels, enabled, is_selinux, proc, words, write};
    use rustix::io::Errno;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_written_is_what_each_module_reads() {
        let labels = Labels { apparmor: Some("docker-default".into()), selinux: Some("a:b:c:s0".into()) };
        let all: Vec<(&str, String)> =
            words(&labels).into_iter().map(|word| (word.files[0], word.text)).collect();
        assert_eq!(
            all,
            [
                ("attr/keycreate", "a:b:c:s0".to_owned()),
                ("attr/exec", "a:b:c:s0".to_owned()),
                ("attr/apparmor/exec", "exec docker-default".to_owned()),
            ]
        );
        assert!(words(&Labels::default()).is_empty());
    }

    #[test]
    fn a_module_is_there_when_the_kernel_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("enabled");
        for (text, there) in [("Y\n", true), ("N\n", false), ("", false)] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(enabled(&file), there, "{text:?}");
        }
        assert!(!enabled(&folder.path().join("none")));
        // A folder of the name is no SELinux.
        assert!(!is_selinux(folder.path()) && !is_selinux(&folder.path().join("none")));
    }

    #[test]
    fn the_files_are_those_of_this_very_thread() {
        // comm is a file of the thread that anybody may write, unlike those of the modules, which may be absent.
        let proc = proc().unwrap();
        std::thread::spawn(move || {
            write(proc.as_fd(), &["none", "comm"], "named").unwrap();
            let own = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
            assert_eq!(own.trim(), "named");
            assert_eq!(write(proc.as_fd(), &["none"], "x"), Err(Errno::NOENT));
            // Nothing leads out of it: the root of the process is a link of the kernel's own.
            assert_eq!(write(proc.as_fd(), &["root/dev/null"], "x"), Err(Errno::LOOP));
        })
        .join()
        .unwrap();
    }
}
