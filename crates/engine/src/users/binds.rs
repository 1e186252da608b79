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

use std::ops::RangeInclusive;

use bulkhead_isolation::mounts::ids::{RANGE, Stored};

use crate::accounts::{Account, Etc, Kind, Range};
use crate::error::Result;

/// What is known of this machine's IDs.
pub(crate) struct Machine {
    /// IDs of people.
    people: RangeInclusive<u32>,
    /// Groups of people.
    groups_of_people: RangeInclusive<u32>,
    /// The engine's own stable range, of users and of groups.
    stable: (u32, u32),
    /// The first of 65,536 IDs that no process has.
    strangers: u32,
    /// Ranges that belong to accounts.
    uids: Vec<Owned>,
    /// The same for groups.
    gids: Vec<Owned>,
    /// The people who own a range, and the one whom it is asked for.
    accounts: Vec<Account>,
}

/// A range, and whose.
struct Owned {
    first: u32,
    uid: Option<u32>,
}

impl Machine {
    /// Looks at the accounts of this machine. `owner` is the source's owner; `stable` is the engine's own range, as which
    /// no process ever runs.
    pub(crate) fn look(etc: &Etc, owner: u32, stable: u32) -> Result<Machine> {
        let mut accounts: Vec<Account> = etc.user_of(owner)?.into_iter().collect();
        let mut owned = |kind| -> Result<Vec<Owned>> {
            let mut all = Vec::new();
            for entry in etc.subordinate(kind)? {
                let account = etc.user(&entry.owner)?;
                let uid = account.as_ref().map(|account| account.uid);
                accounts.extend(account);
                all.extend(usable(entry.range).then_some(Owned { first: entry.range.first, uid }));
            }
            Ok(all)
        };
        let (uids, gids) = (owned(Kind::Users)?, owned(Kind::Groups)?);
        Ok(Machine {
            people: etc.people(Kind::Users),
            groups_of_people: etc.people(Kind::Groups),
            stable: (stable, stable),
            strangers: stable,
            uids,
            gids,
            accounts,
        })
    }

    /// Where all containers share one range for good (`userns-remap`), it is the stable one for every source.
    pub(crate) fn with_one_range(self, uids: u32, gids: u32) -> Machine {
        Machine { stable: (uids, gids), uids: Vec::new(), gids: Vec::new(), ..self }
    }

    /// The person whom an ID on disk belongs to: it is theirs, or one of the range that they have.
    fn person(&self, uid: u32) -> Option<u32> {
        if self.people.contains(&uid) {
            return Some(uid);
        }
        holder(&self.uids, uid)?.uid.filter(|owner| self.people.contains(owner))
    }
}

/// Whether a range can be a stable one: large enough, and above all accounts, whatever the files say.
fn usable(range: Range) -> bool {
    range.first >= RANGE && range.count >= RANGE
}

/// Which of the ranges begins with the 65,536 IDs that `id` is among.
fn holder(ranges: &[Owned], id: u32) -> Option<&Owned> {
    ranges.iter().find(|range| id.checked_sub(range.first).is_some_and(|offset| offset < RANGE))
}

/// Where the IDs of a container are on disk, in a source that belongs to `uid` and `gid` there: users, groups.
pub(crate) fn decide(machine: &Machine, owner: (u32, u32)) -> (Stored, Stored) {
    let (uids, gids) = named(machine, owner);
    let strangers = machine.strangers;
    (Stored { strangers, ..uids }, Stored { strangers, ..gids })
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
        let account = machine.accounts.iter().find(|account| account.uid == person);
        // A group of the system's own, of which the person may be a member, gives the container nothing.
        let group = Some(gid)
            .filter(|gid| machine.groups_of_people.contains(gid))
            .or(account.map(|account| account.gid))
            .filter(|gid| machine.groups_of_people.contains(gid));
        let range = |first: Option<u32>, own: u32| Stored::range(first.unwrap_or(own));
        return (
            Stored { process: Some(person), ..range(first_of(&machine.uids, person), own_uids) },
            Stored { process: group, ..range(first_of(&machine.gids, person), own_gids) },
        );
    }
    let elsewhere = |id: u32, ranges: &[Owned], own: u32| Stored {
        same: Some(id).filter(|id| (1..RANGE).contains(id)),
        ..Stored::range(holder(ranges, id).map_or(own, |range| range.first))
    };
    (elsewhere(uid, &machine.uids, own_uids), elsewhere(gid, &machine.gids, own_gids))
}

#[cfg(test)]
mod tests {
    use super::{Machine, Owned, decide};
    use crate::accounts::Account;
    use bulkhead_isolation::mounts::ids::Stored;

    const ENGINE: u32 = 524_288;
    const STRANGERS: u32 = 589_824;
    const ALICE: u32 = 1000;
    const OF_ALICE: u32 = 100_000;
    const OF_DOCKER: u32 = 165_536;

    fn machine() -> Machine {
        let account = |name: &str, id: u32| Account { name: name.into(), uid: id, gid: id };
        let ranges =
            || vec![Owned { first: OF_ALICE, uid: Some(ALICE) }, Owned { first: OF_DOCKER, uid: Some(998) }];
        Machine {
            people: 1000..=60_000,
            groups_of_people: 1000..=60_000,
            stable: (ENGINE, ENGINE),
            strangers: STRANGERS,
            uids: ranges(),
            gids: ranges(),
            accounts: vec![account("alice", ALICE), account("bob", 1001), account("docker", 998)],
        }
    }

    fn stored(first: u32, process: Option<u32>, same: Option<u32>) -> Stored {
        Stored { first, process, same, strangers: STRANGERS }
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
            // One that another engine has shifted.
            ((OF_DOCKER + 7, OF_DOCKER), stored(OF_DOCKER, None, None), stored(OF_DOCKER, None, None)),
            // What a container gave to its user 999 in a folder of nobody's in particular.
            ((ENGINE + 999, ENGINE + 999), engine, engine),
            ((4_000_000_000, 4_000_000_000), engine, engine),
        ];
        for (owner, uids, gids) in rows {
            assert_eq!(decide(&machine(), owner), (uids, gids), "{owner:?}");
        }
    }

    #[test]
    fn with_one_range_for_all_it_is_the_stable_one() {
        let machine = machine().with_one_range(ENGINE, ENGINE);
        let expected = (stored(ENGINE, Some(ALICE), None), stored(ENGINE, Some(ALICE), None));
        assert_eq!(decide(&machine, (ALICE, ALICE)), expected);
        let range = stored(ENGINE, None, None);
        assert_eq!(decide(&machine, (ENGINE + 5, ENGINE)), (range, range));
    }
}
