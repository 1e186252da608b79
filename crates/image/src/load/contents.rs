//! What an archive contains, by name, after one pass over it.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

use super::{Progress, stream};
use crate::compression::Compression;
use crate::store::Work;
use crate::tar::{BLOCK, Kind, NoTap, TarReader};
use crate::{Digest, HashingReader, ImageError, Limits, Result, Store};

/// All JSON documents of an archive together; they are kept in memory.
const MAX_JSON_TOTAL: u64 = 16 << 20;
/// Links followed from one name in the archive to the next.
const MAX_LINKS: usize = 16;
/// The most layers and documents of an archive.
const MAX_ENTRIES: usize = 20_000;
/// All names and links of an archive together; they are kept in memory.
const MAX_NAMES: usize = 2 << 20;

/// A layer of the archive that was unpacked, or that the store has.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Its name in the archive.
    pub(super) name: String,
    pub(super) diff_id: Digest,
    /// Where it is in the work folder; `None` if it is in the store already.
    pub(super) folder: Option<String>,
    pub(super) compression: Compression,
    /// The digest and the length of the bytes in the archive.
    pub(super) blob: (Digest, u64),
}

enum Item {
    Layer(Layer),
    Document(Vec<u8>),
    Link(String),
    /// It looked like a layer; why it is none matters only if something names it.
    Broken(ImageError),
    /// Neither a layer nor small enough for a document.
    Unknown,
}

/// An archive's contents.
#[derive(Default)]
pub(super) struct Contents {
    items: HashMap<String, Item>,
}

impl Contents {
    pub(super) fn has(&self, name: &str) -> bool {
        self.items.contains_key(name)
    }

    /// A JSON document by its name.
    pub(super) fn document(&mut self, name: &str) -> Result<Vec<u8>> {
        let name = self.resolve(name)?;
        let bytes = match self.items.get(&name) {
            Some(Item::Document(bytes)) => bytes.clone(),
            Some(_) => {
                return Err(ImageError::Archive(format!(
                    "\"{name}\" should be a JSON document of at most 4 MiB"
                )));
            }
            None => return Err(missing(&name)),
        };
        check_name(&name, Digest::of(&bytes))?;
        Ok(bytes)
    }

    /// A layer by its name.
    pub(super) fn layer(&mut self, name: &str) -> Result<Layer> {
        let name = self.resolve(name)?;
        let layer = match self.items.get(&name) {
            Some(Item::Layer(layer)) => layer.clone(),
            Some(Item::Broken(_)) => match self.items.remove(&name) {
                Some(Item::Broken(error)) => return Err(error),
                _ => return Err(missing(&name)),
            },
            Some(_) => {
                return Err(ImageError::Archive(format!("\"{name}\" should be a layer, and is no tar")));
            }
            None => return Err(missing(&name)),
        };
        check_name(&name, layer.blob.0)?;
        Ok(layer)
    }

    /// Follows links within the archive.
    fn resolve(&self, name: &str) -> Result<String> {
        let mut name = clean(name.as_bytes()).ok_or_else(|| missing(name))?;
        for _ in 0..MAX_LINKS {
            match self.items.get(&name) {
                Some(Item::Link(target)) => name = target.clone(),
                _ => return Ok(name),
            }
        }
        Err(ImageError::Archive(format!("\"{name}\" is a loop of links")))
    }
}

fn missing(name: &str) -> ImageError {
    ImageError::Archive(format!("it names \"{name}\" and doesn't contain it"))
}

/// What is called by a digest must be that content.
fn check_name(name: &str, found: Digest) -> Result<()> {
    match name.strip_prefix("blobs/sha256/").map(Digest::from_hex) {
        Some(Ok(expected)) if expected != found => {
            Err(ImageError::DigestMismatch { what: format!("\"{name}\" in the archive"), expected, found })
        }
        Some(Err(error)) => Err(error),
        _ => Ok(()),
    }
}

/// Reads an archive to its end.
pub(super) fn read(
    store: &Store,
    work: &Work,
    mut archive: impl BufRead,
    limits: &Limits,
    progress: &mut dyn FnMut(Progress),
) -> Result<Contents> {
    let head = archive.fill_buf().map_err(|e| ImageError::io("read the archive", e))?;
    if head.is_empty() {
        return Err(ImageError::Archive("it is empty".to_owned()));
    }
    let compression = Compression::sniff(head)?;
    let outcome = match compression {
        Compression::None => pass(store, work, archive, limits, progress),
        _ => {
            let plain = io::BufReader::with_capacity(stream::BUFFER, compression.reader(archive)?);
            pass(store, work, plain, limits, progress)
        }
    };
    outcome.map_err(|error| match error {
        ImageError::Io { source, .. } if compression != Compression::None => {
            ImageError::Decompress { what: "the archive".to_owned(), why: source.to_string() }
        }
        other => other,
    })
}

