//! The pool: the IDs that the engine hands out, by default those that systemd's documentation sets aside for
//! containers (<https://systemd.io/UIDS-GIDS/>), in ranges of 65,536 that begin at a multiple of that.
//!
//! Several engines can live on one machine, and no two may hand out the same range. Each takes blocks of the pool for
//! good; that a block is taken shows in a folder that all of them know, as a link that says by whom.

use std::io::ErrorKind;
use std::path::Path;

use crate::accounts::{Etc, Range};
use crate::error::{Doing, Error, Result};

/// How many IDs a range has at least.
pub(crate) const SLOT: u32 = 65_536;
/// How many ranges a block has.
const BLOCK: u32 = 256;
/// How many IDs an engine takes for itself before it hands out the first.
pub(crate) const ENGINE_S: u32 = 3 * SLOT;
/// Under whose name blocks stand in subuid(5).
pub(crate) const POOL_USER: &str = "bulkhead-auto";
/// Where blocks are taken, by any engine of this machine.
const BLOCKS: &str = "/var/lib/bulkhead-id-blocks";

/// The pool of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    /// First ID.
    pub(crate) first: u32,
    /// Last ID.
    pub(crate) last: u32,
}

impl Default for Pool {
    fn default() -> Pool {
        Pool { first: 524_288, last: 1_879_048_191 }
    }
}

impl Pool {
    /// `FIRST-LAST`.
    pub(crate) fn read(text: &str) -> Option<Pool> {
        let (first, last) = text.split_once('-')?;
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        // Below 65,536 are the machine's own accounts.
        (first >= SLOT && last > first && last < u32::MAX - 1).then_some(Pool { first, last })
    }

    /// The part of it that this process has. In a container that is what its range holds beyond the first 65,536.
    pub(crate) fn here(self) -> Pool {
        if !bulkhead_sys::namespaces::nested() {
            return self;
        }
        let (uids, gids) = (end_of_map("uid_map"), end_of_map("gid_map"));
        let (Some(uids), Some(gids)) = (uids, gids) else { return self };
        let end = uids.min(gids);
        if end > self.first {
            return Pool { last: self.last.min(end - 1), ..self };
        }
        // None at all, if the range is no larger than that.
        Pool { first: SLOT, last: end.saturating_sub(1) }
    }

    /// Whether some of these IDs are among its own.
    pub(crate) fn holds(self, first: u32, count: u32) -> bool {
        first <= self.last && u64::from(first) + u64::from(count) > u64::from(self.first)
    }

    /// Its blocks, by the number of their first range. Those come first that lie above `people`, the highest ID that
    /// useradd(8) hands out ranges to: it must go on finding some.
    fn blocks(self, people: u32) -> Vec<(u32, Block)> {
        let first = self.first.div_ceil(SLOT);
        let end = self.last.saturating_add(1) / SLOT;
        let mut all: Vec<(u32, Block)> = (0..end.saturating_sub(first).div_ceil(BLOCK))
            .map(|index| {
                let from = first + index * BLOCK;
                (from, Block { first: from * SLOT, end: end.min(from + BLOCK) * SLOT })
            })
            .collect();
        all.sort_by_key(|(_, block)| block.first <= people);
        all
    }

    /// Takes a block for the engine that lives at `root`, unless it has taken all that there are: `known` are those
    /// that it has.
    pub(crate) fn take_block(self, root: &Path, known: &[Block], etc: &Etc) -> Result<Option<Block>> {
        self.take_block_in(Path::new(BLOCKS), root, known, etc.people_s_ranges_end())
    }

    fn take_block_in(
        self,
        folder: &Path,
        root: &Path,
        known: &[Block],
        people: u32,
    ) -> Result<Option<Block>> {
        crate::store::make_folder(folder)?;
        for (name, block) in self.blocks(people) {
            if known.iter().any(|known| known.end == block.end) {
                continue;
            }
            let link = folder.join(name.to_string());
            match std::os::unix::fs::symlink(root, &link) {
                Ok(()) => {
                    bulkhead_sys::fail::point("ranges: block taken");
                    return Ok(Some(block));
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).doing(|| format!("take a block of IDs: make {}", link.display()));
                }
            }
            let Ok(owner) = std::fs::read_link(&link) else { continue };
            // Ours already: its own record of that was lost, or another process of ours is about to write it.
            if owner == root {
                return Ok(Some(block));
            }
            // The engine that had it is gone with all its files, but for what stands on other disks with its own ranges,
            // which were the first ones.
            let gone = matches!(owner.try_exists(), Ok(false));
            if gone && block.end - block.first > ENGINE_S && take_over(&link, &owner, root)? {
                return Ok(Some(Block { first: block.first + ENGINE_S, ..block }));
            }
        }
        Ok(None)
    }
}

