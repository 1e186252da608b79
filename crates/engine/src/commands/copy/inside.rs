//! What the child does in the container. Every path is followed with the container's root as root, and what was found is
//! held by a descriptor: a container that changes its links meanwhile changes nothing about that.

use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_image::pack::{Descriptors, Packer, is_kernel_s};
use bulkhead_image::unpack::{Located, Plain, extract, locate};
use bulkhead_image::{Ids, ImageError};
use bulkhead_isolation::inside::Inside;
use bulkhead_isolation::{Error as Broken, Result as Step};
use bulkhead_sys::channel;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags, fstat, openat2};
use rustix::io::Errno;

use super::{Copied, Given, PathStat, Word};
use crate::error::{Doing, Error, Refusal, Result};

/// Whether a path says that it is a folder's.
pub(super) fn asserts_folder(path: &[u8]) -> bool {
    path.ends_with(b"/") || path.ends_with(b"/.") || path == b"."
}

/// Whether a path means what is in the folder, not the folder.
pub(super) fn means_contents(path: &[u8]) -> bool {
    path.ends_with(b"/.") || path == b"." || path.iter().all(|byte| *byte == b'/')
}

/// The last component of a path; nothing if what is in the folder is meant.
pub(super) fn name_of(path: &[u8]) -> Vec<u8> {
    if means_contents(path) {
        return Vec::new();
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.last().map(|name| name.to_vec()).unwrap_or_default()
}

pub(super) fn tell(inside: &Inside, word: &Word) -> Step<()> {
    let body = serde_json::to_vec(word).unwrap_or_default();
    channel::send(&inside.socket, &body, &[])
        .map_err(|error| Broken::new("tell", format!("cannot tell how a copy went: {error}")))
}

fn missing(path: &[u8], container: &str) -> Error {
    let path = String::from_utf8_lossy(path);
    Error::Files {
        why: Refusal::Missing,
        message: format!("Could not find the file {path} in container {container}"),
    }
}

/// Whose fault a failure is.
pub(super) fn refusal(error: &Error) -> Refusal {
    match error {
        Error::Files { why, .. } => *why,
        Error::Image(ImageError::Io { source, .. }) if source.kind() == ErrorKind::ReadOnlyFilesystem => {
            Refusal::ReadOnly
        }
        // Names that lead nowhere, owners that nobody has here, and what the container's root may not do.
        Error::Image(ImageError::Io { source, .. }) | Error::System { source, .. } => {
            match Errno::from_io_error(source) {
                Some(
                    Errno::NOENT
                    | Errno::NOTDIR
                    | Errno::LOOP
                    | Errno::NAMETOOLONG
                    | Errno::INVAL
                    | Errno::PERM
                    | Errno::ACCESS,
                ) => Refusal::Senseless,
                _ => Refusal::Broken,
            }
        }
        Error::Image(ImageError::NoSpace { .. }) => Refusal::Broken,
        _ => Refusal::Senseless,
    }
}

/// Opens `path` for looking only.
fn look(inside: &Inside, path: &[u8], follow: bool) -> std::result::Result<OwnedFd, Errno> {
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    let path: &[u8] = if path.is_empty() { b"/" } else { path };
    for _ in 0..128 {
        match openat2(
            &inside.root,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        ) {
            // The kernel could not prove that a rename elsewhere did not take it out: ask again.
            Err(Errno::AGAIN | Errno::INTR) => {}
            found => return found,
        }
    }
    Err(Errno::AGAIN)
}

/// Finds what is at `path`, and what there is to say about it.
fn find(inside: &Inside, path: &[u8], container: &str, follow: bool) -> Result<(OwnedFd, PathStat)> {
    let shown = || String::from_utf8_lossy(path).into_owned();
    let file = match look(inside, path, follow || asserts_folder(path)) {
        Ok(file) if is_kernel_s(file.as_fd()) => return Err(missing(path, container)),
        Ok(file) => file,
        Err(Errno::NOTDIR) if asserts_folder(path) => return Err(Error::Invalid("not a directory".into())),
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(missing(path, container)),
        Err(error) => return Err(error).doing(|| format!("find {} in container {container}", shown())),
    };
    let stat = fstat(&file).doing(|| format!("look at {}", shown()))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if asserts_folder(path) && kind != FileType::Directory {
        return Err(Error::Invalid("not a directory".into()));
    }
    let target = match kind {
        FileType::Symlink => Some(target(inside, path, &file).doing(|| format!("follow {}", shown()))?),
        _ => None,
    };
    let modified = (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0));
    Ok((file, PathStat { mode: stat.st_mode, size: stat.st_size, modified, target }))
}

/// Where a link leads, with the container's root as root; what it says itself if nobody could get there.
fn target(inside: &Inside, path: &[u8], link: &OwnedFd) -> std::result::Result<Vec<u8>, Errno> {
    if let Ok(there) = locate(&inside.root, path) {
        return Ok([b"/", there.path().as_slice()].concat());
    }
    let says = rustix::fs::readlinkat(link, c"", Vec::new())?.into_bytes();
    Ok(if says.starts_with(b"/") { says } else { [folder_of(path), b"/", &says].concat() })
}

/// Tells what is at `path`; a link itself, unless the path says that it is a folder's.
pub(super) fn stat(inside: &Inside, path: &[u8], container: &str) -> Result<Copied> {
    let (_, found) = find(inside, path, container, false)?;
    tell(inside, &Word::Found(found))?;
    Ok(Copied::default())
}

