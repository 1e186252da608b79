//! One layer, from the bytes of an archive to a folder: reading, hashing and unpacking at the same time.
//!
//! Three threads, and buffers that go round: the caller's thread reads and decompresses, one hashes, one unpacks. Each
//! buffer is seen by both and goes back to the reader when the slower one is done with it; so memory is bounded
//! (6 MiB), nothing is copied between them, and two processors are busy.

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::compression::Compression;
use crate::digest::Hasher;
use crate::store::layer::{DIFF, LayerMeta, META, REPLACED, REPLACED_LIST, SKELETON};
use crate::store::{SkeletonWriter, Work};
use crate::unpack::{Replaced, Unpacked, unpack_recorded};
use crate::{Digest, HashingReader, ImageError, Limits, Result};

/// The size of a buffer. A MiB wakes the threads seldom enough: 256 KiB takes 10 % longer.
pub(crate) const BUFFER: usize = 1024 * 1024;
/// How many go round.
const BUFFERS: usize = 6;

/// A layer that was unpacked into a work folder.
#[derive(Clone, Debug)]
pub(crate) struct Streamed {
    pub(crate) diff_id: Digest,
    /// The digest and the length of the bytes as they came, compressed or not.
    pub(crate) blob: (Digest, u64),
}

/// Unpacks one layer into `folder` of the work folder: everything that a layer of the store consists of.
pub(crate) fn layer(
    source: impl Read,
    compression: Compression,
    work: &Work,
    folder: &str,
    limits: &Limits,
) -> Result<Streamed> {
    layer_from(work, folder, limits, |sinks| match compression {
        Compression::None => pump(source, sinks).map(|count| (None, count)),
        _ => pump_compressed(source, compression, sinks),
    })
}

/// The same of a tar that `write` writes.
pub(crate) fn layer_written(
    work: &Work,
    folder: &str,
    limits: &Limits,
    write: impl FnOnce(&mut dyn io::Write) -> Result<()>,
) -> Result<Streamed> {
    layer_from(work, folder, limits, |sinks| {
        let mut filler = Filler::new(sinks);
        match write(&mut filler)
            .and_then(|()| filler.pass_on().map_err(|e| ImageError::io("write the layer", e)))
        {
            Ok(()) => Ok((None, filler.count)),
            Err(_) if filler.stopped => Err(Stopped::ByUnpacker),
            Err(error) => Err(Stopped::Failed(error)),
        }
    })
}

fn layer_from(
    work: &Work,
    folder: &str,
    limits: &Limits,
    feed: impl FnOnce(&[Sender<Message>]) -> Result<(Option<Digest>, u64), Stopped>,
) -> Result<Streamed> {
    let fd = work.folder(folder)?;
    let made = |what: &str, e: rustix::io::Errno| ImageError::io(format!("make {what} of a layer"), e);
    let place = |name: &str| -> Result<OwnedFd> {
        rustix::fs::mkdirat(&fd, name, Mode::RWXU).map_err(|e| made(name, e))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&fd, name, flags, Mode::empty()).map_err(|e| made(name, e))
    };
    let (diff, graveyard) = (place(DIFF)?, place(REPLACED)?);
    rustix::fs::fchmod(&diff, Mode::from_raw_mode(0o755)).map_err(|e| made(DIFF, e))?;
    let skeleton = SkeletonWriter::new(std::fs::File::from(create(&fd, SKELETON)?))?;
    let unpack = |chunks: Chunks| -> Result<(Unpacked, Vec<Replaced>)> {
        let (skeleton, unpacked, replaced) =
            unpack_recorded(chunks, diff.as_fd(), Some(graveyard.as_fd()), limits, skeleton)?;
        skeleton.finish()?;
        Ok((unpacked, replaced))
    };
    let (diff_id, blob, (unpacked, replaced)) = run(feed, unpack)?;
    if replaced.is_empty() {
        rustix::fs::unlinkat(&fd, REPLACED, AtFlags::REMOVEDIR).map_err(|e| made(REPLACED, e))?;
    } else {
        write_json(&fd, REPLACED_LIST, &replaced)?;
    }
    let meta = LayerMeta {
        diff_id,
        size: unpacked.size,
        tar_size: unpacked.tar_size,
        entries: unpacked.entries,
        highest: unpacked.highest,
        skipped_xattrs: unpacked.skipped_xattrs,
    };
    write_json(&fd, META, &meta)?;
    Ok(Streamed { diff_id, blob })
}

