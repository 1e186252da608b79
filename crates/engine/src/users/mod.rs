//! Whose IDs a container has: its user namespace, from the word for it to the ranges that it holds.
//!
//! | file | says |
//! |---|---|
//! | [`leases`] | what a new container is given, and when a range is free again |
//! | [`mode`] | what `--userns`, `--uidmap` and `--gidmap` ask for |
//! | [`choose`] | what that comes to here, with `userns-remap`, `--privileged` and the image |
//! | [`pool`] | which IDs the engine may hand out, and which range is next |
//! | [`binds`] | which IDs on disk a bind mount shows as which: the one place where that is decided |
//!
//! The leases are in the store ([`id_ranges`](crate::store::id_ranges)), and the machine's own accounts are read and
//! edited in [`accounts`](crate::accounts).

pub(crate) mod binds;
pub(crate) mod choose;
pub(crate) mod leases;
pub(crate) mod mode;
pub(crate) mod pool;

use bulkhead_isolation::namespaces::user::{IdMap, IdMappings};
use serde::{Deserialize, Serialize};

/// A container's IDs: decided when it is made, and kept, since what it writes stands on disk with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Users {
    /// The host's.
    #[default]
    Host,
    /// Its own user namespace.
    Own(IdMappings),
    /// Its own user namespace, with IDs that all containers have (`userns-remap`).
    Shared(IdMappings),
    /// Its own user namespace, with IDs of the host that it was given by name (`--uidmap`).
    Lines(IdMappings),
    /// The user namespace of another container.
    OfContainer {
        /// Its ID.
        id: String,
        /// What that one has: never another container's.
        users: Box<Users>,
    },
}

impl Users {
    /// The mapping, unless IDs are the host's.
    pub fn mappings(&self) -> Option<&IdMappings> {
        match self {
            Users::Host => None,
            Users::Own(mappings) | Users::Shared(mappings) | Users::Lines(mappings) => Some(mappings),
            Users::OfContainer { users, .. } => users.mappings(),
        }
    }

    /// Whose they are in the first place: where a container has another's, that one's.
    pub(crate) fn in_the_first_place(&self) -> &Users {
        match self {
            Users::OfContainer { users, .. } => users,
            own => own,
        }
    }

    /// The user and the group that are inside who they are on the host, if there are any: inside, and there.
    pub(crate) fn kept(&self) -> binds::Kept {
        // All lines of a range are as far from the container's IDs as its largest one.
        let find = |lines: &[IdMap]| {
            let distance = |line: &IdMap| line.outside.wrapping_sub(line.inside);
            let range = distance(lines.iter().max_by_key(|line| line.count)?);
            let kept = lines.iter().find(|line| line.count == 1 && distance(line) != range)?;
            Some((kept.inside, kept.outside))
        };
        match self {
            Users::Own(mappings) => (find(&mappings.uids), find(&mappings.gids)),
            _ => (None, None),
        }
    }

    /// What the container's root is to the host: user and group.
    pub fn root(&self) -> (u32, u32) {
        self.mappings().and_then(|mappings| mappings.outside(0, 0)).unwrap_or((0, 0))
    }
}
