//! A group's end. The kernel removes no group that has processes or groups in it.

use rustix::io::Errno;

use super::{STEP, folders, kill_all, with_descendants};
use crate::error::{Result, Step};

/// Removes the group from every hierarchy, with what the container made below it. Gone already is fine.
///
/// # Errors
/// EBUSY while processes are in it.
pub fn remove(path: &str) -> Result<()> {
    let mut result = Ok(());
    for folder in folders(path)? {
        for folder in with_descendants(&folder).iter().rev() {
            match rustix::fs::rmdir(folder) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => {
                    let failed =
                        Err(error).step(STEP, || format!("remove the control group {}", folder.display()));
                    result = result.and(failed);
                }
            }
        }
    }
    result
}

/// Removes a group that has no groups and no processes in it; others stay.
///
/// # Errors
/// No control groups at all on this machine.
pub fn remove_if_empty(path: &str) -> Result<()> {
    for folder in folders(path)? {
        match rustix::fs::rmdir(&folder) {
            Ok(()) | Err(Errno::NOENT | Errno::BUSY | Errno::NOTEMPTY) => {}
            Err(error) => {
                return Err(error).step(STEP, || format!("remove the control group {}", folder.display()));
            }
        }
    }
    Ok(())
}

/// Removes a group that nobody else will, with whatever runs in it. One that cannot be removed costs the kernel a little
/// memory until the next boot.
pub fn clear(path: &str) {
    if !folders(path).is_ok_and(|folders| folders.iter().any(|folder| folder.exists())) {
        return;
    }
    let _ = kill_all(path);
    for _ in 0..100 {
        match remove(path) {
            Ok(()) => break,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(2)),
        }
    }
}