/// Hashes what `feed` sends, and gives it to `unpack` as well. `feed` gives the digest of the bytes as they came, if that
/// is another one, and their number.
fn run<T: Send>(
    feed: impl FnOnce(&[Sender<Message>]) -> Result<(Option<Digest>, u64), Stopped>,
    unpack: impl FnOnce(Chunks) -> Result<T> + Send,
) -> Result<(Digest, (Digest, u64), T)> {
    thread::scope(|scope| {
        let (to_hasher, from_reader) = channel();
        let hasher = scope.spawn(move || hash(from_reader));
        let (to_unpacker, from_reader) = channel();
        let unpacker = scope.spawn(move || unpack(Chunks { from_reader, chunk: None, at: 0, ended: false }));
        let sinks = [to_hasher, to_unpacker];
        let read = feed(&sinks);
        if read.is_ok() {
            for sink in &sinks {
                // A thread that is gone tells why when it is joined.
                let _ = sink.send(Message::End);
            }
        }
        drop(sinks);
        let panicked = || ImageError::Tar("unpacking it stopped unexpectedly".to_owned());
        let unpacked = unpacker.join().map_err(|_| panicked())?;
        let diff_id = hasher.join().map_err(|_| panicked())?;
        // An error of the reader also stops the unpacker, and is the cause.
        let (blob, count) = match read {
            Err(Stopped::Failed(error)) => return Err(error),
            Err(Stopped::ByUnpacker) => return Err(unpacked.err().unwrap_or_else(panicked)),
            Ok(read) => read,
        };
        Ok((diff_id, (blob.unwrap_or(diff_id), count), unpacked?))
    })
}

/// Why reading ended early.
enum Stopped {
    Failed(ImageError),
    ByUnpacker,
}

fn pump_compressed(
    source: impl Read,
    compression: Compression,
    sinks: &[Sender<Message>],
) -> Result<(Option<Digest>, u64), Stopped> {
    let mut compressed = BufReader::with_capacity(BUFFER, HashingReader::new(source));
    let reader = compression.reader(&mut compressed).map_err(Stopped::Failed)?;
    pump(reader, sinks).map_err(|stopped| match stopped {
        Stopped::Failed(ImageError::Io { source, .. }) => {
            Stopped::Failed(ImageError::Decompress { what: "a layer".to_owned(), why: source.to_string() })
        }
        other => other,
    })?;
    // The digest is of all bytes, those behind the compressed stream included.
    io::copy(&mut compressed, &mut io::sink())
        .map_err(|e| Stopped::Failed(ImageError::io("read the archive", e)))?;
    let (digest, count) = compressed.into_inner().finish();
    Ok((Some(digest), count))
}

/// Fills buffers and sends them to all sinks; gives the count of bytes.
fn pump(mut source: impl Read, sinks: &[Sender<Message>]) -> Result<u64, Stopped> {
    let (free, freed) = channel::<Box<[u8]>>();
    let mut made = 0;
    let mut count = 0;
    loop {
        let mut bytes = match freed.try_recv() {
            Ok(bytes) => bytes,
            Err(_) if made < BUFFERS => {
                made += 1;
                vec![0; BUFFER].into_boxed_slice()
            }
            // `free` lives here too, so this waits and never fails.
            Err(_) => freed.recv().map_err(|_| Stopped::ByUnpacker)?,
        };
        let mut length = 0;
        while let Some(space) = bytes.get_mut(length..).filter(|space| !space.is_empty()) {
            match source.read(space) {
                Ok(0) => break,
                Ok(n) => length += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Stopped::Failed(ImageError::io("read the archive", error))),
            }
        }
        if length == 0 {
            return Ok(count);
        }
        count += length as u64;
        let chunk = Arc::new(Chunk { bytes, length, free: free.clone() });
        for sink in sinks {
            sink.send(Message::Data(Arc::clone(&chunk))).map_err(|_| Stopped::ByUnpacker)?;
        }
    }
}

