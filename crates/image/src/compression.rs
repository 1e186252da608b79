//! How a stream is compressed, told by its first bytes, and the readers that undo it.

use std::io::{BufRead, Read};

use crate::{ImageError, Result};

/// The zstd window that a stream may ask for: 2^25 bytes = 32 MiB of memory. Encoders stay below unless asked for
/// `--ultra` or `--long`.
const ZSTD_WINDOW_LOG: u32 = 25;

/// A reader of the plain bytes of a stream, compressed or not.
///
/// # Errors
/// A scheme that is not supported; the stream's.
pub fn decompressed<'a>(mut source: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
    let head = source.fill_buf().map_err(|error| ImageError::io("read the archive", error))?;
    let compression = Compression::sniff(head)?;
    compression.reader(source)
}

/// How the bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Tells the compression by the stream's first bytes; other schemes that Docker knows are named in an error.
    pub(crate) fn sniff(head: &[u8]) -> Result<Compression> {
        let other = match head {
            [0x1f, 0x8b, ..] => return Ok(Compression::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => return Ok(Compression::Zstd),
            // A zstd stream may begin with a frame to skip; eStargz-like tools write such.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => return Ok(Compression::Zstd),
            [b'B', b'Z', b'h', ..] => "bzip2",
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "xz",
            _ => return Ok(Compression::None),
        };
        Err(ImageError::Decompress {
            what: "the archive".to_owned(),
            why: format!("{other} compression is not supported: decompress it first, or use gzip or zstd"),
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Compression::None => "uncompressed",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    /// A reader of the plain bytes of `source`.
    pub(crate) fn reader<'a>(self, source: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Compression::None => Box::new(source),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
            Compression::Zstd => {
                let broken = |e| ImageError::io("start the zstd decoder", e);
                let mut decoder = zstd::Decoder::with_buffer(source).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(broken)?;
                Box::new(decoder)
            }
        })
    }
}
