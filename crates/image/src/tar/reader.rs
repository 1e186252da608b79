//! The reader: from bytes to entries.

use std::io::BufRead;

use super::header::{Format, Header};
use super::pax::{self, Records};
use super::sparse::{self, Map};
use super::{BLOCK, Entry, Kind, Sparse, Tap};
use crate::{ImageError, Result};

/// The most bytes of PAX records or of a long name; Go's reader has the same limit.
const MAX_SPECIAL: u64 = 1 << 20;

/// Reads the entries of an archive one after the other.
pub(crate) struct TarReader<R, T> {
    source: R,
    tap: T,
    /// Content of the present entry that nobody has taken yet.
    left: u64,
    /// Padding after it.
    padding: u64,
    /// How many more bytes may go to the tap.
    budget: u64,
    /// Bytes read from the source.
    position: u64,
    finished: bool,
}

impl<R: BufRead, T: Tap> TarReader<R, T> {
    /// Reads from `source`; more than `budget` bytes that aren't content are an error.
    pub(crate) fn new(source: R, tap: T, budget: u64) -> TarReader<R, T> {
        TarReader { source, tap, left: 0, padding: 0, budget, position: 0, finished: false }
    }

    pub(crate) fn tap(&mut self) -> &mut T {
        &mut self.tap
    }

    /// The tap, and how many bytes the archive has.
    pub(crate) fn into_parts(self) -> (T, u64) {
        (self.tap, self.position)
    }

