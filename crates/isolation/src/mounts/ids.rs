//! Which IDs on disk are which in a container, for one mount (mount_setattr(2), MOUNT_ATTR_IDMAP).
//!
//! An ID-mapped mount translates between what stands on disk and what the kernel sees. A plan says what stands on
//! disk for each *container* ID; here that is joined with the container's own mapping, which says what the kernel
//! sees for it. An ID that has no line on either side is nobody's on the mount: its files can be read by their
//! "other" bits, and nothing can be given to it.
//!
//! What a mapping is to be is not decided here, but by whoever makes the plan.

use serde::{Deserialize, Serialize};

use crate::namespaces::user::{IdMap, IdMappings, UserNamespace};

/// How many IDs a range on disk has.
pub const RANGE: u32 = 65_536;

/// How the IDs on disk appear in the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BindIds {
    /// As the host has them: what is the host root's is nobody's in a container with a user namespace.
    #[default]
    Unmapped,
    /// Each container ID has a place of its own on disk.
    Stored {
        /// Users.
        uids: Stored,
        /// Groups.
        gids: Stored,
    },
    /// By these lines.
    Lines {
        /// Users.
        uids: Vec<Line>,
        /// Groups.
        gids: Vec<Line>,
    },
}

/// Where the IDs of one kind are on disk: container ID N is `first` + N, below [`RANGE`], with a few
/// exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The range on disk; never 0, which is the host's root.
    pub first: u32,
    /// What the ID that the program starts as is on disk, if that is a particular one.
    pub process: Option<u32>,
    /// An ID that is the same inside and on disk.
    pub same: Option<u32>,
    /// An ID of the host that the container has as its own: inside, and on disk.
    pub kept: Option<(u32, u32)>,
    /// The first of [`RANGE`] IDs that no process has and that stand on no disk: what all others below [`RANGE`] on disk are to the kernel, the
    /// host's root among them. So they are nobody's inside, but their "other" bits count for writing too, which the
    /// kernel refuses for IDs without a line. 0: they have none.
    pub strangers: u32,
}

/// `count` container IDs from `inside` on are those from `disk` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// First ID on disk.
    pub disk: u32,
    /// First ID inside.
    pub inside: Inside,
    /// How many.
    pub count: u32,
}

/// What an ID of a line is meant as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inside {
    /// A container's.
    Container(u32),
    /// The host's, as the kernel sees it.
    Host(u32),
}

impl Stored {
    /// A whole range, without exceptions.
    pub fn range(first: u32) -> Stored {
        Stored { first, process: None, same: None, kept: None, strangers: 0 }
    }

    /// What the program's own ID is on disk.
    fn on_disk(self, process: u32) -> Option<u32> {
        find(&self.lines(process), process)
    }

    fn lines(self, process: u32) -> Vec<Line> {
        // A program's own ID comes before one that stays the same.
        let mut exceptions: Vec<(u32, u32)> = self.process.map(|disk| (process, disk)).into_iter().collect();
        for next in self.kept.into_iter().chain(self.same.map(|same| (same, same))) {
            if !exceptions.iter().any(|(inside, disk)| *inside == next.0 || *disk == next.1) {
                exceptions.push(next);
            }
        }
        let Some(last) = self.first.checked_add(RANGE - 1).filter(|_| self.first != 0) else {
            return Vec::new();
        };
        // Where the range is interrupted: at an exception's ID inside, and at its ID on disk.
        let mut cuts: Vec<u32> = exceptions.iter().map(|(inside, _)| *inside).collect();
        cuts.extend(
            exceptions
                .iter()
                .filter(|(_, disk)| (self.first..=last).contains(disk))
                .map(|(_, disk)| disk - self.first),
        );
        cuts.retain(|cut| *cut < RANGE);
        cuts.sort_unstable();
        cuts.dedup();
        let mut lines: Vec<Line> = exceptions
            .iter()
            .map(|(inside, disk)| Line { disk: *disk, inside: Inside::Container(*inside), count: 1 })
            .collect();
        let mut from = 0;
        for cut in cuts.into_iter().chain([RANGE]) {
            if cut > from {
                let inside = Inside::Container(from);
                lines.push(Line { disk: self.first + from, inside, count: cut - from });
            }
            from = cut + 1;
        }
        lines
    }
}

impl BindIds {
    /// What the program's own IDs (user, group) are on disk, as far as they have a place there.
    pub(crate) fn on_disk(&self, user: &UserNamespace, (uid, gid): (u32, u32)) -> (Option<u32>, Option<u32>) {
        match self {
            BindIds::Unmapped => {
                user.outside(uid, gid).map_or((None, None), |(uid, gid)| (Some(uid), Some(gid)))
            }
            BindIds::Stored { uids, gids } => (uids.on_disk(uid), gids.on_disk(gid)),
            BindIds::Lines { uids, gids } => (find(uids, uid), find(gids, gid)),
        }
    }

