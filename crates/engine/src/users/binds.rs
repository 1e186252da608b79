//! Which IDs on disk a bind mount shows as which: decided here, once, for the owner, for the container's root and for
//! everybody else. `docs/user-namespaces.md` draws it.
//!
//! Let S be a *stable* range: that of the person whom the source belongs to, else the engine's own. Let P be the ID
//! that the container's program starts as.
//!
//! | the source belongs to | P is on disk | every other ID N | on-disk IDs not named here |
//! |---|---|---|---|
//! | a person (UID_MIN–UID_MAX of login.defs(5)) | that person | S+N | nobody |
//! | somebody else, e.g. 999 | S+P; 999 itself stays 999 | S+N | nobody |
//! | the host's root | S+P | S+N | nobody |
//!
//! *Nobody* means that the "other" bits count, and no capability: the container's root too can do with such files
//! what any user of the machine can.
//!
//! So what stands on disk is never the range of one container, which is another's tomorrow, and never the host's
//! root. What a container has given to one of its IDs (a database's `chown`) belongs to S+N, and still to the same
//! person: whose range it is tells.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use bulkhead_isolation::mounts::ids::{RANGE, Stored};

use crate::accounts::{Account, Etc, Kind, Range};
use crate::error::Result;
use crate::store::id_ranges::Own;
use crate::users::pool::Taken;

/// What is known of this machine's IDs.
#[derive(Debug)]
pub(crate) struct Machine {
    /// IDs of people.
    people: RangeInclusive<u32>,
    /// Groups of people.
    groups_of_people: RangeInclusive<u32>,
    /// The groups that this machine has.
    groups: Vec<u32>,
    /// The engine's own stable range, of users and of groups.
    stable: (u32, u32),
    /// The first of 65,536 IDs that no process has, and that stand on no disk.
    strangers: u32,
    /// Ranges that belong to accounts.
    uids: Vec<Owned>,
    /// The same for groups.
    gids: Vec<Owned>,
    /// Everybody's.
    accounts: HashMap<u32, Account>,
    /// What the engine has handed out.
    reserved: Taken,
}

/// A range, and whose.
#[derive(Debug)]
struct Owned {
    first: u32,
    uid: Option<u32>,
}

/// IDs of the container that are the host's own: `--userns=keep-id` keeps one user and one group. Inside, and on disk.
pub(crate) type Kept = (Option<(u32, u32)>, Option<(u32, u32)>);

impl Machine {
    /// Looks at the accounts of this machine. `own` are the engine's ranges; `reserved` is all that it has handed out.
    pub(crate) fn look(etc: &Etc, own: Own, reserved: Taken) -> Result<Machine> {
        let users = etc.users()?;
        let by_name: HashMap<&str, u32> =
            users.iter().rev().map(|account| (account.name.as_str(), account.uid)).collect();
        let ids = [etc.ids(Kind::Users)?, etc.ids(Kind::Groups)?];
        let owned = |kind, ids: &[u32]| -> Result<Vec<Owned>> {
            let mut all = Vec::new();
            for entry in etc.subordinate(kind)? {
                let number = || entry.owner.parse().ok();
                let uid = by_name.get(entry.owner.as_str()).copied().or_else(number);
                if usable(entry.range, ids) {
                    all.push(Owned { first: entry.range.first, uid });
                }
            }
            Ok(all)
        };
        let [user_ids, groups] = ids;
        let (uids, gids) = (owned(Kind::Users, &user_ids)?, owned(Kind::Groups, &groups)?);
        Ok(Machine {
            people: etc.people(Kind::Users),
            groups_of_people: etc.people(Kind::Groups),
            groups,
            stable: (own.binds(), own.binds()),
            strangers: own.strangers(),
            uids,
            gids,
            accounts: users.into_iter().rev().map(|account| (account.uid, account)).collect(),
            reserved,
        })
    }

    /// The person whom an ID on disk belongs to: it is theirs, or one of the range that they have.
    fn person(&self, uid: u32) -> Option<u32> {
        if self.is_person_s(uid, &self.people, &self.uids) {
            return Some(uid);
        }
        holder(&self.uids, uid)?.uid.filter(|owner| self.is_person_s(*owner, &self.people, &self.uids))
    }

