//! The machine's side of `cp`, and the rule that both sides follow.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use bulkhead_image::pack::{Descriptors, Packer};
use bulkhead_image::unpack::{Plain, extract as unpack};
use bulkhead_image::{Ids, ImageError};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use super::Given;
use super::inside::{asserts_folder, name_of};
use crate::error::{Doing, Error, Result};

/// Where a source goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrives {
    /// Into the destination, under its own name.
    In,
    /// As the destination itself.
    As,
}

/// Docker's table: by what is at the destination, and by what the source is.
pub(super) fn rule(exists: bool, is_folder: bool, asserted: bool, given: &Given) -> Result<Arrives> {
    let refused = |why: &str| Err(Error::Invalid(why.into()));
    match (exists, is_folder) {
        (true, true) => Ok(Arrives::In),
        (true, false) if asserted => refused("not a directory"),
        (true, false) if given.folder => refused("cannot copy directory"),
        (true, false) => Ok(Arrives::As),
        (false, _) if asserted && !given.folder => refused("no such directory"),
        (false, _) => Ok(Arrives::As),
    }
}

/// The user who copies.
pub(super) fn caller() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// Whether something failed because the other side had stopped reading.
pub(super) fn is_broken_pipe(error: &Error) -> bool {
    let broken = |source: &std::io::Error| source.kind() == ErrorKind::BrokenPipe;
    match error {
        Error::System { source, .. } | Error::Image(ImageError::Io { source, .. }) => broken(source),
        // The child's own words about it.
        Error::Files { message, .. } => message.contains("Broken pipe"),
        _ => false,
    }
}

/// Where something is copied to.
#[derive(Debug)]
pub(super) struct Destination {
    path: PathBuf,
    asserted: bool,
    exists: bool,
    is_folder: bool,
}

impl Destination {
    pub(super) fn look(path: &[u8]) -> Result<Destination> {
        let asserted = asserts_folder(path);
        let mut path = PathBuf::from(OsStr::from_bytes(path));
        let clean: PathBuf = path.components().collect();
        let parent = clean.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent.filter(|parent| !parent.exists()) {
            return Err(Error::Invalid(format!(
                "invalid output path: directory {:?} does not exist",
                parent.display().to_string()
            )));
        }
        let found = std::fs::metadata(&clean);
        let is_folder = found.as_ref().is_ok_and(std::fs::Metadata::is_dir);
        if found.as_ref().is_ok_and(|found| !found.is_dir() && !found.is_file()) {
            return Err(Error::Invalid(format!(
                "invalid output path: {:?} must be a directory or a regular file",
                path.display().to_string()
            )));
        }
        // A link at the end is followed, wherever it leads.
        match (&found, std::fs::canonicalize(&clean)) {
            (Ok(_), Ok(real)) => path = real,
            _ => path = clean,
        }
        Ok(Destination { path, asserted, exists: found.is_ok(), is_folder })
    }

    /// The folder that it goes to, and the name that it gets there; an empty one: what is in it goes there.
    pub(super) fn takes(&self, given: &Given) -> Result<(PathBuf, Vec<u8>)> {
        match rule(self.exists, self.is_folder, self.asserted, given)? {
            Arrives::In => Ok((self.path.clone(), given.name.clone())),
            Arrives::As => {
                let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let name = self.path.file_name().unwrap_or_default().to_owned();
                Ok((parent.unwrap_or(Path::new(".")).to_owned(), name.into_vec()))
            }
        }
    }
}

/// Puts the files of a tar into a folder of the machine.
pub(super) fn extract(tar: &mut OwnedFd, folder: &Path, owner: Option<(u32, u32)>) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, folder, flags, Mode::empty()).doing(|| format!("open {}", folder.display()))?;
    let tar = File::from(tar.try_clone().doing(|| "read the archive")?);
    // Modes are those that the files had.
    let before = rustix::process::umask(Mode::empty());
    let done = unpack(tar, &root, &Plain { owner, ..Plain::default() });
    rustix::process::umask(before);
    done.map(drop).map_err(|error| match error {
        // Paths in it count from the folder.
        ImageError::Conflict(message) => {
            Error::Invalid(message.replacen("\"/", &format!("\"{}/", folder.display()), 1))
        }
        error => error.into(),
    })
}

/// What is copied into a container.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) given: Given,
    file: OwnedFd,
    shown: String,
}

impl Source {
    pub(super) fn open(path: &[u8], follow: bool) -> Result<Source> {
        let shown = String::from_utf8_lossy(path).into_owned();
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        if !(follow || asserts_folder(path)) {
            flags |= OFlags::NOFOLLOW;
        }
        let file = openat(CWD, path, flags, Mode::empty()).map_err(|error| {
            let why = bulkhead_isolation::describe(&error.into());
            Error::Invalid(format!("lstat {shown}: {why}"))
        })?;
        let stat = fstat(&file).doing(|| format!("look at {shown}"))?;
        let folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if asserts_folder(path) && !folder {
            return Err(Error::Invalid("not a directory".into()));
        }
        let mut name = name_of(path);
        if name.is_empty() && !super::inside::means_contents(path) {
            // `..`, say: its real name.
            let real = std::fs::canonicalize(OsStr::from_bytes(path)).doing(|| format!("look at {shown}"))?;
            name = real.file_name().map(|name| name.as_bytes().to_vec()).unwrap_or_default();
        }
        Ok(Source { given: Given { folder, name }, file, shown })
    }

    /// Writes it as a tar, under that name. Gives what is to be said about it.
    pub(super) fn pack(self, out: OwnedFd, name: &[u8]) -> Result<Vec<String>> {
        let doing = || format!("copy {}", self.shown);
        let descriptors = Descriptors::open().doing(doing)?;
        let ids = Ids { user: &Some, group: &Some };
        let mut packer =
            Packer::new(BufWriter::with_capacity(256 * 1024, File::from(out)), ids, &descriptors);
        packer.tree(self.file.as_fd(), name, &|_| false).doing(doing)?;
        Ok(packer.finish().doing(doing)?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrives, Given, rule};

    #[test]
    fn docker_s_table() {
        let file = Given { folder: false, name: b"f".to_vec() };
        let folder = Given { folder: true, name: b"d".to_vec() };
        let contents = Given { folder: true, name: Vec::new() };
        let words = |exists, is_folder, asserted, given: &Given| {
            rule(exists, is_folder, asserted, given).map_err(|error| error.to_string())
        };
        for given in [&file, &folder, &contents] {
            assert_eq!(words(true, true, true, given), Ok(Arrives::In));
        }
        assert_eq!(words(true, false, false, &file), Ok(Arrives::As));
        assert_eq!(words(true, false, false, &folder), Err("cannot copy directory".into()));
        assert_eq!(words(true, false, true, &file), Err("not a directory".into()));
        assert_eq!(words(false, false, true, &file), Err("no such directory".into()));
        assert_eq!(words(false, false, false, &file), Ok(Arrives::As));
        assert_eq!(words(false, false, true, &contents), Ok(Arrives::As));
    }
}
