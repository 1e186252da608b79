//! The lock that everybody takes who edits the account files: /etc/.pwd.lock, as lckpwdf(3) does.
//!
//! It is a record lock (fcntl(2), F_SETLK), which belongs to a process: it does not hold between threads, and
//! is lost when *any* descriptor of the file is closed. So one mutex of this process stands around it, from
//! before the file is opened until after it is closed. The wait is bounded, as lckpwdf's is; the kernel's own
//! waiting (F_SETLKW) could be ended by a signal only, so it is asked again and again.
//!
//! The shadow tools also make passwd.lock, subuid.lock and so on, which hold the number of their process.
//! They take .pwd.lock as well where they were built to; where not, these files are respected while their
//! process lives.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, fcntl_lock, open};
use rustix::io::Errno;
use rustix::process::{Pid, getpid, test_kill_process};

use super::Etc;
use crate::error::{Doing, Error, Result};

/// How long lckpwdf(3) waits.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// How often it is asked whether the lock is free.
const PAUSE: Duration = Duration::from_millis(10);

/// The lock files of the shadow tools.
const TOOLS: [&str; 6] =
    ["passwd.lock", "group.lock", "shadow.lock", "gshadow.lock", "subuid.lock", "subgid.lock"];

static THIS_PROCESS: Mutex<()> = Mutex::new(());

/// The lock, held until this is dropped. The fields are dropped in their order: first the file is closed,
/// then other threads may open it.
#[derive(Debug)]
pub(super) struct Lock {
    _file: OwnedFd,
    _threads: MutexGuard<'static, ()>,
}

/// Takes the lock of that folder's account files.
///
/// # Errors
/// Another program holds it for longer than `patience`, or it cannot be made (a read-only /etc).
pub(super) fn take(etc: &Etc, patience: Duration) -> Result<Lock> {
    let end = Instant::now() + patience;
    loop {
        let holder = match attempt(etc.folder())? {
            Ok(lock) => return Ok(lock),
            Err(holder) => holder,
        };
        if Instant::now() >= end {
            return Err(Error::Conflict(format!(
                "cannot change the accounts in {etc}: {holder} for {seconds} seconds; try again when that is done",
                etc = etc.folder().display(),
                seconds = patience.as_secs(),
            )));
        }
        std::thread::sleep(PAUSE);
    }
}

/// The lock, or what others hold.
fn attempt(folder: &Path) -> Result<std::result::Result<Lock, String>> {
    let threads = match THIS_PROCESS.try_lock() {
        Ok(guard) => guard,
        // It guards no data that a panic could have left half done.
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return Ok(Err("this program itself has been editing them".into())),
    };
    let path = folder.join(".pwd.lock");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = open(&path, flags, Mode::RUSR | Mode::WUSR).doing(|| format!("lock {}", path.display()))?;
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::ACCESS | Errno::AGAIN) => {
            return Ok(Err(format!("another program has held {}", path.display())));
        }
        Err(error) => return Err(error).doing(|| format!("lock {}", path.display())),
    }
    // Not waited for with the lock held: whoever has a lock file may be waiting for it.
    for name in TOOLS {
        let path = folder.join(name);
        if let Some(pid) = living_holder(&path)? {
            let path = path.display();
            return Ok(Err(format!("process {} has held {path}", pid.as_raw_nonzero())));
        }
    }
    Ok(Ok(Lock { _file: file, _threads: threads }))
}

/// The process that made a lock file, if it lives. A file without a process is what a killed tool left; one
/// with our own number is too, as we make none.
fn living_holder(path: &Path) -> Result<Option<Pid>> {
    let contents = match std::fs::read(path) {
        Ok(contents) => contents,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).doing(|| format!("read {}", path.display())),
    };
    let text = String::from_utf8_lossy(&contents);
    let text = text.trim_matches(|letter: char| letter == '\0' || letter.is_whitespace());
    let Some(pid) = text.parse().ok().filter(|&pid| pid > 0).and_then(Pid::from_raw) else {
        return Ok(None);
    };
    // EPERM too means that it is there.
    let lives = test_kill_process(pid) != Err(Errno::SRCH);
    Ok((lives && pid != getpid()).then_some(pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn folder() -> (tempfile::TempDir, Etc) {
        let folder = tempfile::tempdir().unwrap();
        let etc = Etc::at(folder.path());
        (folder, etc)
    }

    /// Why it cannot be had at once, for another reason than this process's other tests.
    fn refusal(etc: &Etc) -> String {
        loop {
            let refusal = take(etc, Duration::ZERO).unwrap_err().to_string();
            if !refusal.contains("this program itself") {
                return refusal;
            }
        }
    }

    #[test]
    fn one_at_a_time_within_a_process() {
        let (_folder, etc) = folder();
        let held = take(&etc, PATIENCE).unwrap();
        let error = take(&etc, Duration::ZERO).unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error}");
        drop(held);
        take(&etc, PATIENCE).unwrap();
    }

    #[test]
    fn a_tool_that_lives_is_waited_for() {
        let (folder, etc) = folder();
        let mut tool = Command::new("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap();
        std::fs::write(folder.path().join("subuid.lock"), format!("{}\0", tool.id())).unwrap();
        let refusal = std::panic::catch_unwind(|| refusal(&etc));
        tool.kill().unwrap();
        tool.wait().unwrap();
        let refusal = refusal.unwrap();
        assert!(refusal.contains(&format!("process {}", tool.id())), "{refusal}");
        take(&etc, PATIENCE).unwrap();
    }

    #[test]
    fn what_dead_tools_left_does_not_hold() {
        let (folder, etc) = folder();
        for left in ["", "\0", "junk", "-1", "0", "99999999999999", "2147483647", &getpid().to_string()] {
            std::fs::write(folder.path().join("passwd.lock"), left).unwrap();
            take(&etc, PATIENCE).unwrap();
        }
    }

    #[test]
    fn the_lock_file_is_private_and_no_link() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, etc) = folder();
        take(&etc, PATIENCE).unwrap();
        let path = folder.path().join(".pwd.lock");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(refusal(&etc).contains(".pwd.lock"));
        assert!(!folder.path().join("elsewhere").exists());
    }
}
