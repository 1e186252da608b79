//! From a layer's tar to a folder in the form that overlayfs takes as a lower layer.
//!
//! **Nothing leaves the folder.** An entry's parent is found without ever following a symbolic link by path:
//! `openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`; where the archive's own links lie in between they are
//! followed step by step, with the folder as their root (`tree`). The last component is made with calls that follow
//! nothing (`O_EXCL | O_NOFOLLOW`, `mkdirat`, `linkat`, …). `..` is resolved as text, as Docker does, and refused if
//! it climbs above the root; so are hard links to there. Symbolic links are stored verbatim: they mean something only
//! inside of a container.
//!
//! **Whiteouts** (OCI image-spec, `layer.md`) become what overlayfs calls whiteouts (`whiteout`); an archive can't
//! make such marks in any other way: `trusted.*` attributes are skipped and a character device 0/0 is refused.
//!
//! **Device nodes** are made, as Docker makes them. What keeps a container from using them
//! is not here: its control group's device rules decide what it may open, whatever nodes it finds or makes.
//!
//! **Directories** get their mode, owner and times at the very end, so that read-only ones can be filled, and filling
//! them doesn't change their times.

pub(crate) mod attributes;
mod deferred;
mod entries;
mod limits;
mod locate;
mod name;
pub(crate) mod remove;
mod tree;
mod whiteout;

use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd};

use crate::tar::{NoTap, Tap, TarReader};
use crate::{ImageError, Result};

pub use limits::Limits;
pub use locate::{Located, locate};
pub(crate) use tree::Replaced;

/// How much is read at once.
const BUFFER: usize = 256 * 1024;

/// The highest user or group ID that files have: an ID range must reach that far for all of them to be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Highest {
    /// The ID.
    pub id: u32,
    /// The path of a file that has it.
    pub path: String,
}

/// What an archive held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unpacked {
    /// The sizes of all regular files, in bytes (holes included).
    pub size: u64,
    /// How many entries, parents that the archive only implies included.
    pub entries: u64,
    /// The highest user or group ID of any entry.
    pub highest: Highest,
    /// Extended attributes that were left out: not allowed in a layer, or not possible on this file system.
    pub skipped_xattrs: u64,
    /// The length of the tar, in bytes.
    pub tar_size: u64,
}

/// Told what is needed to write the same tar again.
pub(crate) trait Recorder: Tap {
    /// `length` bytes of content follow here in the tar; they are in `path` at `offset`.
    fn content(&mut self, path: &[u8], offset: u64, length: u64) -> Result<()>;
}

impl Recorder for NoTap {
    fn content(&mut self, _path: &[u8], _offset: u64, _length: u64) -> Result<()> {
        Ok(())
    }
}

/// Unpacks an uncompressed tar into the directory `dirfd`, which should be empty. After an error the folder holds
/// what came before it: throw it away.
///
/// # Errors
/// Names the entry that was refused, or the limit that was passed.
pub fn unpack(reader: impl Read, dirfd: impl AsFd, limits: &Limits) -> Result<Unpacked> {
    let reader = BufReader::with_capacity(BUFFER, reader);
    unpack_recorded(reader, dirfd.as_fd(), None, limits, NoTap).map(|(_, unpacked, _)| unpacked)
}

/// How files are put into a folder that is somebody's already: not a layer, so no name means a removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// The folder that entries go to: a path without links below the folder that is entered.
    pub base: Vec<u8>,
    /// Whom everything is to belong to; `None`: whom the archive says.
    pub owner: Option<(u32, u32)>,
    /// Whether a folder may take the place of something else, and something else that of a folder with all that is in it.
    pub replace: bool,
}

/// Unpacks an uncompressed tar into a folder below `root`. Whatever links lie there or are in the archive, nothing outside
/// of `root` is touched, even if somebody changes them at the same time.
///
/// # Errors
/// Names the entry that was refused. What came before it stays.
pub fn extract(reader: impl Read, root: impl AsFd, plain: &Plain) -> Result<Unpacked> {
    let limits = Limits { max_entries: u64::MAX, max_bytes: u64::MAX, ..Limits::default() };
    let reader = BufReader::with_capacity(4 * BUFFER, reader);
    let mut tar = TarReader::new(reader, NoTap, u64::MAX);
    let mut unpacker = entries::Unpacker::new(root.as_fd(), None, &limits)?.plain(plain);
    while let Some(entry) = tar.next()? {
        unpacker.entry(&mut tar, entry)?;
    }
    let (mut unpacked, _) = unpacker.finish()?;
    unpacked.tar_size = tar.into_parts().1;
    Ok(unpacked)
}

/// Unpacks and tells `recorder` about every byte. What a later entry of the same archive replaces is moved into
/// `replaced`, since its content is a part of the tar still.
pub(crate) fn unpack_recorded<R: BufRead, S: Recorder>(
    reader: R,
    dirfd: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
    limits: &Limits,
    recorder: S,
) -> Result<(S, Unpacked, Vec<Replaced>)> {
    let mut tar = TarReader::new(reader, recorder, limits.max_bytes);
    let mut unpacker = entries::Unpacker::new(dirfd, replaced, limits)?;
    while let Some(entry) = tar.next()? {
        unpacker.entry(&mut tar, entry)?;
    }
    let (mut unpacked, replaced) = unpacker.finish()?;
    let (recorder, tar_size) = tar.into_parts();
    unpacked.tar_size = tar_size;
    Ok((recorder, unpacked, replaced))
}

/// An error of a system call on an entry, with the entry's name.
fn failed(what: &str, name: &[u8], error: rustix::io::Errno) -> ImageError {
    ImageError::io(format!("{what} \"{}\"", String::from_utf8_lossy(name)), error)
}