/// Records a block in subuid(5) and subgid(5), so that other tools keep off it.
pub(crate) fn record(etc: &Etc, block: Block) -> Result<()> {
    etc.ensure_system_user(POOL_USER)?;
    bulkhead_sys::fail::point("ranges: user made");
    etc.record(POOL_USER, Range { first: block.first, count: block.end - block.first })
}

/// Lets a block go that the engine at `root` has: another may take it.
pub(crate) fn let_go(root: &Path, block: Block) -> Result<()> {
    // The link is named after the first range of the block in the pool, which may lie before what the engine got of it.
    let last = (block.first / SLOT).saturating_add(1);
    for number in last.saturating_sub(BLOCK)..last {
        let link = Path::new(BLOCKS).join(number.to_string());
        if std::fs::read_link(&link).is_ok_and(|owner| owner == root) {
            std::fs::remove_file(&link)
                .doing(|| format!("let a block of IDs go: remove {}", link.display()))?;
        }
    }
    // Gone with the last one; others may have blocks.
    let _ = std::fs::remove_dir(BLOCKS);
    Ok(())
}

/// Takes a link of an engine that is gone, unless somebody else was quicker.
fn take_over(link: &Path, owner: &Path, root: &Path) -> Result<bool> {
    let failed = || format!("take a block of IDs over: {}", link.display());
    // Whoever takes one over holds the folder's lock: between the look and the change nobody else can.
    let folder = std::fs::File::open(link.parent().unwrap_or(link)).doing(failed)?;
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive).doing(failed)?;
    if !std::fs::read_link(link).is_ok_and(|now| now == owner) {
        return Ok(false);
    }
    std::fs::remove_file(link).doing(failed)?;
    match std::os::unix::fs::symlink(root, link) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        other => other.doing(failed).map(|()| true),
    }
}

/// Where the first stretch of IDs ends that this process has; `None` if it has all.
fn end_of_map(file: &str) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).ok()?;
    let mut lines: Vec<(u32, u32)> = text
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u32>);
            let (inside, _, count) = (numbers.next()?.ok()?, numbers.next()?, numbers.next()?.ok()?);
            Some((inside, count))
        })
        .collect();
    lines.sort_unstable();
    let mut end: u32 = 0;
    for (inside, count) in lines {
        if inside > end {
            break;
        }
        end = end.max(inside.saturating_add(count));
    }
    (end != u32::MAX).then_some(end)
}

/// A part of the pool that one engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct Block {
    /// First ID.
    pub(crate) first: u32,
    /// The ID after the last.
    pub(crate) end: u32,
}

/// IDs that somebody else has: entries of subuid(5), users, groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    /// First ID and the one after the last, sorted, not overlapping.
    spans: Vec<(u32, u32)>,
}

impl Taken {
    pub(crate) fn new(spans: impl IntoIterator<Item = (u32, u32)>) -> Taken {
        let mut sorted: Vec<(u32, u32)> = spans.into_iter().collect();
        sorted.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::new();
        for (first, end) in sorted {
            match merged.last_mut() {
                Some(last) if first <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((first, end)),
            }
        }
        Taken { spans: merged }
    }

    /// Where the first span ends that overlaps `first..end`.
    pub(crate) fn overlap(&self, first: u32, end: u32) -> Option<u32> {
        let at = self.spans.partition_point(|(_, last)| *last <= first);
        self.spans.get(at).filter(|(from, _)| *from < end).map(|(_, last)| *last)
    }
}

/// The next free range of `size` IDs in `blocks`, after the one that was handed out last, so that a range is not
/// used again before all others were. `held` says where a range ends that a container holds and that overlaps.
pub(crate) fn next_free(
    blocks: &[Block],
    size: u32,
    last: u32,
    taken: &Taken,
    mut held: impl FnMut(u32, u32) -> Result<Option<u32>>,
) -> Result<Option<u32>> {
    let mut sorted = blocks.to_vec();
    sorted.sort_unstable();
    let after = sorted.iter().map(|block| Block { first: block.first.max(last.saturating_add(1)), ..*block });
    for block in after.chain(sorted.iter().copied()) {
        let mut from = block.first;
        while let Some(start) = from.div_ceil(SLOT).checked_mul(SLOT) {
            let Some(end) = start.checked_add(size).filter(|end| *end <= block.end) else { break };
            if let Some(next) = taken.overlap(start, end) {
                from = next;
            } else if let Some(next) = held(start, end)? {
                from = next.max(start + 1);
            } else {
                return Ok(Some(start));
            }
        }
    }
    Ok(None)
}