    /// Whether an ID is one of people's own. Those of directory services are higher than those of the machine itself.
    fn is_person_s(&self, id: u32, local: &RangeInclusive<u32>, ranges: &[Owned]) -> bool {
        let elsewhere = || {
            (RANGE..FOREIGN).contains(&id)
                && holder(ranges, id).is_none()
                && self.reserved.overlap(id, id + 1).is_none()
        };
        local.contains(&id) || elsewhere()
    }
}

/// Above this are no people: systemd's documentation, and signed 32-bit numbers.
const FOREIGN: u32 = 0x8000_0000;

/// Whether a range can be a stable one: large enough, and nobody's account in it, whatever the files say.
fn usable(range: Range, accounts: &[u32]) -> bool {
    range.first >= RANGE
        && range.count >= RANGE
        && !accounts.iter().any(|id| id.checked_sub(range.first).is_some_and(|offset| offset < RANGE))
}

/// Which of the ranges begins with the 65,536 IDs that `id` is among.
fn holder(ranges: &[Owned], id: u32) -> Option<&Owned> {
    ranges.iter().find(|range| id.checked_sub(range.first).is_some_and(|offset| offset < RANGE))
}

/// Where the IDs of a container are on disk, in a source that belongs to `owner` there (user, group): users, groups.
/// `shared` is the range that all containers share (`userns-remap`), if they do: it is the stable one for every source
/// then.
pub(crate) fn decide(
    machine: &Machine,
    owner: (u32, u32),
    shared: Option<(u32, u32)>,
    kept: Kept,
) -> (Stored, Stored) {
    let (uids, gids) = named(machine, owner);
    let finish = |stored: Stored, shared: Option<u32>, kept| Stored {
        first: shared.unwrap_or(stored.first),
        strangers: machine.strangers,
        kept,
        ..stored
    };
    (finish(uids, shared.map(|(uid, _)| uid), kept.0), finish(gids, shared.map(|(_, gid)| gid), kept.1))
}

fn named(machine: &Machine, (uid, gid): (u32, u32)) -> (Stored, Stored) {
    let (own_uids, own_gids) = machine.stable;
    let first_of = |ranges: &[Owned], person: u32| {
        ranges.iter().find(|range| range.uid == Some(person)).map(|range| range.first)
    };
    if uid == 0 {
        return (Stored::range(own_uids), Stored::range(own_gids));
    }
    if let Some(person) = machine.person(uid) {
        let account = machine.accounts.get(&person);
        // A group of the system's own, of which the person may be a member, gives the container nothing.
        let of_people = |gid: &u32| machine.is_person_s(*gid, &machine.groups_of_people, &machine.gids);
        let group = Some(gid).filter(of_people).or(account.map(|account| account.gid)).filter(of_people);
        let range = |first: Option<u32>, own: u32| Stored::range(first.unwrap_or(own));
        return (
            Stored { process: Some(person), ..range(first_of(&machine.uids, person), own_uids) },
            Stored { process: group, ..range(first_of(&machine.gids, person), own_gids) },
        );
    }
    let elsewhere = |id: u32, ranges: &[Owned], own: u32, same: bool| Stored {
        same: Some(id).filter(|id| same && (1..RANGE).contains(id)),
        ..Stored::range(holder(ranges, id).map_or(own, |range| range.first))
    };
    // A group that the machine itself has may mean power over it (`disk`, `docker`): it is not handed on, unless it is the
    // user's own, or goes by the user's number as it does in an image.
    let known = machine.groups.binary_search(&gid).is_ok();
    let own = gid == uid || machine.accounts.get(&uid).is_some_and(|account| account.gid == gid);
    (elsewhere(uid, &machine.uids, own_uids, true), elsewhere(gid, &machine.gids, own_gids, own || !known))
}

#[cfg(test)]
mod tests {
    use super::{Machine, Owned, decide, usable};
    use crate::accounts::{Account, Range};
    use crate::users::pool::Taken;
    use bulkhead_isolation::mounts::ids::Stored;

    const ENGINE: u32 = 604_504_064;
    const STRANGERS: u32 = ENGINE + 131_072;
    const ALICE: u32 = 1000;
    const OF_ALICE: u32 = 100_000;
    const OF_DOCKER: u32 = 165_536;

