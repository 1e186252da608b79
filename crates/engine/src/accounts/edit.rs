//! Several account files changed together, or none.
//!
//! What to change is decided twice: first without the lock, since mostly there is nothing to do and then a
//! read-only /etc and another program's lock are no concern; then under the lock, from the files as they are
//! then. All new files are on the disk before the first takes its place, so what remains to fail is a rename;
//! then those that have been replaced are put back.

use super::lock::{self, PATIENCE};
use super::{Etc, replace};
use crate::error::{Error, Result};

/// What a file is to hold.
#[derive(Debug)]
pub(super) struct Change {
    /// Its name in the folder.
    pub(super) file: &'static str,
    /// What it holds now; `None` if it is not there.
    pub(super) before: Option<Vec<u8>>,
    /// What it is to hold.
    pub(super) after: Vec<u8>,
}

impl Etc {
    /// Makes the changes that `decide` wants, in their order.
    ///
    /// # Errors
    /// `decide`'s, the lock's, the disk's. The files are as they were then.
    pub(super) fn edit(&self, decide: impl Fn() -> Result<Vec<Change>>) -> Result<()> {
        if decide()?.is_empty() {
            return Ok(());
        }
        let _lock = lock::take(self, PATIENCE)?;
        self.make(&decide()?)
    }

    fn make(&self, changes: &[Change]) -> Result<()> {
        let mut prepared = Vec::new();
        for change in changes {
            prepared.push(replace::prepare(&self.folder().join(change.file), &change.after)?);
            bulkhead_sys::fail::point("accounts: new file written");
        }
        for (done, new) in prepared.into_iter().enumerate() {
            if let Err(error) = new.put() {
                // The one that failed counts as done: its name may have changed and only the disk's word be
                // missing.
                let done = changes.get(..=done).unwrap_or(changes);
                return Err(self.put_back(done, error));
            }
            bulkhead_sys::fail::point("accounts: file replaced");
        }
        Ok(())
    }

    /// Undoes changes, and gives the error that was the reason, with what could not be undone.
    fn put_back(&self, changes: &[Change], reason: Error) -> Error {
        let mut left = Vec::new();
        for change in changes {
            if let Err(error) = self.put_back_one(change) {
                left.push(format!("{} ({error})", change.file));
            }
        }
        if left.is_empty() {
            return reason;
        }
        Error::Conflict(format!(
            "{reason}; what was changed before that in {} could not be put back: {}",
            self.folder().display(),
            left.join(", "),
        ))
    }

    fn put_back_one(&self, change: &Change) -> Result<()> {
        let path = self.folder().join(change.file);
        match (&change.before, self.read(change.file)?) {
            (before, now) if *before == now => Ok(()),
            (Some(before), _) => replace::prepare(&path, before)?.put(),
            (None, _) => replace::remove(&path),
        }
    }
}
