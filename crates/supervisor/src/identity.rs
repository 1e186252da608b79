//! Which container a supervisor has, and the link by which it is found without the database.
//!
//! `STATE/names/NAME` leads to the folder of the running container of that name. It is a shortcut and never the
//! truth: whoever comes by it says whom they look for, and a supervisor that is somebody else, or whose container has
//! ended, answers [`NotMe`](crate::protocol::Reply::NotMe), upon which the database is asked. So a link that leads
//! nowhere or to another costs time and nothing else, whatever was killed at whatever line.
//!
//! That answer is right because a supervisor's container has its name for as long as it runs: `rm` needs the
//! container's lock, which the supervisor has until the end, and the link goes before the lock does. A command that
//! renames a running container must therefore first remove the link and tell the supervisor its new name, so that it
//! answers to the old one no more; then comes the transaction, and the new link last.

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Who a container is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where its link is while it runs.
    pub link: String,
}

impl Identity {
    /// Whether that exact name, or full ID, is the container's.
    pub(crate) fn is(&self, wanted: &str) -> bool {
        wanted == self.id || wanted == self.name
    }
}

/// Makes the link of a running container's name to its folder of this boot. Without it everything works, only slower: a
/// name too long for a file system, or one that is full, is no reason to fail.
pub fn publish(link: &Path, run_folder: &Path) {
    for _ in 0..3 {
        match symlink(run_folder, link) {
            // The name is this container's now, so that is the link of one that is gone.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let _ = std::fs::remove_file(link);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let Some(names) = link.parent() else { return };
                let _ = std::fs::DirBuilder::new().mode(0o700).create(names);
            }
            _ => return,
        }
    }
}

/// Removes a link that leads to `run_folder`; that of another container of the same name stays.
pub fn withdraw(link: &Path, run_folder: &Path) {
    if std::fs::read_link(link).is_ok_and(|target| target == run_folder) {
        let _ = std::fs::remove_file(link);
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, publish, withdraw};
    use std::path::Path;

    #[test]
    fn a_link_is_made_over_a_stale_one_and_removed_by_its_owner_alone() {
        let state = std::env::temp_dir().join(format!("bulkhead-names-{}", std::process::id()));
        std::fs::create_dir(&state).unwrap();
        let link = state.join("names/web");
        publish(&link, Path::new("/old"));
        publish(&link, Path::new("/new"));
        assert_eq!(std::fs::read_link(&link).unwrap(), Path::new("/new"));
        withdraw(&link, Path::new("/old"));
        assert!(link.is_symlink());
        withdraw(&link, Path::new("/new"));
        assert!(!link.is_symlink());
        std::fs::remove_dir_all(&state).unwrap();
    }

    #[test]
    fn it_answers_to_its_name_and_its_full_id() {
        let identity = Identity { id: "ab".repeat(32), name: "web".into(), link: String::new() };
        assert!(identity.is("web") && identity.is(&"ab".repeat(32)));
        assert!(!identity.is("abab") && !identity.is("we") && !identity.is(""));
    }
}
