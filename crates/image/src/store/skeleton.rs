//! The skeleton of a layer's tar: every byte that isn't the content of a file, with marks where contents belong.
//!
//! A zstd stream of records: [`RAW`], a length, bytes · [`CONTENT`], a path, an offset, a length · [`END`]. Numbers are
//! 64 bits, little endian. For a usual layer it takes 1 % of the tar, and it spares the store a second copy of each
//! layer while keeping the digest true (the idea is that of tar-split).

use std::io::{self, Read, Write};

use crate::tar::Tap;
use crate::unpack::Recorder;
use crate::{ImageError, Result};

const END: u8 = 0;
const RAW: u8 = 1;
const CONTENT: u8 = 2;
/// Raw bytes are gathered up to this many.
const GATHER: usize = 64 * 1024;
/// Of zstd's levels the fast one: headers are mostly zeros, so higher ones gain little.
const LEVEL: i32 = 1;

/// Writes a skeleton while a tar is unpacked.
pub(crate) struct SkeletonWriter<W: Write> {
    out: zstd::Encoder<'static, W>,
    raw: Vec<u8>,
}

impl<W: Write> SkeletonWriter<W> {
    pub(crate) fn new(out: W) -> Result<SkeletonWriter<W>> {
        let mut out = zstd::Encoder::new(out, LEVEL).map_err(failed)?;
        out.include_checksum(true).map_err(failed)?;
        Ok(SkeletonWriter { out, raw: Vec::with_capacity(GATHER) })
    }

    /// Ends the stream.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.flush_raw().map_err(failed)?;
        self.out.write_all(&[END]).map_err(failed)?;
        self.out.finish().map_err(failed)
    }

    fn flush_raw(&mut self) -> io::Result<()> {
        if !self.raw.is_empty() {
            self.out.write_all(&[RAW])?;
            self.out.write_all(&(self.raw.len() as u64).to_le_bytes())?;
            self.out.write_all(&self.raw)?;
            self.raw.clear();
        }
        Ok(())
    }
}

fn failed(error: io::Error) -> ImageError {
    ImageError::io("write the layer's skeleton", error)
}

impl<W: Write> Tap for SkeletonWriter<W> {
    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        for bytes in bytes.chunks(GATHER) {
            if self.raw.len() + bytes.len() > GATHER {
                self.flush_raw().map_err(failed)?;
            }
            self.raw.extend_from_slice(bytes);
        }
        Ok(())
    }
}

impl<W: Write> Recorder for SkeletonWriter<W> {
    fn content(&mut self, path: &[u8], offset: u64, length: u64) -> Result<()> {
        let mut record = || {
            self.flush_raw()?;
            self.out.write_all(&[CONTENT])?;
            self.out.write_all(&(path.len() as u64).to_le_bytes())?;
            self.out.write_all(path)?;
            self.out.write_all(&offset.to_le_bytes())?;
            self.out.write_all(&length.to_le_bytes())
        };
        record().map_err(failed)
    }
}

/// One record of a skeleton.
pub(super) enum Record {
    Raw(Vec<u8>),
    Content { path: Vec<u8>, offset: u64, length: u64 },
}

/// Reads the next record; `None` at the end.
pub(super) fn read(source: &mut impl Read) -> io::Result<Option<Record>> {
    let mut tag = [0u8];
    source.read_exact(&mut tag)?;
    match tag {
        [END] => Ok(None),
        [RAW] => Ok(Some(Record::Raw(bytes(source, GATHER)?))),
        [CONTENT] => {
            // A parent as long as paths may be, and a name.
            let path = bytes(source, 4096 + 256)?;
            Ok(Some(Record::Content { path, offset: number(source)?, length: number(source)? }))
        }
        _ => Err(invalid()),
    }
}

fn bytes(source: &mut impl Read, max: usize) -> io::Result<Vec<u8>> {
    let length = usize::try_from(number(source)?).ok().filter(|length| *length <= max).ok_or_else(invalid)?;
    let mut bytes = vec![0; length];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn number(source: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0u8; 8];
    source.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the layer's skeleton is damaged: load the image again")
}
