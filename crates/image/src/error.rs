//! The one error type of the crate: each message says what failed, on what, and why.

use std::io;

use crate::Digest;

/// What can go wrong in the image store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A system call failed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done, and on what.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The store's disk is full, or would be.
    #[error("no space left for {what}: free space on the store's file system, or move the store with --root")]
    NoSpace {
        /// What was being written.
        what: String,
    },
    /// A text isn't an image reference; the message is Docker's.
    #[error("{0}")]
    InvalidReference(String),
    /// A text isn't a digest.
    #[error("invalid digest \"{0}\": a digest is sha256: and 64 lower-case hexadecimal digits")]
    InvalidDigest(String),
    /// One entry of a layer was refused.
    #[error("the archive's entry \"{entry}\" was refused: {why}")]
    Entry {
        /// The entry's name as the archive gives it.
        entry: String,
        /// Why.
        why: String,
    },
    /// What is there stays as it is; the message is Docker's.
    #[error("{0}")]
    Conflict(String),
    /// The bytes aren't a valid tar archive.
    #[error("not a valid tar archive: {0}")]
    Tar(String),
    /// The stream ended inside something.
    #[error("the archive ends early, {0}: it was cut off; fetch or write it again")]
    Truncated(String),
    /// A compressed stream is damaged.
    #[error("cannot decompress {what}: {why}")]
    Decompress {
        /// What was being read.
        what: String,
        /// Why.
        why: String,
    },
    /// The archive is a tar, but no image archive, or its parts contradict each other.
    #[error("invalid image archive: {0}")]
    Archive(String),
    /// A JSON document doesn't read.
    #[error("cannot read {what} as JSON: {source}")]
    Json {
        /// Which document.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
    /// Content isn't what its digest says.
    #[error("{what} is damaged or forged: expected {expected}, its content is {found}")]
    DigestMismatch {
        /// Which content.
        what: String,
        /// What was promised.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// One of [`Limits`](crate::Limits) was passed.
    #[error("the archive passes a limit: {0}")]
    Limit(String),
    /// A `--change` instruction doesn't read.
    #[error("invalid change \"{change}\": {why}")]
    Change {
        /// The instruction.
        change: String,
        /// Why.
        why: String,
    },
    /// The store has no such layer or blob.
    #[error("no such {what} in the image store: {digest}")]
    NotFound {
        /// `layer` or `blob`.
        what: &'static str,
        /// Which.
        digest: Digest,
    },
}

impl ImageError {
    /// A failed system call: `doing` completes "cannot …". A full disk becomes [`ImageError::NoSpace`], and an error
    /// of this crate that travelled inside an `io::Error` comes out as itself.
    pub fn io(doing: impl Into<String>, source: impl Into<io::Error>) -> ImageError {
        let source = source.into();
        if source.get_ref().is_some_and(|inner| inner.is::<ImageError>()) {
            return match source.into_inner().map(|inner| inner.downcast::<ImageError>()) {
                Some(Ok(inner)) => *inner,
                Some(Err(other)) => ImageError::Io { doing: doing.into(), source: io::Error::other(other) },
                None => ImageError::Tar(doing.into()),
            };
        }
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ImageError::NoSpace { what: doing.into() }
            }
            io::ErrorKind::UnexpectedEof => ImageError::Truncated(doing.into()),
            _ => ImageError::Io { doing: doing.into(), source },
        }
    }

    /// Whether going on with the rest of an archive is useless.
    pub(crate) fn is_fatal(&self) -> bool {
        matches!(self, ImageError::NoSpace { .. } | ImageError::Limit(_))
    }

    pub(crate) fn entry(name: &[u8], why: impl Into<String>) -> ImageError {
        // A name may have a MiB: its beginning says enough.
        let mut entry = String::from_utf8_lossy(name.get(..512).unwrap_or(name)).into_owned();
        if name.len() > 512 {
            entry.push('…');
        }
        ImageError::Entry { entry, why: why.into() }
    }
}

impl From<ImageError> for io::Error {
    fn from(error: ImageError) -> io::Error {
        io::Error::other(error)
    }
}