/// Where a tar is written to: buffers that go round, as [`pump`] has them.
struct Filler<'a> {
    sinks: &'a [Sender<Message>],
    free: Sender<Box<[u8]>>,
    freed: Receiver<Box<[u8]>>,
    made: usize,
    /// The one that is being filled, and how far.
    bytes: Option<Box<[u8]>>,
    length: usize,
    count: u64,
    /// Whether a thread that takes them is gone.
    stopped: bool,
}

impl<'a> Filler<'a> {
    fn new(sinks: &'a [Sender<Message>]) -> Filler<'a> {
        let (free, freed) = channel();
        Filler { sinks, free, freed, made: 0, bytes: None, length: 0, count: 0, stopped: false }
    }

    /// Sends what there is.
    fn pass_on(&mut self) -> io::Result<()> {
        let Some(bytes) = self.bytes.take().filter(|_| self.length > 0) else { return Ok(()) };
        let length = std::mem::take(&mut self.length);
        self.count += length as u64;
        let chunk = Arc::new(Chunk { bytes, length, free: self.free.clone() });
        for sink in self.sinks {
            if sink.send(Message::Data(Arc::clone(&chunk))).is_err() {
                self.stopped = true;
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(())
    }
}

impl io::Write for Filler<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let bytes = match &mut self.bytes {
            Some(bytes) => bytes,
            none => none.insert(match self.freed.try_recv() {
                Ok(bytes) => bytes,
                Err(_) if self.made < BUFFERS => {
                    self.made += 1;
                    vec![0; BUFFER].into_boxed_slice()
                }
                // `free` lives here too, so this waits and never fails.
                Err(_) => self.freed.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?,
            }),
        };
        let space = bytes.get_mut(self.length..).unwrap_or_default();
        let n = space.len().min(from.len());
        if let (Some(to), Some(from)) = (space.get_mut(..n), from.get(..n)) {
            to.copy_from_slice(from);
        }
        self.length += n;
        if self.length == bytes.len() {
            self.pass_on()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Message {
    Data(Arc<Chunk>),
    /// All was read; without it the reader failed.
    End,
}

/// A filled buffer, which goes back to the reader when it is dropped.
struct Chunk {
    bytes: Box<[u8]>,
    length: usize,
    free: Sender<Box<[u8]>>,
}

impl Chunk {
    fn filled(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // The reader may be done already.
        let _ = self.free.send(std::mem::take(&mut self.bytes));
    }
}

fn hash(from_reader: Receiver<Message>) -> Digest {
    let mut hasher = Hasher::default();
    while let Ok(Message::Data(chunk)) = from_reader.recv() {
        hasher.update(chunk.filled());
    }
    hasher.finish()
}

/// The unpacker's end: the stream as a reader that lends the buffers themselves.
struct Chunks {
    from_reader: Receiver<Message>,
    chunk: Option<Arc<Chunk>>,
    at: usize,
    ended: bool,
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while !self.ended && self.chunk.as_ref().is_none_or(|chunk| self.at >= chunk.length) {
            // Given back before the wait for the next: the reader may need it.
            self.chunk = None;
            self.at = 0;
            match self.from_reader.recv() {
                Ok(Message::Data(chunk)) => self.chunk = Some(chunk),
                Ok(Message::End) => self.ended = true,
                Err(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(self.chunk.as_ref().and_then(|chunk| chunk.filled().get(self.at..)).unwrap_or_default())
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

fn create(folder: &OwnedFd, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600))
        .map_err(|e| ImageError::io(format!("make {name} of a layer"), e))
}

fn write_json(folder: &OwnedFd, name: &str, value: &impl serde::Serialize) -> Result<()> {
    let mut file = io::BufWriter::new(std::fs::File::from(create(folder, name)?));
    serde_json::to_writer(&mut file, value)
        .map_err(io::Error::from)
        .and_then(|()| io::Write::flush(&mut file))
        .map_err(|e| ImageError::io(format!("write {name} of a layer"), e))
}
