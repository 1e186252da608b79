//! The machine's accounts, as far as ranges of IDs need them: who has which ID, and which ranges are set
//! aside for whom.
//!
//! passwd(5), group(5), login.defs(5), subuid(5) and subgid(5) are read here rather than asked of the C
//! library: a static executable has no name service switch, and ranges must be kept off every ID that the
//! files name. Account files are read as the C library reads them, passing over what it cannot understand
//! (they are other people's, and NIS has lines of its own in them); range files strictly, since a range that
//! was overlooked would be given away twice.
//!
//! | file | holds |
//! |---|---|
//! | [`range`] | a range of IDs |
//! | [`lines`] | the files' formats, without the files |
//! | [`lock`] | the lock that everybody who edits accounts takes |
//! | [`replace`] | one file replaced by another, whole or not at all |
//! | [`edit`] | several files changed together, or none |
//! | [`subordinate`] | the range files |
//! | [`system_user`] | an account for a service |
//! | [`remap`] | what `userns-remap` names |

mod edit;
mod lines;
mod lock;
mod range;
pub(crate) mod remap;
mod replace;
mod subordinate;
mod system_user;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

pub(crate) use range::Range;
pub(crate) use subordinate::Subordinate;

use crate::error::{Doing, Result};

/// A folder with the account files: /etc, or another one for tests and nested roots. It is trusted: nobody
/// but the administrator may be able to write in it, and symbolic links in it are followed.
#[derive(Clone, Debug)]
pub(crate) struct Etc(PathBuf);

/// Which of the two kinds of IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// User IDs.
    Users,
    /// Group IDs.
    Groups,
}

/// A user of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The login name.
    pub(crate) name: String,
    /// The user ID.
    pub(crate) uid: u32,
    /// The ID of the primary group.
    pub(crate) gid: u32,
}

impl Etc {
    /// The machine's own: /etc.
    pub(crate) fn system() -> Etc {
        Etc::at("/etc")
    }

    /// Another folder.
    pub(crate) fn at(folder: impl Into<PathBuf>) -> Etc {
        Etc(folder.into())
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// The IDs of people, as login.defs(5) has them: UID_MIN to UID_MAX or GID_MIN to GID_MAX, 1000 to 60000
    /// where it does not say so, or cannot be read, or says what makes no sense (a first ID of 0, too).
    pub(crate) fn people(&self, kind: Kind) -> RangeInclusive<u32> {
        let (min, max) = match kind {
            Kind::Users => ("UID_MIN", "UID_MAX"),
            Kind::Groups => ("GID_MIN", "GID_MAX"),
        };
        lines::setting_range(&self.login_defs(), min, max, 1000..=60000)
    }

    /// Where the IDs end that useradd(8) gives ranges to people from: SUB_UID_MAX or SUB_GID_MAX, the higher of them.
    pub(crate) fn people_s_ranges_end(&self) -> u32 {
        let defs = self.login_defs();
        let end = |min, max| *lines::setting_range(&defs, min, max, 100_000..=600_100_000).end();
        end("SUB_UID_MIN", "SUB_UID_MAX").max(end("SUB_GID_MIN", "SUB_GID_MAX"))
    }

    /// Every user, in the file's order.
    ///
    /// # Errors
    /// passwd is there and cannot be read.
    pub(crate) fn users(&self) -> Result<Vec<Account>> {
        let passwd = self.contents("passwd")?;
        Ok(lines::rows(&passwd).filter_map(|row| row.account()).collect())
    }

    /// The IDs of services: SYS_UID_MIN to SYS_UID_MAX or SYS_GID_MIN to SYS_GID_MAX, by default 100 to the
    /// ID before the first one of people.
    pub(crate) fn services(&self, kind: Kind) -> RangeInclusive<u32> {
        let (min, max) = match kind {
            Kind::Users => ("SYS_UID_MIN", "SYS_UID_MAX"),
            Kind::Groups => ("SYS_GID_MIN", "SYS_GID_MAX"),
        };
        let before_people = self.people(kind).start().saturating_sub(1);
        let default = 100..=if before_people < 100 { 999 } else { before_people };
        lines::setting_range(&self.login_defs(), min, max, default)
    }

    /// The user of that name; of that ID, if it is written in digits only (no login name is).
    ///
    /// # Errors
    /// passwd is there and cannot be read.
    pub(crate) fn user(&self, name_or_uid: &str) -> Result<Option<Account>> {
        if is_number(name_or_uid) {
            return match lines::number(name_or_uid.as_bytes()) {
                Some(uid) => self.user_of(uid),
                None => Ok(None),
            };
        }
        self.first_user(|row| row.name == name_or_uid.as_bytes())
    }

    /// The first user who has that ID.
    ///
    /// # Errors
    /// passwd is there and cannot be read.
    pub(crate) fn user_of(&self, uid: u32) -> Result<Option<Account>> {
        self.first_user(|row| row.id == Some(uid))
    }

    fn first_user(&self, wanted: impl Fn(&lines::Row<'_>) -> bool) -> Result<Option<Account>> {
        let passwd = self.contents("passwd")?;
        Ok(lines::rows(&passwd).filter(|row| wanted(row)).find_map(|row| row.account()))
    }

    /// The group of that name, or of that ID if it is written in digits only: its name and ID.
    ///
    /// # Errors
    /// group is there and cannot be read.
    pub(crate) fn group(&self, name_or_gid: &str) -> Result<Option<(String, u32)>> {
        let group = self.contents("group")?;
        let by_number = is_number(name_or_gid);
        let gid = lines::number(name_or_gid.as_bytes());
        if by_number && gid.is_none() {
            return Ok(None);
        }
        Ok(lines::rows(&group)
            .filter(|row| if by_number { row.id == gid } else { row.name == name_or_gid.as_bytes() })
            .find_map(|row| Some((row.name()?, row.id?))))
    }

    /// Every ID that the account files name, lowest first and each once: users of passwd, or groups of group
    /// and primary groups of passwd. Lines that cannot be understood are passed over.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub(crate) fn ids(&self, kind: Kind) -> Result<Vec<u32>> {
        let passwd = self.contents("passwd")?;
        let found: BTreeSet<u32> = match kind {
            Kind::Users => lines::rows(&passwd).filter_map(|row| row.id).collect(),
            Kind::Groups => {
                let group = self.contents("group")?;
                let groups = lines::rows(&group).filter_map(|row| row.id);
                groups.chain(lines::rows(&passwd).filter_map(|row| row.primary_group)).collect()
            }
        };
        Ok(found.into_iter().collect())
    }

    /// A file of the folder; `None` if it is not there.
    fn read(&self, file: &str) -> Result<Option<Vec<u8>>> {
        let path = self.0.join(file);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing(|| format!("read {}", path.display())),
        }
    }

    /// A file of the folder; nothing if it is not there.
    fn contents(&self, file: &str) -> Result<Vec<u8>> {
        Ok(self.read(file)?.unwrap_or_default())
    }

    /// login.defs, which is never worth failing for: its defaults hold wherever it is not there.
    fn login_defs(&self) -> Vec<u8> {
        self.contents("login.defs").unwrap_or_default()
    }
}

impl Kind {
    /// The file with the ranges.
    fn range_file(self) -> &'static str {
        match self {
            Kind::Users => "subuid",
            Kind::Groups => "subgid",
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit())
}
