//! An account for a service: a user and a group of one name whom nobody can log in as.
//!
//! It is what `useradd --system --user-group` makes, made by ourselves: the tool is not on every machine, and
//! it knows no other /etc. The ID is the highest free one of those for services, as useradd takes it, the
//! same one for both where it can be. The order of the files is such that whoever finds the user finds the
//! rest too.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use super::edit::Change;
use super::lines::{self, Row};
use super::{Account, Etc, Kind, Range};
use crate::error::{Error, Result};

/// A password field that fits no password, and that unlocking (`passwd -u`) does not make an empty one.
const LOCKED: &str = "!*";

/// The user that is wanted, and what is still to be done for it.
struct Planned {
    account: Account,
    changes: Vec<Change>,
}

impl Etc {
    /// The user `name`, made if there is none, with a group of the same name, made likewise. What is there is
    /// taken as it is, unless it is root by another name.
    ///
    /// # Errors
    /// A name that is none for a service, no free ID, a broken entry of that name, the lock, the disk.
    /// Nothing has changed then.
    pub(crate) fn ensure_system_user(&self, name: &str) -> Result<Account> {
        self.edit(|| Ok(self.planned_user(name)?.changes))?;
        self.made_user(name)
    }

    /// [`ensure_system_user`](Self::ensure_system_user) and [`ensure_ranges`](Self::ensure_ranges) in one:
    /// all of it, or nothing.
    ///
    /// # Errors
    /// Those of both.
    pub(crate) fn ensure_system_user_with_ranges(&self, name: &str, count: u32) -> Result<Account> {
        self.edit(|| {
            let Planned { account, mut changes } = self.planned_user(name)?;
            changes.extend(self.missing_ranges(name, Some(&account), count)?);
            Ok(changes)
        })?;
        self.made_user(name)
    }

    fn made_user(&self, name: &str) -> Result<Account> {
        self.user(name)?.ok_or_else(|| {
            Error::Conflict(format!(
                "cannot find the user {name} that was just made in {}: another program took it away; try again",
                self.folder().join("passwd").display(),
            ))
        })
    }

    fn planned_user(&self, name: &str) -> Result<Planned> {
        check_name(name)?;
        let (passwd, group) = (self.read("passwd")?, self.read("group")?);
        let (users, groups) = (passwd.as_deref().unwrap_or_default(), group.as_deref().unwrap_or_default());
        let user = self.only_row("passwd", users, name, |row| Some((row.id?, row.primary_group?)))?;
        let gid = self.only_row("group", groups, name, |row| row.id)?;
        for (file, id) in [("passwd", user.map(|(uid, _)| uid)), ("group", gid)] {
            if id == Some(0) {
                return Err(Error::Invalid(format!(
                    "cannot use {name} as a system user: in {} it has ID 0, root's; remove or rename it",
                    self.folder().join(file).display(),
                )));
            }
        }
        let (new_uid, new_gid) = self.free_ids(name, user.is_none(), gid.is_none())?;
        let mut changes = Vec::new();
        if let Some(gid) = new_gid {
            let password = self.add_hidden(&mut changes, "gshadow", name, &format!("{name}:{LOCKED}::"))?;
            let after = lines::with_account_line(groups, &format!("{name}:{password}:{gid}:"));
            changes.push(Change { file: "group", before: group.clone(), after });
        }
        let (uid, gid) = match (user, new_uid, gid.or(new_gid)) {
            (Some(ids), ..) => ids,
            (None, Some(uid), Some(gid)) => {
                let hidden = format!("{name}:{LOCKED}:{}::::::", days_since_1970());
                let password = self.add_hidden(&mut changes, "shadow", name, &hidden)?;
                let shell = self.no_login();
                let line = format!("{name}:{password}:{uid}:{gid}::/nonexistent:{shell}");
                let after = lines::with_account_line(users, &line);
                changes.push(Change { file: "passwd", before: passwd.clone(), after });
                (uid, gid)
            }
            (None, ..) => return Err(self.no_free_id(name, Kind::Users)),
        };
        Ok(Planned { account: Account { name: name.into(), uid, gid }, changes })
    }

