//! The writer: from entries to bytes, in the dialect that everybody reads: ustar headers, with PAX records where a header
//! has no room (POSIX.1-2017, pax; GNU tar's manual, "Sparse Formats", version 1.0).
//!
//! | what | how |
//! |---|---|
//! | a name or link of more than 100 bytes | PAX `path`, `linkpath`; GNU's `L` and `K` if it is not UTF-8, which PAX asks for |
//! | an ID above 2,097,151, a size of 8 GiB and more | PAX `uid`, `gid`, `size` |
//! | a time with a fraction, or before 1970 | PAX `mtime` |
//! | extended attributes | PAX `SCHILY.xattr.NAME` |
//! | holes | PAX `GNU.sparse.*` 1.0, the map in front of the content |

use std::io::{self, Write};

use super::{BLOCK, Entry, Kind};

/// The longest name that a header holds by itself.
const SHORT: usize = 100;
/// The most that 7 and 11 octal digits say.
const MAX_7: u64 = 0o777_7777;
const MAX_11: u64 = 0o777_7777_7777;

/// Writes the entries of an archive one after the other.
pub(crate) struct TarWriter<W> {
    out: W,
    /// Content of the present entry that is still to come.
    left: u64,
    /// Padding after it.
    padding: usize,
    written: u64,
}

impl<W: Write> TarWriter<W> {
    pub(crate) fn new(out: W) -> TarWriter<W> {
        TarWriter { out, left: 0, padding: 0, written: 0 }
    }

    /// How many bytes the archive has so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Begins an entry. Of a file, [`Entry::size`] bytes of [`content`](Self::content) follow: of a sparse one those of
    /// its segments alone.
    pub(crate) fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        if self.left > 0 {
            return Err(io::Error::other("the content of the entry before is not complete"));
        }
        let mut name = entry.name.clone();
        if entry.kind == Kind::Directory && !name.ends_with(b"/") {
            name.push(b'/');
        }
        let mut records = Records::default();
        let map = entry.sparse.as_ref().map(|sparse| {
            records.add("GNU.sparse.major", b"1");
            records.add("GNU.sparse.minor", b"0");
            records.add("GNU.sparse.name", &name);
            records.add("GNU.sparse.realsize", sparse.real_size.to_string().as_bytes());
            // What who knows nothing of holes makes of it has another name.
            name = sparse_name(&name);
            let mut parts: Vec<(u64, u64)> =
                sparse.segments.iter().map(|segment| (segment.offset, segment.length)).collect();
            // GNU tar makes the hole at a file's end by an empty part there.
            if parts.last().is_none_or(|(offset, length)| offset + length < sparse.real_size) {
                parts.push((sparse.real_size, 0));
            }
            sparse_map(&parts)
        });
        for (key, value) in &entry.xattrs {
            records.add_bytes(&[b"SCHILY.xattr.", key.as_slice()].concat(), value);
        }
        let size = match entry.kind {
            Kind::File => entry.size + map.as_ref().map_or(0, |map| map.len() as u64),
            _ => 0,
        };
        if size > MAX_11 {
            records.add("size", size.to_string().as_bytes());
        }
        for (key, id) in [("uid", entry.uid), ("gid", entry.gid)] {
            if u64::from(id) > MAX_7 {
                records.add(key, id.to_string().as_bytes());
            }
        }
        let (seconds, nanos) = entry.mtime;
        if nanos != 0 || u64::try_from(seconds).map_or(true, |seconds| seconds > MAX_11) {
            records.add("mtime", time(seconds, nanos).as_bytes());
        }
        let link: &[u8] =
            if matches!(entry.kind, Kind::Symlink | Kind::HardLink) { &entry.link } else { b"" };
        for (text, key, gnu) in [(name.as_slice(), "path", b'L'), (link, "linkpath", b'K')] {
            if text.len() > SHORT {
                match std::str::from_utf8(text) {
                    Ok(_) => records.add(key, text),
                    Err(_) => self.special(gnu, &[text, b"\0"].concat())?,
                }
            }
        }
        if !records.0.is_empty() {
            self.special(b'x', &records.0)?;
        }
        let flag = match entry.kind {
            Kind::File => b'0',
            Kind::HardLink => b'1',
            Kind::Symlink => b'2',
            Kind::Char => b'3',
            Kind::Block => b'4',
            Kind::Directory => b'5',
            Kind::Fifo => b'6',
        };
        let mut header = [0u8; BLOCK];
        cut(&mut header, 0..SHORT, &name);
        number(&mut header, 100..108, u64::from(entry.mode & 0o7777));
        number(&mut header, 108..116, u64::from(entry.uid).min(MAX_7));
        number(&mut header, 116..124, u64::from(entry.gid).min(MAX_7));
        number(&mut header, 124..136, if size > MAX_11 { 0 } else { size });
        number(&mut header, 136..148, u64::try_from(seconds).unwrap_or(0).min(MAX_11));
        cut(&mut header, 157..257, link);
        if matches!(entry.kind, Kind::Char | Kind::Block) {
            number(&mut header, 329..337, u64::from(entry.device.0).min(MAX_7));
            number(&mut header, 337..345, u64::from(entry.device.1).min(MAX_7));
        }
        self.header(header, flag)?;
        self.begin(size);
        map.map_or(Ok(()), |map| self.content(&map))
    }

    /// Content of the present entry.
    pub(crate) fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| io::Error::other("an entry has more content than it was said to have"))?;
        self.put(bytes)?;
        if self.left == 0 {
            let padding = std::mem::take(&mut self.padding);
            self.put([0u8; BLOCK].get(..padding).unwrap_or_default())?;
        }
        Ok(())
    }

    /// Ends the archive; gives back what it was written to, and how many bytes it has.
    pub(crate) fn finish(mut self) -> io::Result<(W, u64)> {
        if self.left > 0 {
            return Err(io::Error::other("the content of the last entry is not complete"));
        }
        self.put(&[0u8; 2 * BLOCK])?;
        self.out.flush()?;
        Ok((self.out, self.written))
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = usize::try_from(size.wrapping_neg() % BLOCK as u64).unwrap_or(0);
    }

    /// An entry that describes the next one.
    fn special(&mut self, flag: u8, content: &[u8]) -> io::Result<()> {
        let mut header = [0u8; BLOCK];
        let name: &[u8] = if flag == b'x' { b"PaxHeaders/entry" } else { b"././@LongLink" };
        cut(&mut header, 0..SHORT, name);
        number(&mut header, 100..108, 0o644);
        number(&mut header, 108..116, 0);
        number(&mut header, 116..124, 0);
        number(&mut header, 124..136, content.len() as u64);
        number(&mut header, 136..148, 0);
        self.header(header, flag)?;
        self.begin(content.len() as u64);
        self.content(content)
    }

    fn header(&mut self, mut header: [u8; BLOCK], flag: u8) -> io::Result<()> {
        header[156] = flag;
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].copy_from_slice(b"        ");
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.put(&header)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// PAX records, as bytes.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    fn add(&mut self, key: &str, value: &[u8]) {
        self.add_bytes(key.as_bytes(), value);
    }

    /// `LENGTH KEY=VALUE\n`, where LENGTH counts its own digits too.
    fn add_bytes(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while rest + length.to_string().len() != length {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(format!("{length} ").as_bytes());
        self.0.extend_from_slice(key);
        self.0.push(b'=');
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }
}

