//! The ranges of IDs that are set aside for somebody: subuid(5) and subgid(5), read and added to.
//!
//! They are how container engines, and everybody else who gives IDs away, keep out of each other's way. Lines
//! are only ever added, after the others.

use super::edit::Change;
use super::range::HIGHEST;
use super::{Account, Etc, Kind, Range, lines};
use crate::error::{Error, Result};

/// Where the first range begins if nobody has one: SUB_UID_MIN of login.defs(5).
const LOWEST: u32 = 100_000;

/// A range that is set aside for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subordinate {
    /// Whom it is for, as it is written: a login name or a user ID.
    pub(crate) owner: String,
    /// The IDs.
    pub(crate) range: Range,
}

impl Subordinate {
    /// Whether it is that user's, by name or by number.
    fn is_of(&self, account: &Account) -> bool {
        self.owner == account.name || lines::number(self.owner.as_bytes()) == Some(account.uid)
    }
}

impl Etc {
    /// All ranges of subuid or subgid, in order; none if the file is not there. Comments (`#`), empty lines
    /// and lines with a count of 0 give none.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it makes no sense: file, line and text are named.
    pub(crate) fn subordinate(&self, kind: Kind) -> Result<Vec<Subordinate>> {
        self.entries(kind, &self.contents(kind.range_file())?)
    }

    /// The ranges of subuid or subgid that are this user's, by name or by number, in order.
    ///
    /// # Errors
    /// As [`subordinate`](Self::subordinate).
    pub(crate) fn ranges_of(&self, kind: Kind, account: &Account) -> Result<Vec<Range>> {
        let entries = self.subordinate(kind)?.into_iter();
        Ok(entries.filter(|entry| entry.is_of(account)).map(|entry| entry.range).collect())
    }

    /// Writes down in subuid and subgid that the range is `owner`'s, where that is not written yet. Whether
    /// somebody else has IDs of it is the caller's to know.
    ///
    /// # Errors
    /// An owner or range that cannot be written there, a broken file, the lock, the disk. Nothing has changed
    /// then.
    pub(crate) fn record(&self, owner: &str, range: Range) -> Result<()> {
        check_owner(owner)?;
        if Range::new(range.first, range.count).is_none() {
            return Err(Error::Invalid(format!(
                "cannot set IDs aside for {owner}: {count} IDs from {first} on are no range below 4294967295",
                first = range.first,
                count = range.count,
            )));
        }
        let wanted = Subordinate { owner: owner.into(), range };
        self.edit(|| self.new_lines(owner, |_, entries| Ok((!entries.contains(&wanted)).then_some(range))))
    }