    /// The next entry; what is left of the last one goes to the tap. At the archive's end the rest of the stream is
    /// read too, since it belongs to the digest.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        if self.finished {
            return Ok(None);
        }
        let rest = self.left + self.padding;
        (self.left, self.padding) = (0, 0);
        self.pass(rest, "inside of a file's content")?;
        let mut records: Option<Records> = None;
        let (mut long_name, mut long_link) = (None, None);
        loop {
            let Some(header) = self.header()? else {
                self.finished = true;
                self.drain()?;
                return Ok(None);
            };
            match header.type_flag() {
                b'x' => {
                    let bytes = self.special(&header)?;
                    records = Some(pax::parse(&bytes).map_err(ImageError::Tar)?);
                }
                b'g' => {
                    self.special(&header)?;
                }
                b'L' => long_name = Some(cut(self.special(&header)?)),
                b'K' => long_link = Some(cut(self.special(&header)?)),
                _ => {
                    let mut records = records.unwrap_or_default();
                    records.path = records.path.or(long_name);
                    records.link = records.link.or(long_link);
                    return self.entry(&header, records).map(Some);
                }
            }
        }
    }

    /// Content of the present entry, as much as the source has ready; empty at its end.
    pub(crate) fn chunk(&mut self) -> Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let chunk = self.source.fill_buf().map_err(|e| ImageError::io("read the archive", e))?;
        if chunk.is_empty() {
            return Err(ImageError::Truncated("inside of a file's content".to_owned()));
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(chunk.len());
        Ok(chunk.get(..wanted).unwrap_or_default())
    }

    /// Takes `n` bytes of what [`TarReader::chunk`] lent.
    pub(crate) fn consume(&mut self, n: usize) {
        self.source.consume(n);
        self.position += n as u64;
        self.left = self.left.saturating_sub(n as u64);
    }

    /// Copies content of the present entry; 0 at its end. A large `buffer` is filled by the source itself, with no copy
    /// in between.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(part) = buffer.get_mut(..wanted).filter(|part| !part.is_empty()) else { return Ok(0) };
        let n = loop {
            match self.source.read(part) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other.map_err(|e| ImageError::io("read the archive", e))?,
            }
        };
        if n == 0 {
            return Err(ImageError::Truncated("inside of a file's content".to_owned()));
        }
        self.position += n as u64;
        self.left -= n as u64;
        Ok(n)
    }

    /// The next header block; `None` at the archive's end.
    fn header(&mut self) -> Result<Option<Header>> {
        let Some(header) = self.block()? else { return Ok(None) };
        if !header.is_zero() {
            if !header.checksum_fits() {
                return Err(ImageError::Tar(format!(
                    "a header's checksum is wrong before byte {}",
                    self.position
                )));
            }
            return Ok(Some(header));
        }
        match self.block()? {
            Some(second) if !second.is_zero() => {
                Err(ImageError::Tar(format!("a single block of zeros before byte {}", self.position)))
            }
            _ => Ok(None),
        }
    }

    /// One block, which goes to the tap too; `None` where the stream ends at a block's border.
    fn block(&mut self) -> Result<Option<Header>> {
        let mut block = [0u8; BLOCK];
        let mut filled = 0;
        while let Some(space) = block.get_mut(filled..).filter(|space| !space.is_empty()) {
            let bytes = self.source.fill_buf().map_err(|e| ImageError::io("read the archive", e))?;
            if bytes.is_empty() {
                if filled == 0 {
                    return Ok(None);
                }
                return Err(ImageError::Truncated("inside of a header".to_owned()));
            }
            let n = bytes.len().min(space.len());
            if let (Some(to), Some(from)) = (space.get_mut(..n), bytes.get(..n)) {
                to.copy_from_slice(from);
            }
            self.source.consume(n);
            filled += n;
        }
        self.position += BLOCK as u64;
        self.spend(BLOCK as u64)?;
        self.tap.raw(&block)?;
        Ok(Some(Header(block)))
    }

    /// The content of an entry that describes the next one.
    fn special(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = header.size().map_err(ImageError::Tar)?;
        let size = u64::try_from(size).ok().filter(|size| *size <= MAX_SPECIAL).ok_or_else(|| {
            ImageError::Tar(format!(
                "PAX records or a long name of {size} bytes: at most {MAX_SPECIAL} are taken"
            ))
        })?;
        let mut bytes = Vec::new();
        self.copy(size, "inside of PAX records or a long name", |chunk| bytes.extend_from_slice(chunk))?;
        self.pass(padding(size), "inside of PAX records or a long name")?;
        Ok(bytes)
    }

    /// Lets `count` bytes pass to the tap.
    fn pass(&mut self, count: u64, place: &str) -> Result<()> {
        self.copy(count, place, |_| {})
    }

    fn copy(&mut self, mut count: u64, place: &str, mut also: impl FnMut(&[u8])) -> Result<()> {
        self.spend(count)?;
        while count > 0 {
            let bytes = self.source.fill_buf().map_err(|e| ImageError::io("read the archive", e))?;
            if bytes.is_empty() {
                return Err(ImageError::Truncated(place.to_owned()));
            }
            let n = usize::try_from(count).unwrap_or(usize::MAX).min(bytes.len());
            let chunk = bytes.get(..n).unwrap_or_default();
            self.tap.raw(chunk)?;
            also(chunk);
            self.source.consume(n);
            self.position += n as u64;
            count -= n as u64;
        }
        Ok(())
    }

    /// What follows the archive's end.
    fn drain(&mut self) -> Result<()> {
        loop {
            let bytes = self.source.fill_buf().map_err(|e| ImageError::io("read the archive", e))?;
            let n = bytes.len();
            if n == 0 {
                return Ok(());
            }
            self.tap.raw(bytes)?;
            self.source.consume(n);
            self.position += n as u64;
            self.spend(n as u64)?;
        }
    }

    fn spend(&mut self, count: u64) -> Result<()> {
        self.budget = self.budget.checked_sub(count).ok_or_else(|| {
            ImageError::Limit(
                "its headers, padding and skipped parts are larger than a layer may be".to_owned(),
            )
        })?;
        Ok(())
    }

    fn entry(&mut self, header: &Header, records: Records) -> Result<Entry> {
        let name = records.path.unwrap_or_else(|| header.name());
        let refuse = |why: String| ImageError::entry(&name, why);
        let stated = match records.size {
            Some(size) => size,
            None => u64::try_from(header.size().map_err(refuse)?)
                .map_err(|_| refuse("its size is negative".into()))?,
        };
        if stated > i64::MAX.unsigned_abs() - BLOCK as u64 {
            return Err(refuse("its size is too large".to_owned()));
        }
        let flag = header.type_flag();
        let kind = match flag {
            b'0' | 0 if name.ends_with(b"/") => Kind::Directory,
            b'0' | 0 | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::Char,
            b'4' => Kind::Block,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => return Err(refuse(format!("its type is unknown ({:?})", char::from(other)))),
        };
        let id = |what: &str, value: i64| {
            u32::try_from(value)
                .ok()
                .filter(|id| *id != u32::MAX)
                .ok_or_else(|| refuse(format!("its {what} ID is {value}: IDs are 0 to 4294967294")))
        };
        let number = |value: Result<i64, String>| value.map_err(refuse);
        let uid = id("user", records.uid.map_or_else(|| number(header.uid()), Ok)?)?;
        let gid = id("group", records.gid.map_or_else(|| number(header.gid()), Ok)?)?;
        let mtime = records.mtime.map_or_else(|| number(header.mtime()).map(|seconds| (seconds, 0)), Ok)?;
        // Writers put the file type into the upper bits too; the type flag decides that.
        let mode = u32::try_from(number(header.mode())? & 0o7777).unwrap_or(0);
        let device = match kind {
            Kind::Char | Kind::Block => {
                let (major, minor) = header.device().map_err(refuse)?;
                let part = |value: i64| {
                    u32::try_from(value)
                        .map_err(|_| refuse(format!("its device number {major}:{minor} is invalid")))
                };
                (part(major)?, part(minor)?)
            }
            _ => (0, 0),
        };
        // Only files have content; a size in any other header is read over, as Go's reader does.
        self.left = if kind == Kind::File { stated } else { 0 };
        self.padding = padding(self.left);
        let sparse_name =
            records.sparse.iter().rev().find(|(key, _)| key == b"name").map(|(_, value)| value.clone());
        let sparse = match kind {
            Kind::File => self.sparse(header, &records.sparse).map_err(|e| match e {
                ImageError::Tar(why) => ImageError::entry(&name, why),
                other => other,
            })?,
            _ => None,
        };
        let name = if sparse.is_some() { sparse_name.unwrap_or(name) } else { name };
        Ok(Entry {
            kind,
            name,
            link: records.link.unwrap_or_else(|| header.link()),
            mode,
            uid,
            gid,
            mtime,
            size: self.left,
            device,
            xattrs: records.xattrs,
            sparse,
        })
    }

    /// The sparse map, if the entry has one; afterwards `left` counts the file's own bytes only.
    fn sparse(&mut self, header: &Header, records: &[(Vec<u8>, Vec<u8>)]) -> Result<Option<Sparse>> {
        let mut map = Map::default();
        let real_size;
        if header.format() == Format::Gnu && header.type_flag() == b'S' {
            let real =
                super::header::number(&header.0[483..495]).map_err(|e| ImageError::Tar(e.to_owned()))?;
            real_size =
                u64::try_from(real).map_err(|_| ImageError::Tar("its real size is negative".to_owned()))?;
            sparse::old_gnu(&header.0[386..482], &mut map).map_err(ImageError::Tar)?;
            let mut more = header.0[482] != 0;
            while more {
                let block = self
                    .block()?
                    .ok_or_else(|| ImageError::Truncated("inside of a sparse map".to_owned()))?;
                sparse::old_gnu(&block.0[..504], &mut map).map_err(ImageError::Tar)?;
                more = block.0[504] != 0;
            }
        } else if header.type_flag() == b'S' {
            return Err(ImageError::Tar("a sparse file in a header that isn't GNU's".to_owned()));
        } else {
            let number = |wanted: &[u8]| {
                let found = records.iter().rev().find(|(key, _)| key == wanted);
                found.map(|(_, value)| pax::integer(value).map_err(ImageError::Tar)).transpose()
            };
            let version = (number(b"major")?, number(b"minor")?);
            let in_content = version == (Some(1), Some(0));
            if !in_content && !records.iter().any(|(key, _)| matches!(key.as_slice(), b"map" | b"numblocks"))
            {
                return Ok(None);
            }
            let real = match number(b"realsize")? {
                Some(real) => Some(real),
                None => number(b"size")?,
            };
            real_size =
                real.map(i64::unsigned_abs).ok_or_else(|| ImageError::Tar("no real size".to_owned()))?;
            if in_content {
                self.sparse_map_in_content(&mut map)?;
            } else {
                sparse::from_records(records, &mut map).map_err(ImageError::Tar)?;
            }
        }
        let segments = map.finish(real_size, self.left).map_err(ImageError::Tar)?;
        Ok(Some(Sparse { real_size, segments }))
    }

    /// Format 1.0: the count of pairs and the pairs, a decimal number a line, padded to a whole block.
    fn sparse_map_in_content(&mut self, map: &mut Map) -> Result<()> {
        let mut numbers: Vec<i64> = Vec::new();
        let mut digits: Vec<u8> = Vec::new();
        loop {
            self.left = self
                .left
                .checked_sub(BLOCK as u64)
                .ok_or_else(|| ImageError::Tar("the sparse map is longer than the content".to_owned()))?;
            let block =
                self.block()?.ok_or_else(|| ImageError::Truncated("inside of a sparse map".to_owned()))?;
            for byte in block.0 {
                if byte != b'\n' {
                    digits.push(byte);
                    continue;
                }
                numbers.push(pax::integer(&digits).map_err(ImageError::Tar)?);
                digits.clear();
                let count = usize::try_from(numbers.first().copied().unwrap_or(0)).unwrap_or(usize::MAX);
                if count > sparse::MAX_SEGMENTS {
                    return Err(ImageError::Tar(format!("a sparse file of {count} parts")));
                }
                if numbers.len() == 1 + 2 * count {
                    for pair in numbers.get(1..).unwrap_or_default().chunks_exact(2) {
                        if let [offset, length] = pair {
                            map.push(*offset, *length).map_err(ImageError::Tar)?;
                        }
                    }
                    return Ok(());
                }
            }
            if digits.len() > 32 {
                return Err(ImageError::Tar("the sparse map holds no number".to_owned()));
            }
        }
    }
}

/// How many bytes fill the last block of `size` bytes.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn cut(name: Vec<u8>) -> Vec<u8> {
    super::header::text(&name).to_vec()
}