/// The map of format 1.0: the count of parts, then where each begins and how long it is, padded to a whole block.
fn sparse_map(parts: &[(u64, u64)]) -> Vec<u8> {
    let mut map = format!("{}\n", parts.len()).into_bytes();
    for (offset, length) in parts {
        map.extend_from_slice(format!("{offset}\n{length}\n").as_bytes());
    }
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    map
}

/// `FOLDER/GNUSparseFile.0/NAME`, as GNU tar has it.
fn sparse_name(name: &[u8]) -> Vec<u8> {
    let slash = name.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let (folder, last) = name.split_at_checked(slash).unwrap_or((b"", name));
    [folder, b"GNUSparseFile.0/", last].concat()
}

/// Seconds since 1970 with a fraction. A timestamp counts its nanoseconds upwards, also before 1970.
fn time(seconds: i64, nanos: u32) -> String {
    match (seconds < 0, nanos) {
        (_, 0) => seconds.to_string(),
        (false, _) => format!("{seconds}.{nanos:09}"),
        (true, _) => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos),
    }
}

/// A text field, cut to what it holds.
fn cut(header: &mut [u8; BLOCK], field: std::ops::Range<usize>, text: &[u8]) {
    if let Some(field) = header.get_mut(field) {
        for (to, from) in field.iter_mut().zip(text) {
            *to = *from;
        }
    }
}

/// A number in octal digits, with a zero byte behind.
fn number(header: &mut [u8; BLOCK], field: std::ops::Range<usize>, value: u64) {
    let digits = field.len() - 1;
    cut(header, field, format!("{value:0digits$o}").as_bytes());
}

#[cfg(test)]
mod tests;
