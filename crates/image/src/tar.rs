//! A streaming tar reader that gives away every byte it reads; and a writer.
//!
//! A layer's identity is the digest of its tar, so the store must be able to write the very same tar again. Hence a
//! reader of our own: the bytes that aren't file contents (headers, padding, the end) go to a [`Tap`] as they pass,
//! and contents are lent to the caller from the source's own buffer, uncopied.
//!
//! Formats, as in GNU tar's manual, POSIX.1-2017 `pax` and Go's `archive/tar` (whose choices decide what Docker
//! accepts): v7, ustar, GNU (long names, base-256 numbers, old sparse files), and PAX (records of one entry; sparse
//! 0.0, 0.1, 1.0). Global PAX records are read over, as Docker does.

mod header;
mod pax;
mod reader;
mod sparse;
mod writer;

pub(crate) use reader::TarReader;
pub(crate) use sparse::Segment;
pub(crate) use writer::TarWriter;

use crate::Result;

/// Bytes in a block.
pub(crate) const BLOCK: usize = 512;

/// Takes the bytes that aren't file contents.
pub(crate) trait Tap {
    fn raw(&mut self, bytes: &[u8]) -> Result<()>;
}

/// Lets them go.
pub(crate) struct NoTap;

impl Tap for NoTap {
    fn raw(&mut self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Char,
    Block,
    Fifo,
}

/// One entry, with long names, PAX records and sparse maps taken into account.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// As the archive has it: nothing is cleaned.
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    /// Permission bits and set-ID and sticky bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds since 1970, and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// The bytes of content that follow in the stream.
    pub(crate) size: u64,
    /// Major and minor number.
    pub(crate) device: (u32, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) sparse: Option<Sparse>,
}

/// Where the content of a sparse file belongs.
#[derive(Debug)]
pub(crate) struct Sparse {
    pub(crate) real_size: u64,
    pub(crate) segments: Vec<Segment>,
}