    /// The mapping of the mount, for a program that starts as these container IDs; `None` where nothing is mapped.
    pub(crate) fn mappings(&self, user: &UserNamespace, (uid, gid): (u32, u32)) -> Option<IdMappings> {
        let (uids, gids) = match self {
            BindIds::Unmapped => return None,
            BindIds::Stored { uids, gids } => (uids.lines(uid), gids.lines(gid)),
            BindIds::Lines { uids, gids } => (uids.clone(), gids.clone()),
        };
        let everything = [IdMap { inside: 0, outside: 0, count: u32::MAX }];
        let container = user.mappings();
        let join = |lines: &[Line], container: Option<&Vec<IdMap>>, stored: bool| {
            let mut joined = join(lines, container.map_or(&everything[..], Vec::as_slice));
            // In the host's user namespace there are more IDs than a range holds: those beyond are themselves.
            if container.is_none() && stored {
                joined.extend(beyond(lines));
            }
            joined
        };
        let stored = matches!(self, BindIds::Stored { .. });
        let mut mappings = IdMappings {
            uids: join(&uids, container.map(|all| &all.uids), stored),
            gids: join(&gids, container.map(|all| &all.gids), stored),
        };
        if let (BindIds::Stored { uids: of_users, gids: of_groups }, Some(_)) = (self, container) {
            mappings.uids.extend(strangers(&uids, of_users.strangers));
            mappings.gids.extend(strangers(&gids, of_groups.strangers));
        }
        Some(mappings)
    }
}

/// Where a container's ID is on disk.
fn find(lines: &[Line], id: u32) -> Option<u32> {
    lines.iter().find_map(|line| match line.inside {
        Inside::Container(first) => {
            let offset = id.checked_sub(first).filter(|offset| *offset < line.count)?;
            line.disk.checked_add(offset)
        }
        Inside::Host(_) => None,
    })
}

/// Disk to container, and container to what the kernel sees: disk to what the kernel sees.
fn join(lines: &[Line], container: &[IdMap]) -> Vec<IdMap> {
    let mut joined = Vec::new();
    for line in lines {
        let first = match line.inside {
            Inside::Host(outside) => {
                joined.push(IdMap { inside: line.disk, outside, count: line.count });
                continue;
            }
            Inside::Container(first) => first,
        };
        for map in container {
            let from = first.max(map.inside);
            let to = first.saturating_add(line.count).min(map.inside.saturating_add(map.count));
            if from < to {
                joined.push(IdMap {
                    inside: line.disk + (from - first),
                    outside: map.outside + (from - map.inside),
                    count: to - from,
                });
            }
        }
    }
    joined
}

/// The IDs below [`RANGE`] that no line names on disk, as those from `first` on.
fn strangers(lines: &[Line], first: u32) -> Vec<IdMap> {
    if first == 0 {
        return Vec::new();
    }
    let mut named: Vec<(u32, u32)> =
        lines.iter().map(|line| (line.disk, line.disk.saturating_add(line.count))).collect();
    named.sort_unstable();
    let mut unnamed = Vec::new();
    let mut from = 0;
    for (start, end) in named.into_iter().chain([(RANGE, RANGE)]) {
        let start = start.min(RANGE);
        if start > from {
            unnamed.push(IdMap { inside: from, outside: first.saturating_add(from), count: start - from });
        }
        from = from.max(end);
    }
    unnamed
}

/// The IDs from [`RANGE`] on that no line uses on either side, as themselves.
fn beyond(lines: &[Line]) -> Vec<IdMap> {
    let span = |first: u32, count: u32| (first, first.saturating_add(count));
    let mut used: Vec<(u32, u32)> = lines.iter().map(|line| span(line.disk, line.count)).collect();
    used.extend(lines.iter().map(|line| match line.inside {
        Inside::Container(first) | Inside::Host(first) => span(first, line.count),
    }));
    used.sort_unstable();
    let mut free = Vec::new();
    let mut from = RANGE;
    for (first, end) in used.into_iter().chain([(u32::MAX, u32::MAX)]) {
        if first > from {
            free.push(IdMap { inside: from, outside: from, count: first - from });
        }
        from = from.max(end);
    }
    free
}

#[cfg(test)]
mod tests {
    use super::{BindIds, Inside, Line, RANGE, Stored};
    use crate::namespaces::user::{IdMap, IdMappings, UserNamespace};
    use proptest::prelude::*;

    const S: u32 = 100_000;
    const C: u32 = 524_288;

    fn container() -> UserNamespace {
        UserNamespace::New(IdMappings::range(C, RANGE))
    }