    /// Adds a line to shadow or gshadow if that is used here, and gives what then stands for the password in
    /// passwd or group.
    fn add_hidden(
        &self,
        changes: &mut Vec<Change>,
        file: &'static str,
        name: &str,
        line: &str,
    ) -> Result<&'static str> {
        let Some(before) = self.read(file)? else {
            return Ok("*");
        };
        let found = lines::rows(&before).find(|row| row.name == name.as_bytes());
        let left = found.map(|row| (row.line, is_locked(row.text)));
        match left {
            None => {
                let after = lines::with_account_line(&before, line);
                changes.push(Change { file, before: Some(before), after });
            }
            Some((_, true)) => {}
            Some((line, false)) => {
                return Err(Error::Conflict(format!(
                    "cannot make the user {name}: line {line} of {path} has a password for it from before; remove it",
                    path = self.folder().join(file).display(),
                )));
            }
        }
        Ok("x")
    }

    /// What `read` finds in the row of that name, if there is one.
    fn only_row<T>(
        &self,
        file: &str,
        bytes: &[u8],
        name: &str,
        read: impl Fn(&Row<'_>) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(row) = lines::rows(bytes).find(|row| row.name == name.as_bytes()) else {
            return Ok(None);
        };
        match read(&row) {
            Some(found) => Ok(Some(found)),
            None => Err(Error::Corrupt(format!(
                "cannot understand line {number} of {path}, {text}: its IDs are no numbers from 0 to 4294967294; \
                 correct or remove it",
                number = row.line,
                path = self.folder().join(file).display(),
                text = lines::shown(row.text),
            ))),
        }
    }

    /// A free user ID and a free group ID of those for services, where wanted.
    fn free_ids(&self, name: &str, user: bool, group: bool) -> Result<(Option<u32>, Option<u32>)> {
        let (uids, gids) = (self.taken(Kind::Users)?, self.taken(Kind::Groups)?);
        let (users, groups) = (self.services(Kind::Users), self.services(Kind::Groups));
        if user && group {
            let first = *users.start().max(groups.start());
            let last = *users.end().min(groups.end());
            if let Some(both) = highest_free(first..=last, &[&uids, &gids]) {
                return Ok((Some(both), Some(both)));
            }
        }
        let highest = |wanted: bool, range, taken, kind| match wanted.then(|| highest_free(range, &[taken])) {
            None => Ok(None),
            Some(Some(id)) => Ok(Some(id)),
            Some(None) => Err(self.no_free_id(name, kind)),
        };
        Ok((highest(user, users, &uids, Kind::Users)?, highest(group, groups, &gids, Kind::Groups)?))
    }

    /// The IDs that are somebody's, in somebody's range, or that ranges are written down for: whoever came to
    /// have such an ID would have the ranges too. A broken line of ranges is no concern here.
    fn taken(&self, kind: Kind) -> Result<Vec<Range>> {
        let mut taken: Vec<_> = self.ids(kind)?.into_iter().map(one).collect();
        for file in [Kind::Users, Kind::Groups] {
            let contents = self.contents(file.range_file())?;
            for entry in lines::subordinates(&contents).filter_map(|line| line.entry.ok().flatten()) {
                taken.extend(lines::number(entry.owner.as_bytes()).map(one));
                taken.extend((file == kind).then_some(entry.range));
            }
        }
        Ok(taken)
    }

    fn no_free_id(&self, name: &str, kind: Kind) -> Error {
        let range = self.services(kind);
        let (what, key) = match kind {
            Kind::Users => ("user", "UID"),
            Kind::Groups => ("group", "GID"),
        };
        Error::Conflict(format!(
            "cannot make the user {name}: every system {what} ID from {} to {} is taken; \
             remove accounts that nobody needs, or widen SYS_{key}_MIN to SYS_{key}_MAX in {path}",
            range.start(),
            range.end(),
            path = self.folder().join("login.defs").display(),
        ))
    }

    /// The shell that ends at once: nologin(8) where the folder's own root has it.
    fn no_login(&self) -> &'static str {
        let root = self.folder().parent().unwrap_or(self.folder());
        let shells = ["/usr/sbin/nologin", "/sbin/nologin"];
        shells
            .into_iter()
            .find(|shell| root.join(shell.trim_start_matches('/')).exists())
            .unwrap_or("/bin/false")
    }
}

/// The range of that ID alone.
fn one(id: u32) -> Range {
    Range { first: id, count: 1 }
}

/// The highest ID of a range that is in none of those. It goes down by what is taken, not by one: ranges may
/// be long.
fn highest_free(range: RangeInclusive<u32>, taken: &[&Vec<Range>]) -> Option<u32> {
    let mut id = *range.end();
    while range.contains(&id) {
        match taken.iter().flat_map(|taken| taken.iter()).find(|taken| taken.contains(id)) {
            None => return Some(id),
            Some(taken) => id = taken.first.checked_sub(1)?,
        }
    }
    None
}

/// Whether the row's password fits none.
fn is_locked(row: &[u8]) -> bool {
    row.split(|&byte| byte == b':')
        .nth(1)
        .is_some_and(|password| matches!(password.first(), Some(b'!' | b'*')))
}

/// When the password was last changed, as shadow(5) has it. Nothing if the clock does not know: 0 would mean
/// that it must be changed.
fn days_since_1970() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    match since.as_secs() / 86_400 {
        0 => String::new(),
        days => days.to_string(),
    }
}

/// useradd(8): small letters, digits, `_` and `-`, a letter or `_` first, at most 32.
fn check_name(name: &str) -> Result<()> {
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
    let begins = name.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_');
    if !begins || name.len() > 32 || !name.chars().all(fits) {
        return Err(Error::Invalid(format!(
            "cannot make the user {name:?}: that is no name for a system user"
        )));
    }
    Ok(())
}