/// Writes what is at `path` to `out`, under the name that the other side chooses.
pub(super) fn read(
    inside: &Inside,
    path: &[u8],
    container: &str,
    follow: bool,
    out: BorrowedFd<'_>,
) -> Result<Copied> {
    let (file, found) = find(inside, path, container, follow)?;
    tell(inside, &Word::Found(found))?;
    let Some(answer) = channel::receive(&inside.socket).doing(|| "hear under which name to write")? else {
        return Err(Error::Conflict("the copy was given up".into()));
    };
    let name = answer.body.strip_prefix(b"n").unwrap_or_default();
    let out = File::from(out.try_clone_to_owned().doing(|| "write the archive")?);
    let descriptors = own_descriptors(inside)?;
    let ids = Ids { user: &Some, group: &Some };
    let mut packer = Packer::new(BufWriter::with_capacity(256 * 1024, out), ids, &descriptors);
    packer
        .tree(file.as_fd(), name, &|_| false)
        .doing(|| format!("copy {} of container {container}", String::from_utf8_lossy(path)))?;
    let bytes = packer.written();
    let (_, warnings) = packer.finish().doing(|| "write the archive")?;
    Ok(Copied { bytes, warnings })
}

fn own_descriptors(inside: &Inside) -> Result<Descriptors> {
    Ok(Descriptors::of(inside.descriptors.try_clone().doing(|| "keep /proc/self/fd")?))
}

/// Puts the files of the tar `input` to `path`, as `how` says. `given` is what it holds, unless that is anything.
pub(super) fn write(
    inside: &Inside,
    path: &[u8],
    container: &str,
    given: Option<&Given>,
    how: Plain,
    input: BorrowedFd<'_>,
) -> Result<Copied> {
    let there = place(inside, path, folder_of(path), container)?;
    let (base, name) = decide(&there, path, container, given)?;
    fill(inside, (base, name), path, container, how, input)
}

/// Unpacks the tar `input` into the folder `path`, as `how` says.
pub(super) fn unpack_into(
    inside: &Inside,
    path: &[u8],
    container: &str,
    how: Plain,
    input: BorrowedFd<'_>,
) -> Result<Copied> {
    let there = place(inside, path, path, container)?;
    match there.stat {
        None => Err(missing(path, container)),
        Some(_) if !there.is_folder() => Err(Error::Invalid("extraction point is not a directory".into())),
        Some(_) => fill(inside, (there.path(), Vec::new()), path, container, how, input),
    }
}

/// Where `path` leads; `absent` is what is said to be missing if it cannot be followed.
fn place(inside: &Inside, path: &[u8], absent: &[u8], container: &str) -> Result<Located> {
    locate(&inside.root, path).map_err(|error| match error {
        ImageError::Io { source, .. } if source.kind() == ErrorKind::NotFound => missing(absent, container),
        error => error.into(),
    })
}

/// Fills the folder `base`, from which no link leads any more; the other side hears under which name.
fn fill(
    inside: &Inside,
    (base, name): (Vec<u8>, Vec<u8>),
    path: &[u8],
    container: &str,
    how: Plain,
    input: BorrowedFd<'_>,
) -> Result<Copied> {
    let target: &[u8] = if base.is_empty() { b"/" } else { &base };
    let folder = look(inside, target, false).doing(|| format!("open {}", String::from_utf8_lossy(target)))?;
    if is_kernel_s(folder.as_fd()) {
        return Err(missing(path, container));
    }
    refuse_readonly(inside, &folder)?;
    tell(inside, &Word::Ready { name })?;
    let input = File::from(input.try_clone_to_owned().doing(|| "read the archive")?);
    let unpacked = extract(input, &inside.root, &Plain { base, ..how })?;
    let mut warnings = Vec::new();
    if unpacked.skipped_xattrs > 0 {
        warnings.push(format!(
            "{} extended attributes could not be kept: they mean nothing in a container, or its file system has none",
            unpacked.skipped_xattrs
        ));
    }
    Ok(Copied { bytes: unpacked.tar_size, warnings })
}

/// The folder that things go to, and the name that they get there: Docker's rules.
fn decide(
    there: &Located,
    path: &[u8],
    container: &str,
    given: Option<&Given>,
) -> Result<(Vec<u8>, Vec<u8>)> {
    let shown = format!("{container}:{}", String::from_utf8_lossy(path));
    let Some(given) = given else {
        if !there.is_folder() {
            return Err(Error::Invalid(format!("destination \"{shown}\" must be a directory")));
        }
        return Ok((there.path(), Vec::new()));
    };
    if there.stat.is_some() && !there.is_folder() && !there.is(FileType::RegularFile) {
        return Err(Error::Invalid(format!("destination \"{shown}\" must be a directory or a regular file")));
    }
    super::local::rule(there.stat.is_some(), there.is_folder(), asserts_folder(path), given).map(|here| {
        match here {
            super::local::Arrives::In => (there.path(), given.name.clone()),
            super::local::Arrives::As => (there.folder.clone(), there.name.clone()),
        }
    })
}

fn folder_of(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) if at > 0 => path.get(..at).unwrap_or(path),
        _ => b"/",
    }
}

/// Says which of the two it is that nothing can be written to.
fn refuse_readonly(inside: &Inside, folder: &OwnedFd) -> Result<()> {
    let doing = || "look at the destination's file system";
    if !rustix::fs::fstatvfs(folder).doing(doing)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    let same = fstat(folder).doing(doing)?.st_dev == fstat(&inside.root).doing(doing)?.st_dev;
    let what = if same { "container rootfs" } else { "mounted volume" };
    Err(Error::Files { why: Refusal::ReadOnly, message: format!("{what} is marked read-only") })
}