    fn machine() -> Machine {
        let account = |name: &str, id: u32| (id, Account { name: name.into(), uid: id, gid: id });
        let ranges =
            || vec![Owned { first: OF_ALICE, uid: Some(ALICE) }, Owned { first: OF_DOCKER, uid: Some(998) }];
        Machine {
            people: 1000..=60_000,
            groups_of_people: 1000..=60_000,
            groups: vec![0, 42, 998, 1000, 1001],
            stable: (ENGINE, ENGINE),
            strangers: STRANGERS,
            uids: ranges(),
            gids: ranges(),
            accounts: [account("alice", ALICE), account("bob", 1001), account("docker", 998)].into(),
            reserved: Taken::new([(ENGINE, ENGINE + 16_777_216)]),
        }
    }

    fn stored(first: u32, process: Option<u32>, same: Option<u32>) -> Stored {
        Stored { first, process, same, kept: None, strangers: STRANGERS }
    }

    /// The table: whom the source belongs to (user, group), and where users and groups are on disk then.
    #[test]
    fn the_table() {
        let engine = stored(ENGINE, None, None);
        let rows = [
            // The host's root, whatever the group.
            ((0, 0), engine, engine),
            ((0, 50), engine, engine),
            ((0, 1000), engine, engine),
            // A person with a range: what the program starts as is that person.
            ((ALICE, 1000), stored(OF_ALICE, Some(1000), None), stored(OF_ALICE, Some(1000), None)),
            // … in a group of people's, which is kept; in one of the system's, which is not handed on.
            ((ALICE, 1005), stored(OF_ALICE, Some(1000), None), stored(OF_ALICE, Some(1005), None)),
            ((ALICE, 999), stored(OF_ALICE, Some(1000), None), stored(OF_ALICE, Some(1000), None)),
            ((ALICE, 0), stored(OF_ALICE, Some(1000), None), stored(OF_ALICE, Some(1000), None)),
            // A person without a range.
            ((1001, 1001), stored(ENGINE, Some(1001), None), stored(ENGINE, Some(1001), None)),
            // One whom nobody knows.
            ((2000, 0), stored(ENGINE, Some(2000), None), stored(ENGINE, None, None)),
            // What a container gave to its user 999 in Alice's folder is hers still.
            (
                (OF_ALICE + 999, OF_ALICE + 999),
                stored(OF_ALICE, Some(1000), None),
                stored(OF_ALICE, Some(1000), None),
            ),
            // A data folder from Docker's days: 999 is 999.
            ((999, 999), stored(ENGINE, None, Some(999)), stored(ENGINE, None, Some(999))),
            ((999, 0), stored(ENGINE, None, Some(999)), stored(ENGINE, None, None)),
            // … in a group that the machine has: that is not handed on.
            ((33, 42), stored(ENGINE, None, Some(33)), stored(ENGINE, None, None)),
            // A person of a directory service.
            (
                (1_000_001, 1_000_513),
                stored(ENGINE, Some(1_000_001), None),
                stored(ENGINE, Some(1_000_513), None),
            ),
            // One that another engine has shifted.
            ((OF_DOCKER + 7, OF_DOCKER), stored(OF_DOCKER, None, None), stored(OF_DOCKER, None, None)),
            // What a container gave to its user 999 in a folder of nobody's in particular.
            ((ENGINE + 999, ENGINE + 999), engine, engine),
            ((4_000_000_000, 4_000_000_000), engine, engine),
        ];
        for (owner, uids, gids) in rows {
            assert_eq!(decide(&machine(), owner, None, (None, None)), (uids, gids), "{owner:?}");
        }
    }

    #[test]
    fn with_one_range_for_all_it_is_the_stable_one() {
        let shared = Some((OF_DOCKER, OF_DOCKER));
        let expected = (stored(OF_DOCKER, Some(ALICE), None), stored(OF_DOCKER, Some(ALICE), None));
        assert_eq!(decide(&machine(), (ALICE, ALICE), shared, (None, None)), expected);
        let range = stored(OF_DOCKER, None, None);
        assert_eq!(decide(&machine(), (OF_DOCKER + 5, OF_DOCKER), shared, (None, None)), (range, range));
    }

    #[test]
    fn a_range_with_somebody_s_account_in_it_is_not_stable() {
        let range = |first| Range { first, count: 65_536 };
        assert!(usable(range(100_000), &[0, 1000, 165_536]));
        assert!(!usable(range(100_000), &[0, 1000, 165_535]));
        assert!(!usable(range(1000), &[]));
        assert!(!usable(Range { first: 100_000, count: 1000 }, &[]));
    }
}