fn pass(
    store: &Store,
    work: &Work,
    archive: impl BufRead,
    limits: &Limits,
    progress: &mut dyn FnMut(Progress),
) -> Result<Contents> {
    let mut tar = TarReader::new(archive, NoTap, u64::MAX);
    let mut contents = Contents::default();
    let mut json_left = MAX_JSON_TOTAL;
    let mut names = 0;
    while let Some(entry) = tar.next()? {
        names += entry.name.len() + entry.link.len();
        if names > MAX_NAMES || contents.items.len() >= MAX_ENTRIES {
            return Err(ImageError::Limit(format!(
                "more than {MAX_ENTRIES} entries, or {MAX_NAMES} bytes of names, in an image archive"
            )));
        }
        let Some(name) = clean(&entry.name) else {
            return Err(ImageError::entry(&entry.name, "it points out of the archive"));
        };
        let item = match entry.kind {
            Kind::File if entry.sparse.is_some() => {
                return Err(ImageError::entry(&entry.name, "image archives don't hold sparse files"));
            }
            Kind::File if is_ignored(&name) => continue,
            Kind::File => {
                let source = EntryReader { tar: &mut tar, name: &name, total: entry.size, read: 0, progress };
                file(store, work, source, contents.items.len(), limits, &mut json_left)?
            }
            Kind::Symlink => {
                let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
                let target = [parent.as_bytes(), b"/", &entry.link].concat();
                match clean(&target).filter(|_| !entry.link.starts_with(b"/")) {
                    Some(target) => Item::Link(target),
                    None => return Err(ImageError::entry(&entry.name, "a link out of the archive")),
                }
            }
            Kind::HardLink => match clean(&entry.link) {
                Some(target) => Item::Link(target),
                None => return Err(ImageError::entry(&entry.name, "a link out of the archive")),
            },
            Kind::Directory => continue,
            _ => {
                return Err(ImageError::entry(
                    &entry.name,
                    "image archives hold files, folders and links only",
                ));
            }
        };
        contents.items.insert(name, item);
    }
    Ok(contents)
}

/// Reads one file of the archive, whatever it is.
fn file<R: BufRead>(
    store: &Store,
    work: &Work,
    mut source: EntryReader<'_, R>,
    number: usize,
    limits: &Limits,
    json_left: &mut u64,
) -> Result<Item> {
    let (name, size) = (source.name.to_owned(), source.total);
    let mut head = Vec::with_capacity(BLOCK);
    let broken = |e| ImageError::io(format!("inside of \"{name}\""), e);
    source.by_ref().take(BLOCK as u64).read_to_end(&mut head).map_err(broken)?;
    let compression = match Compression::sniff(&head) {
        Ok(compression) => compression,
        Err(error) => return Ok(Item::Broken(error)),
    };
    if compression == Compression::None && !is_tar(&head) {
        if size > limits.max_json {
            return Ok(Item::Unknown);
        }
        *json_left = json_left.checked_sub(size).ok_or_else(|| {
            ImageError::Limit(format!(
                "the JSON documents of an image archive have more than {MAX_JSON_TOTAL} bytes"
            ))
        })?;
        source.read_to_end(&mut head).map_err(broken)?;
        return Ok(Item::Document(head));
    }
    let mut whole = head.as_slice().chain(source.by_ref());
    // A plain layer under its digest's name that the store has: only the digest must be checked.
    let named = name.strip_prefix("blobs/sha256/").and_then(|hex| Digest::from_hex(hex).ok());
    if let Some(diff_id) = named.filter(|named| compression == Compression::None && store.has_layer(named)) {
        let mut hashing = HashingReader::new(whole);
        io::copy(&mut hashing, &mut io::sink()).map_err(broken)?;
        let blob = hashing.finish();
        return Ok(Item::Layer(Layer { name, diff_id, folder: None, compression, blob }));
    }
    let folder = format!("layer-{number}");
    match stream::layer(&mut whole, compression, work, &folder, limits) {
        Ok(layer) => {
            (source.progress)(Progress::LayerDone { name: name.clone(), diff_id: layer.diff_id });
            let diff_id = layer.diff_id;
            Ok(Item::Layer(Layer { name, diff_id, folder: Some(folder), compression, blob: layer.blob }))
        }
        Err(error) if error.is_fatal() => Err(error),
        Err(error) => Ok(Item::Broken(error)),
    }
}

/// Whether the first block can begin a tar: a header, or the zeros of an empty one.
fn is_tar(head: &[u8]) -> bool {
    let Ok(mut block) = <[u8; BLOCK]>::try_from(head) else { return false };
    if block == [0; BLOCK] {
        return true;
    }
    let stated = block.get(148..156).map(<[u8]>::to_vec).unwrap_or_default();
    if let Some(field) = block.get_mut(148..156) {
        field.fill(b' ');
    }
    let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
    let digits: Vec<u8> = stated.into_iter().filter(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok().and_then(|digits| u64::from_str_radix(digits, 8).ok()) == Some(sum)
}

/// Docker's old per-layer documents, of which nothing is needed.
fn is_ignored(name: &str) -> bool {
    name == "repositories" || name.ends_with("/json") || name.ends_with("/VERSION")
}

/// A name in the archive without `.`, `..` and empty parts; `None` if it points out.
fn clean(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The content of one file of the archive, with progress told as it is read.
struct EntryReader<'a, R> {
    tar: &'a mut TarReader<R, NoTap>,
    name: &'a str,
    total: u64,
    read: u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl<R: BufRead> Read for EntryReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.tar.read(buffer)?;
        let before = self.read;
        self.read += n as u64;
        // Once a MiB is often enough for an eye.
        if before >> 20 != self.read >> 20 || self.read == self.total && self.read > 1 << 20 {
            let name = self.name.to_owned();
            (self.progress)(Progress::Layer { name, current: self.read, total: self.total });
        }
        Ok(n)
    }
}
