//! `export`: a container's root file system as a tar, with the container's own IDs, and without what is mounted in it.

use std::io::{BufWriter, Write};
use std::os::fd::AsFd;

use bulkhead_image::Ids;
use bulkhead_image::pack::{Descriptors, Packer};

use crate::Engine;
use crate::error::{Doing, Result};
use crate::store::containers::Container;
use crate::users::Users;

impl Engine {
    /// Writes the tar to `out`. Gives what is to be said about it, a sentence each.
    ///
    /// # Errors
    /// Files that cannot be read, or `out`'s.
    pub fn export(&mut self, container: &Container, out: impl Write) -> Result<Vec<String>> {
        let files = self.files_of(container)?;
        let doing = || format!("export container {}", container.name);
        let descriptors = Descriptors::open().doing(|| "open /proc/self/fd")?;
        inside(&container.users, |ids| {
            let mut packer = Packer::new(BufWriter::with_capacity(256 * 1024, out), ids, &descriptors);
            packer.tree(files.merged.as_fd(), b"", &|_| false).doing(doing)?;
            Ok(packer.finish().doing(doing)?.1)
        })
    }
}

/// Does `work` with the way from what IDs are outside of a container to what they are inside.
pub(crate) fn inside<T>(users: &Users, work: impl FnOnce(Ids<'_>) -> T) -> T {
    match users.mappings() {
        None => work(Ids { user: &Some, group: &Some }),
        Some(mappings) => {
            work(Ids { user: &|id| mappings.inside_user(id), group: &|id| mappings.inside_group(id) })
        }
    }
}
