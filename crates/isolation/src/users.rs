//! Users and groups by name, as the container's own /etc/passwd and /etc/group know them (passwd(5), group(5)).
//!
//! The files belong to the image, so they are opened below its root (RESOLVE_IN_ROOT) and read with a bound:
//! their author may be hostile.

use std::io::Read;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::{Ids, Process};

/// The largest passwd or group file that is read, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Whom a program runs as, in Docker's form `USER[:GROUP]`, each a name or a number; empty is root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSpec(pub String);

/// A user as the kernel knows it, in the container's own numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User ID.
    pub uid: u32,
    /// Primary group ID.
    pub gid: u32,
    /// All other groups.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: String,
}

/// Finds `spec` and the additional groups in the root file system `root`.
///
/// # Errors
/// A name that the files do not hold ("unable to find user …", Docker's words), a number that is none.
pub fn resolve(root: BorrowedFd<'_>, spec: &UserSpec, additional: &[String]) -> Result<User> {
    let passwd = read(root, "etc/passwd");
    let group = read(root, "etc/group");
    find(spec, additional, &passwd, &group)
}

/// Whom `process` runs as, with the root file system `root`.
pub(crate) fn of(root: BorrowedFd<'_>, process: &Process) -> Result<User> {
    let Some(Ids { uid, gid, groups }) = &process.extras.ids else {
        return resolve(root, &process.user, &process.additional_groups);
    };
    let passwd = read(root, "etc/passwd");
    let entry = passwd.lines().find_map(|line| Passwd::parse(line).filter(|entry| entry.uid == *uid));
    let home = entry.map(|entry| entry.home).filter(|home| !home.is_empty()).unwrap_or("/");
    Ok(User { uid: *uid, gid: *gid, groups: groups.clone(), home: home.to_owned() })
}

fn find(spec: &UserSpec, additional: &[String], passwd: &str, group: &str) -> Result<User> {
    let (user_part, group_part) = match spec.0.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|g| !g.is_empty())),
        None => (spec.0.as_str(), None),
    };
    let user_part = if user_part.is_empty() { "0" } else { user_part };
    let mut user = User { uid: 0, gid: 0, groups: Vec::new(), home: "/".into() };
    let entry = passwd.lines().find_map(|line| Passwd::parse(line).filter(|entry| entry.is(user_part)));
    let mut login = None;
    match (entry, id(user_part)) {
        (Some(entry), _) => {
            (user.uid, user.gid) = (entry.uid, entry.gid);
            user.home = if entry.home.is_empty() { "/".into() } else { entry.home.to_owned() };
            login = Some(entry.name);
        }
        (None, Some(uid)) => user.uid = uid,
        (None, None) => {
            return Err(Error::new(
                "user",
                format!("unable to find user {user_part}: no matching entries in passwd file"),
            ));
        }
    }
    match group_part {
        Some(name) => user.gid = group_id(name, group)?,
        None => {
            if let Some(login) = login {
                let member = |entry: &Group<'_>| entry.members.split(',').any(|name| name == login);
                user.groups = group.lines().filter_map(Group::parse).filter(member).map(|g| g.gid).collect();
            }
        }
    }
    for name in additional {
        user.groups.push(group_id(name, group)?);
    }
    user.groups.sort_unstable();
    user.groups.dedup();
    Ok(user)
}

/// A user or group ID; the highest number means "none" to the kernel and is refused.
fn id(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().filter(|id| *id != u32::MAX)
}

fn group_id(name: &str, group: &str) -> Result<u32> {
    let entry = group.lines().filter_map(Group::parse).find(|entry| entry.name == name);
    entry.map(|entry| entry.gid).or_else(|| id(name)).ok_or_else(|| {
        Error::new("user", format!("unable to find group {name}: no matching entries in group file"))
    })
}

struct Passwd<'text> {
    name: &'text str,
    uid: u32,
    gid: u32,
    home: &'text str,
}

impl<'text> Passwd<'text> {
    fn parse(line: &'text str) -> Option<Passwd<'text>> {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let (uid, gid) = (id(fields.next()?)?, id(fields.next()?)?);
        let home = fields.nth(1).unwrap_or("");
        Some(Passwd { name, uid, gid, home })
    }

    fn is(&self, wanted: &str) -> bool {
        self.name == wanted || id(wanted) == Some(self.uid)
    }
}

struct Group<'text> {
    name: &'text str,
    gid: u32,
    members: &'text str,
}

impl<'text> Group<'text> {
    fn parse(line: &'text str) -> Option<Group<'text>> {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        Some(Group { name, gid: id(fields.next()?)?, members: fields.next().unwrap_or("") })
    }
}

/// The file's text, or nothing: an image without one has only numbers.
fn read(root: BorrowedFd<'_>, path: &str) -> String {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut bytes = Vec::new();
    let Ok(file) = openat2(root, path, flags, Mode::empty(), resolve) else { return String::new() };
    let regular = rustix::fs::fstat(&file).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
    });
    if !regular || std::fs::File::from(file).take(LARGEST).read_to_end(&mut bytes).is_err() {
        return String::new();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{User, UserSpec, find};
    use proptest::prelude::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbad line\npostgres:x:999:998::/var/lib/pg:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,postgres\npostgres:x:998:\nextra:x:7:\n";

    fn found(spec: &str, additional: &[&str]) -> Result<User, String> {
        let additional: Vec<String> = additional.iter().map(|s| (*s).to_owned()).collect();
        find(&UserSpec(spec.into()), &additional, PASSWD, GROUP).map_err(|error| error.message)
    }

    fn user(uid: u32, gid: u32, groups: &[u32], home: &str) -> User {
        User { uid, gid, groups: groups.to_vec(), home: home.into() }
    }

    #[test]
    fn every_form_of_docker_s_user_flag() {
        assert_eq!(found("", &[]), Ok(user(0, 0, &[10], "/root")));
        assert_eq!(found("postgres", &["extra"]), Ok(user(999, 998, &[7, 10], "/var/lib/pg")));
        assert_eq!(found("999", &[]), Ok(user(999, 998, &[10], "/var/lib/pg")));
        assert_eq!(found("postgres:wheel", &["4242"]), Ok(user(999, 10, &[4242], "/var/lib/pg")));
        assert_eq!(found("5000:6000", &[]), Ok(user(5000, 6000, &[], "/")));
        assert!(found("nobody-here", &[]).unwrap_err().contains("unable to find user nobody-here"));
        assert!(found("0:nope", &[]).unwrap_err().contains("unable to find group nope"));
        assert!(found("4294967295", &[]).is_err());
    }

    proptest! {
        #[test]
        fn hostile_files_never_panic(spec in ".{0,20}", passwd in ".{0,200}", group in ".{0,200}") {
            let _ = find(&UserSpec(spec), &["x".into()], &passwd, &group);
        }
    }
}
