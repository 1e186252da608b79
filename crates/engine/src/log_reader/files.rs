//! The files of a log, oldest to youngest: `PATH.N` … `PATH.1`, `PATH`; and which comes after which.
//!
//! Their writer renames them upwards, oldest first, whenever it likes, and makes a new `PATH`. A file is known by its
//! inode, which stays its own while it is open. Names are looked at from the lowest number upwards, so that a file which
//! moves meanwhile is seen twice rather than not at all, and what was concluded is looked at again: if it no longer holds,
//! all begins anew.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// How often a look is repeated because of a rotation in the middle of it.
const ATTEMPTS: usize = 100;

/// A file's device and inode.
type Identity = (u64, u64);

/// A log's files.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
}

impl Files {
    pub(super) fn new(path: PathBuf) -> Files {
        Files { path }
    }

    /// What is being done, for errors.
    pub(super) fn what(&self) -> String {
        format!("read the log {}", self.path.display())
    }

    fn name(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn identity_at(&self, number: u32) -> io::Result<Option<Identity>> {
        match fs::symlink_metadata(self.name(number)) {
            Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a file, if it is still there and still that one.
    fn open(&self, number: u32, identity: Identity) -> io::Result<Option<File>> {
        match File::open(self.name(number)) {
            Ok(file) => Ok(Some(file).filter(|file| identity_of(file).is_ok_and(|own| own == identity))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All files, youngest first.
    fn all(&self) -> io::Result<Vec<(u32, Identity)>> {
        let folder = self.path.parent().unwrap_or(&self.path);
        let mut numbers = vec![0, 1];
        let prefix = format!("{}.", self.path.file_name().unwrap_or_default().to_string_lossy());
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        for entry in entries {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse::<u32>().ok());
            // Where it may be in a moment too.
            numbers.extend(number.iter().flat_map(|number| [*number, number.saturating_add(1)]));
        }
        numbers.sort_unstable();
        numbers.dedup();
        let mut all = Vec::new();
        for number in numbers {
            all.extend(self.identity_at(number)?.map(|identity| (number, identity)));
        }
        Ok(all)
    }

    /// The oldest; `None` if there is none at all.
    pub(super) fn oldest(&self) -> io::Result<Option<File>> {
        self.at_the_end(|all| all.last())
    }

    /// The youngest; `None` if there is none at all.
    pub(super) fn youngest(&self) -> io::Result<Option<File>> {
        self.at_the_end(|all| all.first())
    }

    fn at_the_end(
        &self,
        choose: impl Fn(&[(u32, Identity)]) -> Option<&(u32, Identity)>,
    ) -> io::Result<Option<File>> {
        for _ in 0..ATTEMPTS {
            let all = self.all()?;
            let Some((number, identity)) = choose(&all) else { return Ok(None) };
            if let Some(file) = self.open(*number, *identity)? {
                return Ok(Some(file));
            }
        }
        Err(restless())
    }

    /// The next younger file; `None` if it is the youngest. One that has been removed meanwhile is followed by the oldest
    /// that is left.
    pub(super) fn after(&self, file: &File) -> io::Result<Option<File>> {
        // What is asked at each end of a file that is followed.
        if self.identity_at(0)? == Some(identity_of(file)?) {
            return Ok(None);
        }
        if let Some(next) = self.just_after(file)? {
            return Ok(Some(next));
        }
        match self.beside(file, |at| at.checked_sub(1))? {
            Beside::File(next) => Ok(Some(next)),
            Beside::Nothing => Ok(None),
            Beside::Removed => self.oldest(),
        }
    }

    /// The file one number below, looked for in so few steps that hardly any rotation gets between them. `None`: it takes
    /// a longer look.
    fn just_after(&self, file: &File) -> io::Result<Option<File>> {
        let own = identity_of(file)?;
        let mut number = 1;
        while let Some(identity) = self.identity_at(number)? {
            if identity == own {
                let next = match File::open(self.name(number - 1)) {
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                    next => next?,
                };
                if self.identity_at(number)? == Some(own) {
                    return Ok(Some(next));
                }
                // It has moved on.
            }
            number += 1;
        }
        Ok(None)
    }

    /// The next older file.
    pub(super) fn before(&self, file: &File) -> io::Result<Option<File>> {
        match self.beside(file, |at| at.checked_add(1))? {
            Beside::File(next) => Ok(Some(next)),
            Beside::Nothing | Beside::Removed => Ok(None),
        }
    }

    fn beside(&self, file: &File, next: impl Fn(usize) -> Option<usize>) -> io::Result<Beside> {
        let own = identity_of(file)?;
        let mut missed = 0;
        for _ in 0..ATTEMPTS {
            let all = self.all()?;
            let Some(at) = all.iter().position(|(_, identity)| *identity == own) else {
                missed += 1;
                if missed == 3 {
                    return Ok(Beside::Removed);
                }
                continue;
            };
            let Some((other, identity)) = next(at).and_then(|at| all.get(at)) else {
                return Ok(Beside::Nothing);
            };
            let Some(found) = self.open(*other, *identity)? else { continue };
            let number = all.get(at).map_or(0, |(number, _)| *number);
            let (low, high) = (number.min(*other), number.max(*other));
            let mut between = false;
            for number in low.saturating_add(1)..high {
                between |= self.identity_at(number)?.is_some();
            }
            if !between && self.identity_at(number)? == Some(own) {
                return Ok(Beside::File(found));
            }
        }
        Err(restless())
    }
}

enum Beside {
    File(File),
    Nothing,
    Removed,
}

fn identity_of(file: &File) -> io::Result<Identity> {
    file.metadata().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn restless() -> io::Error {
    io::Error::other("its files are renamed faster than they can be looked at")
}