    /// Takes the line away that sets `range` aside for `owner`, in subuid and subgid, and writes down these in its place.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub(crate) fn replace(&self, owner: &str, range: Range, with: &[Range]) -> Result<()> {
        check_owner(owner)?;
        let line = |range: &Range| format!("{owner}:{}:{}", range.first, range.count);
        self.edit(|| {
            let mut changes = Vec::new();
            for kind in [Kind::Users, Kind::Groups] {
                let Some(before) = self.read(kind.range_file())? else { continue };
                let old = line(&range);
                let mut after: Vec<u8> = Vec::with_capacity(before.len());
                let mut found = false;
                for text in before.split_inclusive(|byte| *byte == b'\n') {
                    if text.trim_ascii() == old.as_bytes() {
                        found = true;
                    } else {
                        after.extend_from_slice(text);
                    }
                }
                if !found {
                    continue;
                }
                let known = self.entries(kind, &after)?;
                let is_there =
                    |range: &&Range| known.iter().any(|entry| entry.owner == owner && entry.range == **range);
                for range in with.iter().filter(|range| !is_there(range)) {
                    after = lines::with_last_line(&after, &line(range));
                }
                changes.push(Change { file: kind.range_file(), before: Some(before), after });
            }
            Ok(changes)
        })
    }

    /// Sees to it that `owner` has a range in subuid and one in subgid. Where there is none it gets `count`
    /// IDs after the last one of all entries, 100000 at least, as Docker does it: after `docker:100000:65536`
    /// comes `bulkhead:165536:65536`. A range with IDs of passwd or group in it would make somebody of the
    /// machine out of somebody in a container, so it begins after them.
    ///
    /// # Errors
    /// An owner that cannot be written, a broken file, no room below 2^32-1, the lock, the disk. Nothing has
    /// changed then.
    #[cfg_attr(not(test), expect(dead_code, reason = "so far ranges are only made together with their user"))]
    pub(crate) fn ensure_ranges(&self, owner: &str, count: u32) -> Result<()> {
        self.edit(|| self.missing_ranges(owner, self.user(owner)?.as_ref(), count))
    }

    /// The changes that [`ensure_ranges`](Self::ensure_ranges) makes for an owner who is, or is about to be,
    /// that user.
    pub(super) fn missing_ranges(
        &self,
        owner: &str,
        account: Option<&Account>,
        count: u32,
    ) -> Result<Vec<Change>> {
        check_owner(owner)?;
        if count == 0 {
            return Err(Error::Invalid(format!("cannot set IDs aside for {owner}: 0 of them are none")));
        }
        let is_owners =
            |entry: &Subordinate| entry.owner == owner || account.is_some_and(|account| entry.is_of(account));
        self.new_lines(owner, |kind, entries| {
            if entries.iter().any(is_owners) {
                return Ok(None);
            }
            let mut taken = self.ids(kind)?;
            taken.extend(account.map(|account| match kind {
                Kind::Users => account.uid,
                Kind::Groups => account.gid,
            }));
            taken.sort_unstable();
            self.after_all(kind, entries, &taken, count).map(Some)
        })
    }

    /// The first `count` IDs after all entries among which are none of `taken`, which is sorted.
    fn after_all(&self, kind: Kind, entries: &[Subordinate], taken: &[u32], count: u32) -> Result<Range> {
        let end = entries.iter().map(|entry| u64::from(entry.range.last()) + 1).max().unwrap_or(0);
        let mut first = end.max(u64::from(LOWEST));
        for id in taken.iter().copied().map(u64::from) {
            if id >= first + u64::from(count) {
                break;
            }
            first = first.max(id + 1);
        }
        u32::try_from(first).ok().and_then(|first| Range::new(first, count)).ok_or_else(|| {
            Error::Conflict(format!(
                "cannot set {count} IDs aside in {path}: after its last entry they do not fit up to {HIGHEST}; \
                 remove entries that nobody needs, or add one for the engine by hand",
                path = self.folder().join(kind.range_file()).display(),
            ))
        })
    }

    /// A line more for `owner` in each of the two files where `wanted` gives a range for it.
    fn new_lines(
        &self,
        owner: &str,
        wanted: impl Fn(Kind, &[Subordinate]) -> Result<Option<Range>>,
    ) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for kind in [Kind::Users, Kind::Groups] {
            let before = self.read(kind.range_file())?;
            let bytes = before.as_deref().unwrap_or_default();
            if let Some(Range { first, count }) = wanted(kind, &self.entries(kind, bytes)?)? {
                let after = lines::with_last_line(bytes, &format!("{owner}:{first}:{count}"));
                changes.push(Change { file: kind.range_file(), before, after });
            }
        }
        Ok(changes)
    }

    fn entries(&self, kind: Kind, file: &[u8]) -> Result<Vec<Subordinate>> {
        let mut entries = Vec::new();
        for line in lines::subordinates(file) {
            match line.entry {
                Ok(entry) => entries.extend(entry),
                Err(why) => {
                    return Err(Error::Corrupt(format!(
                        "cannot understand line {number} of {path}, {text}: {why}; correct or remove it",
                        number = line.line,
                        path = self.folder().join(kind.range_file()).display(),
                        text = lines::shown(line.text),
                    )));
                }
            }
        }
        Ok(entries)
    }
}

/// An owner that would be read as it was written.
fn check_owner(owner: &str) -> Result<()> {
    let breaks = |letter: char| letter == ':' || letter.is_control();
    if owner.is_empty() || owner.starts_with('#') || owner.trim() != owner || owner.contains(breaks) {
        return Err(Error::Invalid(format!(
            "cannot set IDs aside for {owner:?}: that is no login name or user ID"
        )));
    }
    Ok(())
}