    fn seen(stored: Stored, process: u32, disk: u32) -> Option<u32> {
        let ids = BindIds::Stored { uids: stored, gids: Stored::range(S) };
        let all = ids.mappings(&container(), (process, 0))?;
        all.outside(disk, S).map(|(uid, _)| uid - C)
    }

    #[test]
    fn a_range_shows_each_id_that_was_written() {
        for id in [0, 1, 999, 65_535] {
            assert_eq!(seen(Stored::range(S), 0, S + id), Some(id));
        }
        assert_eq!(seen(Stored::range(S), 0, 0), None);
        assert_eq!(seen(Stored::range(S), 0, 1000), None);
    }

    #[test]
    fn exceptions_take_the_place_of_the_range() {
        let project = Stored { process: Some(1000), ..Stored::range(S) };
        assert_eq!(seen(project, 0, 1000), Some(0));
        assert_eq!(seen(project, 0, S), None, "no two IDs on disk are one inside");
        assert_eq!(seen(project, 0, S + 1000), Some(1000));
        let data = Stored { same: Some(999), ..Stored::range(S) };
        assert_eq!(seen(data, 0, 999), Some(999));
        assert_eq!(seen(data, 0, S), Some(0));
        assert_eq!(seen(data, 0, S + 999), None);
        assert_eq!(data.on_disk(999), Some(999));
        assert_eq!(data.on_disk(0), Some(S));
        assert_eq!(project.on_disk(0), Some(1000));
        assert_eq!(Stored::range(S).on_disk(70_000), None);
    }

    #[test]
    fn strangers_are_somebody_but_nobody_inside() {
        let stored = Stored { process: Some(1000), strangers: 600_000, ..Stored::range(S) };
        let ids = BindIds::Stored { uids: stored, gids: stored };
        let all = ids.mappings(&container(), (0, 0)).unwrap();
        assert_eq!(all.outside(0, 0), Some((600_000, 600_000)));
        assert_eq!(all.outside(999, 1001), Some((600_999, 601_001)));
        assert_eq!(all.outside(1000, 65_535), Some((C, 665_535)));
        assert_eq!(all.outside(65_536, 0), None);
    }

    #[test]
    fn a_range_at_the_host_s_root_maps_nothing() {
        let ids = BindIds::Stored { uids: Stored::range(0), gids: Stored::range(0) };
        assert_eq!(ids.mappings(&container(), (0, 0)), Some(IdMappings::default()));
    }

    #[test]
    fn the_host_s_user_namespace_has_every_id() {
        let ids = BindIds::Stored { uids: Stored::range(S), gids: Stored::range(S) };
        let all = ids.mappings(&UserNamespace::Host, (0, 0)).unwrap();
        assert_eq!(all.outside(S, S + 7), Some((0, 7)));
        assert_eq!(all.outside(70_000, 2_000_000_000), Some((70_000, 2_000_000_000)));
        assert_eq!(all.outside(0, S), None);
    }

    #[test]
    fn lines_may_mean_the_host_s_ids() {
        let uids = vec![
            Line { disk: 0, inside: Inside::Container(0), count: 1 },
            Line { disk: 5, inside: Inside::Host(C + 9), count: 2 },
        ];
        let all = BindIds::Lines { uids, gids: Vec::new() }.mappings(&container(), (0, 0)).unwrap();
        assert_eq!(
            all.uids,
            [IdMap { inside: 0, outside: C, count: 1 }, IdMap { inside: 5, outside: C + 9, count: 2 }]
        );
    }

    fn disjoint(mut ranges: Vec<(u32, u32)>) -> bool {
        ranges.sort_unstable();
        ranges.windows(2).all(|pair| matches!(pair, [a, b] if a.0.saturating_add(a.1) <= b.0))
    }

    proptest! {
        /// The kernel refuses mappings whose lines overlap.
        #[test]
        fn mappings_are_always_ones_that_the_kernel_takes(
            first in 1u32.., process in 0u32..200_000, on_disk in proptest::option::of(1u32..300_000),
            same in proptest::option::of(1u32..300_000), own in any::<bool>(),
            strangers in prop_oneof![Just(0u32), Just(700_000)],
            kept in proptest::option::of((0u32..70_000, 1u32..300_000)),
        ) {
            let stored = Stored { first, process: on_disk, same, kept, strangers };
            let user = if own { container() } else { UserNamespace::Host };
            let ids = BindIds::Stored { uids: stored, gids: stored };
            let all = ids.mappings(&user, (process, process)).unwrap();
            prop_assert!(all.uids.len() <= 340);
            prop_assert!(disjoint(all.uids.iter().map(|line| (line.inside, line.count)).collect()));
            prop_assert!(disjoint(all.uids.iter().map(|line| (line.outside, line.count)).collect()));
            // The host's root is nobody's of the container.
            if let Some((uid, _)) = all.outside(0, 0) {
                prop_assert!(own && uid == strangers && strangers != 0);
            }
        }
    }
}
