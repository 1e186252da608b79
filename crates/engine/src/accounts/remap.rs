//! What `userns-remap` names: the one range of IDs that all containers share, as Docker has it.
//!
//! The user and the group are names to find ranges under, in subuid(5) and subgid(5); no container gets
//! *their* IDs. subgid's owners are login names and user IDs; Docker looked for the group's name there in its
//! beginnings, and for the user since. Both are found: the group's entries if it has any, else the user's.
//!
//! Whatever the files say, root's ID and those of named accounts are never mapped: a container would be them.

use super::{Account, Etc, Kind, Range};
use crate::error::{Error, Result};

/// The user and group that `default` means.
pub(crate) const DEFAULT_USER: &str = "bulkhead";

/// How many IDs `default` sets aside: one for each that has 16 bits.
const DEFAULT_COUNT: u32 = 65_536;

/// How many lines a mapping can have (user_namespaces(7)).
const MOST_RANGES: usize = 340;

/// A user and a group, and the ranges that are theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remap {
    /// The user's name.
    pub(crate) user: String,
    /// The group's name.
    pub(crate) group: String,
    /// The host's user IDs, for those in containers from 0 on, one range after the other.
    pub(crate) uids: Vec<Range>,
    /// The host's group IDs likewise.
    pub(crate) gids: Vec<Range>,
}

/// Finds what `default`, `USER`, `USER:GROUP`, `UID` or `UID:GID` means. `default` makes the system user and
/// group [`DEFAULT_USER`] and sets ranges aside for it if it has none. Without a group it is the one of the
/// user's name, or of the user's number if a number was given.
///
/// # Errors
/// Another form, an unknown user or group, root, no ranges, or ranges that a container must not have.
pub(crate) fn resolve(etc: &Etc, spec: &str) -> Result<Remap> {
    let refuse =
        |why: String| Error::Invalid(format!("cannot use userns-remap={}: {why}", spec.escape_debug()));
    let (user, group) = if spec == "default" {
        (DEFAULT_USER, DEFAULT_USER)
    } else {
        parts(spec)
            .ok_or_else(|| refuse("it is none of default, USER, USER:GROUP, UID and UID:GID".into()))?
    };
    let account = if spec == "default" {
        Some(etc.ensure_system_user_with_ranges(user, DEFAULT_COUNT)?)
    } else {
        etc.user(user)?
    };
    let account = account.ok_or_else(|| {
        let file = etc.folder().join("passwd");
        refuse(format!("there is no user {user} in {}; name another or make it (useradd -r)", file.display()))
    })?;
    let (group, gid) = etc.group(group)?.ok_or_else(|| {
        let file = etc.folder().join("group");
        refuse(format!("there is no group {group} in {}; name one as USER:GROUP", file.display()))
    })?;
    if account.uid == 0 || gid == 0 {
        let whom = if account.uid == 0 { &account.name } else { &group };
        return Err(refuse(format!(
            "{whom} has ID 0, and root's IDs must not reach a container; name another, or default"
        )));
    }
    let uids = etc.ranges_of(Kind::Users, &account)?;
    let gids = group_ranges(etc, &group, &account)?;
    check(etc, Kind::Users, &format!("user {}", account.name), &uids, &refuse)?;
    check(etc, Kind::Groups, &format!("group {group}"), &gids, &refuse)?;
    Ok(Remap { user: account.name, group, uids, gids })
}

/// The user and the group of a spec that names them.
fn parts(spec: &str) -> Option<(&str, &str)> {
    let (user, group) = spec.split_once(':').unwrap_or((spec, spec));
    (!user.is_empty() && !group.is_empty() && !group.contains(':')).then_some((user, group))
}

fn group_ranges(etc: &Etc, group: &str, account: &Account) -> Result<Vec<Range>> {
    let entries = etc.subordinate(Kind::Groups)?.into_iter();
    let of_group: Vec<Range> =
        entries.filter(|entry| entry.owner == group).map(|entry| entry.range).collect();
    if of_group.is_empty() { etc.ranges_of(Kind::Groups, account) } else { Ok(of_group) }
}

/// Refuses ranges that are none, that the kernel would not take, or with whose IDs a container would be
/// somebody of the machine.
fn check(
    etc: &Etc,
    kind: Kind,
    whose: &str,
    ranges: &[Range],
    refuse: &impl Fn(String) -> Error,
) -> Result<()> {
    let file = kind.range_file();
    let path = etc.folder().join(file);
    let path = path.display();
    if ranges.is_empty() {
        return Err(refuse(format!(
            "no {file} ranges found for {whose} in {path}; add one (OWNER:FIRST:COUNT)"
        )));
    }
    if ranges.len() > MOST_RANGES {
        return Err(refuse(format!(
            "{whose} has {} ranges in {path}, and a mapping can have {MOST_RANGES}; remove some",
            ranges.len(),
        )));
    }
    let taken = etc.ids(kind)?;
    for (position, range) in ranges.iter().enumerate() {
        let shown = format!("the range {}:{} of {whose} in {path}", range.first, range.count);
        if range.contains(0) {
            return Err(refuse(format!(
                "{shown} has ID 0 in it, and root's IDs must not reach a container; correct it"
            )));
        }
        if let Some(&id) = taken.iter().find(|&&id| range.contains(id)) {
            let name = name_of(etc, kind, id)?;
            return Err(refuse(format!(
                "{shown} has ID {id} in it, which is {name}'s on this machine; correct it"
            )));
        }
        if ranges.iter().skip(position + 1).any(|other| range.overlaps(*other)) {
            return Err(refuse(format!("{shown} overlaps another one of theirs; correct it")));
        }
    }
    Ok(())
}

/// Who has an ID that is taken.
fn name_of(etc: &Etc, kind: Kind, id: u32) -> Result<String> {
    let name = match kind {
        Kind::Users => etc.user_of(id)?.map(|account| account.name),
        Kind::Groups => etc.group(&id.to_string())?.map(|(name, _)| name),
    };
    Ok(name.unwrap_or_else(|| "an account".into()))
}