/// What there is to say when no range is left.
pub(crate) fn exhausted(size: u32, pool: Pool, kept: i64) -> Error {
    let kept = match kept {
        0 => String::new(),
        kept => format!(
            " ({kept} are kept for good: their containers could leave files or IPC objects with these IDs, by --ipc=host, \
             :noidmap or file systems that cannot map IDs)"
        ),
    };
    Error::Invalid(format!(
        "no range of {size} IDs is free in the pool {}-{}{kept}: remove containers, give less with --userns=auto:size=N, or \
         set userns-auto-pool in /etc/bulkhead/daemon.json",
        pool.first, pool.last
    ))
}

#[cfg(test)]
mod tests {
    use super::{Block, ENGINE_S, Pool, SLOT, Taken, next_free};
    use proptest::prelude::*;
    use std::path::Path;

    const ALL: Block = Block { first: 8 * SLOT, end: 40 * SLOT };

    #[test]
    fn ranges_are_aligned_and_go_round() {
        let free = |last| next_free(&[ALL], SLOT, last, &Taken::default(), |_, _| Ok(None)).unwrap().unwrap();
        assert_eq!(free(0), 8 * SLOT);
        assert_eq!(free(8 * SLOT), 9 * SLOT);
        assert_eq!(free(39 * SLOT), 8 * SLOT, "after the last comes the first");
        let large = next_free(&[ALL], 3 * SLOT + 1, 8 * SLOT, &Taken::default(), |_, _| Ok(None)).unwrap();
        assert_eq!(large, Some(9 * SLOT));
        let none = next_free(&[ALL], 33 * SLOT, 0, &Taken::default(), |_, _| Ok(None)).unwrap();
        assert_eq!(none, None);
    }

    #[test]
    fn what_others_have_is_stepped_over() {
        let taken = Taken::new([(8 * SLOT + 5, 8 * SLOT + 6), (9 * SLOT, 11 * SLOT + 1)]);
        assert_eq!(next_free(&[ALL], SLOT, 0, &taken, |_, _| Ok(None)).unwrap(), Some(12 * SLOT));
    }

    #[test]
    fn each_engine_has_blocks_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let pool = Pool { first: 524_288, last: 524_288 + 300 * SLOT - 1 };
        let take = |root: &str, known: &[Block]| {
            pool.take_block_in(folder.path(), Path::new(root), known, 0).unwrap()
        };
        let roots = tempfile::tempdir().unwrap();
        let root = |name: &str| {
            let path = roots.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (first_root, second_root) = (root("one"), root("two"));
        let (one, two) = (take(&first_root, &[]).unwrap(), take(&second_root, &[]).unwrap());
        assert!(one.end <= two.first);
        assert_eq!(two.end, 524_288 + 300 * SLOT, "the last block is as large as the pool allows");
        assert_eq!(take(&first_root, &[]), Some(one), "a block whose record was lost is found again");
        assert_eq!(take(&first_root, &[one]), None);
        std::fs::remove_dir(&second_root).unwrap();
        let left = Block { first: two.first + ENGINE_S, ..two };
        assert_eq!(
            take(&first_root, &[one]),
            Some(left),
            "that of an engine which is gone, but for its own ranges"
        );
        assert_eq!(take(&first_root, &[one, left]), None);
    }

    #[test]
    fn people_find_ranges_below_the_blocks() {
        let blocks = Pool::default().blocks(600_100_000);
        assert!(blocks.first().unwrap().1.first > 600_100_000);
        assert_eq!(blocks.last().map(|(_, block)| block.first <= 600_100_000), Some(true));
    }

    #[test]
    fn pools_are_read_or_refused() {
        assert_eq!(Pool::read("524288-1879048191"), Some(Pool::default()));
        for bad in ["", "5", "0-100000", "1000-70000", "200000-100000", "70000-4294967295", "a-b"] {
            assert_eq!(Pool::read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_handed_out_is_free(
            spans in proptest::collection::vec((8 * SLOT..40 * SLOT, 1u32..200_000), 0..20),
            size in 1u32..300_000, last in 0u32..50 * SLOT,
        ) {
            let spans: Vec<(u32, u32)> = spans.into_iter().map(|(first, count)| (first, first + count)).collect();
            let taken = Taken::new(spans.clone());
            if let Some(first) = next_free(&[ALL], size, last, &taken, |_, _| Ok(None)).unwrap() {
                prop_assert!(first % SLOT == 0 && first >= ALL.first && first + size <= ALL.end);
                prop_assert!(spans.iter().all(|(from, end)| *end <= first || *from >= first + size));
            }
        }
    }
}
