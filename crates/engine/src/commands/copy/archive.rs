//! The API's side of `cp`, where the machine's files are another machine's: only tars come and go, and what they are to be
//! called was agreed on by the client, from what it is told of a path.
//!
//! Docker's rules, as its daemon has them and not as its manual says: owners are those that the archive names.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_image::decompressed;
use bulkhead_image::unpack::Plain;

use super::{Copied, PathStat, Word, done, hear, inside, pipe, say, unexpected};
use crate::Engine;
use crate::error::{Doing, Error, Refusal, Result};
use crate::store::containers::Container;

/// How much goes to the child at once.
const PIECE: usize = 256 * 1024;

impl Engine {
    /// What is at `path` of the container: a link itself, unless the path ends with `/` or `/.`.
    ///
    /// # Errors
    /// It is not there.
    pub fn stat_path(&mut self, container: &Container, path: &[u8]) -> Result<PathStat> {
        let worker = self.enter(container, &[], |inside| inside::stat(inside, path, &container.name))?;
        match hear(&worker)? {
            Word::Found(found) => Ok(found),
            _ => Err(unexpected()),
        }
    }

    /// Writes what is at `path` to `out` as a tar, its names beginning with [`base_name`]. `begin` hears what it is before
    /// the first byte.
    ///
    /// # Errors
    /// It is not there; files that cannot be read, or `begin`'s.
    pub fn archive_out(
        &mut self,
        container: &Container,
        path: &[u8],
        out: BorrowedFd<'_>,
        begin: impl FnOnce(&PathStat) -> std::io::Result<()>,
    ) -> Result<Copied> {
        let worker =
            self.enter(container, &[out], |inside| inside::read(inside, path, &container.name, false, out))?;
        let Word::Found(found) = hear(&worker)? else { return Err(unexpected()) };
        begin(&found).doing(|| "begin the archive")?;
        say(&worker, &base_name(path))?;
        done(&worker)
    }

    /// Unpacks a tar, compressed or not, into the folder `path` of the container. `replace`: whether a folder may take the
    /// place of something else, and the other way.
    ///
    /// # Errors
    /// There is no such folder, or nothing may be written there; an archive that does not read. What was unpacked by then
    /// stays.
    pub fn archive_in(
        &mut self,
        container: &Container,
        from: impl Read,
        path: &[u8],
        replace: bool,
    ) -> Result<Copied> {
        let (reads, writes) = pipe()?;
        let input = reads.as_fd();
        let worker = self.enter(container, &[input], |inside| {
            let how = Plain { replace, ..Plain::default() };
            inside::unpack_into(inside, path, &container.name, how, input)
        })?;
        drop(reads);
        let Word::Ready { .. } = hear(&worker)? else { return Err(unexpected()) };
        match pump(from, writes) {
            Ok(()) => done(&worker),
            // What the child has by now is no whole archive, and it is not to be blamed for that.
            Err(error) => Err(error),
        }
    }
}

/// Passes the archive on. A child that wants no more of it says why.
fn pump(from: impl Read, to: OwnedFd) -> Result<()> {
    let unread = |why: String| Error::Files { why: Refusal::Senseless, message: why };
    let mut from =
        decompressed(BufReader::with_capacity(PIECE, from)).map_err(|error| unread(error.to_string()))?;
    let mut to = File::from(to);
    let mut piece = vec![0; PIECE];
    loop {
        let length = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(unread(format!("cannot read the archive: {error}"))),
        };
        match to.write_all(piece.get(..length).unwrap_or_default()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error).doing(|| "pass the archive on"),
        }
    }
}

/// What names of an archive of `path` begin with: `/` for the root, `.` for what is in a folder, else its last component.
pub fn base_name(path: &[u8]) -> Vec<u8> {
    let name = inside::name_of(path);
    match name.is_empty() {
        false => name,
        true if path.ends_with(b".") && !path.ends_with(b"..") => b".".to_vec(),
        true => b"/".to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::base_name;

    #[test]
    fn names_are_docker_s() {
        for (path, name) in [
            ("/", "/"),
            ("", "/"),
            ("//", "/"),
            ("/..", "/"),
            ("/a/..", "/"),
            ("/.", "."),
            (".", "."),
            ("/a/.", "."),
            ("/a", "a"),
            ("a", "a"),
            ("/a/b/", "b"),
            ("/a/b/..", "a"),
        ] {
            assert_eq!(base_name(path.as_bytes()), name.as_bytes(), "{path}");
        }
    }
}
