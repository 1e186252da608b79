//! From a system call's name to its number in every table, in one search.
//!
//! The same name has another number on every architecture. The `syscalls` crate has the kernel's tables as
//! enums; from them the compiler builds, while it compiles, one array of rows sorted by name, so that a
//! profile with 400 names costs 400 binary searches and nothing at start-up. Names lie in one block of
//! bytes instead of 480 pointers, which every process of a position-independent executable would have to
//! relocate into pages of its own.
//!
//! x32 has x86-64's numbers with bit 30 set, but for 36 calls whose structures differ, which have numbers
//! from 512 on, and a few that it lacks (arch/x86/entry/syscalls/syscall_64.tbl).

use syscalls::{aarch64, arm, riscv64, x86, x86_64};

use super::arch::{Abi, X32_BIT};
use super::multiplex::DOORS;

/// Five tables, and the call's number behind the doors of 32-bit x86.
const COLUMNS: usize = 6;
const ABSENT: u16 = u16::MAX;
/// ARM's private calls are numbered from 0x0f0000; in a row they stand as this plus the rest.
const ARM_PRIVATE: u16 = 0xf000;

/// Names that the crate's tables lack: libseccomp's names for calls that are there under another one, and
/// ARM's private calls.
const MORE: [(&str, usize, u16); 5] = [
    ("newfstatat", 2, 79),
    ("sync_file_range2", 3, 341),
    ("breakpoint", 3, ARM_PRIVATE | 1),
    ("cacheflush", 3, ARM_PRIVATE | 2),
    ("set_tls", 3, ARM_PRIVATE | 5),
];

const ENTRIES: usize = x86_64::Sysno::count()
    + x86::Sysno::count()
    + aarch64::Sysno::count()
    + arm::Sysno::count()
    + riscv64::Sysno::count()
    + MORE.len()
    + DOORS.len();

const fn before(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut at = 0;
    while at < left.len() && at < right.len() {
        if left[at] != right[at] {
            return left[at] < right[at];
        }
        at += 1;
    }
    left.len() < right.len()
}

/// The first eight bytes as a number that sorts as they do.
const fn key(name: &[u8]) -> u64 {
    let (mut key, mut at) = (0, 0);
    while at < 8 {
        key = key << 8 | if at < name.len() { name[at] as u64 } else { 0 };
        at += 1;
    }
    key
}

/// All (name, column, number), sorted by name.
#[expect(clippy::cast_possible_truncation, reason = "the tables' numbers are far below 65,535")]
const fn sorted() -> [(&'static str, usize, u16); ENTRIES] {
    let mut all = [("", 0, 0); ENTRIES];
    let mut filled = 0;
    macro_rules! take {
        ($($column:literal $table:ident),+) => {$(
            let mut id = 0;
            while id < $table::Sysno::table_size() {
                if let Some(call) = $table::Sysno::new(id) {
                    all[filled] = (call.name(), $column, id as u16);
                    filled += 1;
                }
                id += 1;
            }
        )+};
    }
    take!(0 x86_64, 1 x86, 2 aarch64, 3 arm, 4 riscv64);
    let mut more = 0;
    while more < MORE.len() {
        all[filled] = MORE[more];
        filled += 1;
        more += 1;
    }
    let mut door = 0;
    while door < DOORS.len() {
        all[filled] = (DOORS[door].0, 5, DOORS[door].1);
        filled += 1;
        door += 1;
    }
    assert!(filled == ENTRIES);
    // Shell's sort: short, and this runs in the compiler only.
    let mut gap = 797;
    while gap > 0 {
        let mut place = gap;
        while place < ENTRIES {
            let entry = all[place];
            let mut hole = place;
            while hole >= gap && before(entry.0, all[hole - gap].0) {
                all[hole] = all[hole - gap];
                hole -= gap;
            }
            all[hole] = entry;
            place += 1;
        }
        gap /= 3;
    }
    all
}

static SORTED: [(&str, usize, u16); ENTRIES] = sorted();

/// How many rows, and how many bytes of names.
const SIZE: (usize, usize) = {
    let (mut rows, mut bytes, mut at) = (0, 0, 0);
    while at < ENTRIES {
        if at == 0 || before(SORTED[at - 1].0, SORTED[at].0) {
            rows += 1;
            bytes += SORTED[at].0.len();
        }
        at += 1;
    }
    (rows, bytes)
};

#[derive(Clone, Copy)]
struct Row {
    /// The name's first eight bytes, which tell most names apart in one comparison.
    key: u64,
    start: u16,
    len: u16,
    numbers: [u16; COLUMNS],
}

#[expect(clippy::cast_possible_truncation, reason = "the names have some 6,000 bytes")]
const TABLE: ([Row; SIZE.0], [u8; SIZE.1]) = {
    let mut rows = [Row { key: 0, start: 0, len: 0, numbers: [ABSENT; COLUMNS] }; SIZE.0];
    let mut names = [0; SIZE.1];
    let (mut row, mut end, mut at) = (0, 0, 0);
    while at < ENTRIES {
        let (name, column, number) = SORTED[at];
        if at > 0 && before(SORTED[at - 1].0, name) {
            row += 1;
        }
        if rows[row].len == 0 {
            rows[row].key = key(name.as_bytes());
            rows[row].start = end as u16;
            rows[row].len = name.len() as u16;
            let mut byte = 0;
            while byte < name.len() {
                names[end] = name.as_bytes()[byte];
                end += 1;
                byte += 1;
            }
        }
        rows[row].numbers[column] = number;
        at += 1;
    }
    (rows, names)
};

static ROWS: [Row; SIZE.0] = TABLE.0;
static NAMES: [u8; SIZE.1] = TABLE.1;

/// x32's own numbers, by x86-64's, in their order.
const X32: [(u16, u16); 36] = [
    (13, 512),
    (15, 513),
    (16, 514),
    (19, 515),
    (20, 516),
    (45, 517),
    (46, 518),
    (47, 519),
    (54, 541),
    (55, 542),
    (59, 520),
    (101, 521),
    (127, 522),
    (128, 523),
    (129, 524),
    (131, 525),
    (206, 543),
    (209, 544),
    (222, 526),
    (244, 527),
    (246, 528),
    (247, 529),
    (273, 530),
    (274, 531),
    (278, 532),
    (279, 533),
    (295, 534),
    (296, 535),
    (297, 536),
    (299, 537),
    (307, 538),
    (310, 539),
    (311, 540),
    (322, 545),
    (327, 546),
    (328, 547),
];

/// x86-64's calls that x32 has not: those for 64-bit programs alone, most of them never implemented.
const NOT_X32: [u16; 13] = [134, 156, 174, 177, 178, 180, 205, 211, 214, 215, 236, 335, 336];

/// One call's numbers in all tables.
#[derive(Clone, Copy)]
pub(super) struct Numbers([u16; COLUMNS]);

impl Numbers {
    /// Its number in this table, as `seccomp_data.nr` has it.
    pub(super) fn on(self, abi: Abi) -> Option<u32> {
        let [x86_64, x86, aarch64, arm, riscv64, _] = self.0;
        let number = match abi {
            Abi::X86_64 | Abi::X32 => x86_64,
            Abi::X86 => x86,
            Abi::Aarch64 => aarch64,
            Abi::Arm => arm,
            Abi::Riscv64 => riscv64,
        };
        if number == ABSENT {
            return None;
        }
        match abi {
            Abi::X32 if NOT_X32.contains(&number) => None,
            Abi::X32 => {
                let place = X32.binary_search_by_key(&number, |(native, _)| *native).ok();
                let own = place.and_then(|place| X32.get(place)).map_or(number, |(_, own)| *own);
                Some(u32::from(own) | X32_BIT)
            }
            Abi::Arm if number >= ARM_PRIVATE => Some(0x000f_0000 | u32::from(number & 0xfff)),
            _ => Some(u32::from(number)),
        }
    }

    /// Its place in [`DOORS`]' terms, if 32-bit x86 has another way to it.
    pub(super) fn behind_door(self) -> Option<u16> {
        let [.., door] = self.0;
        (door != ABSENT).then_some(door)
    }
}

/// The numbers of the call with this name, if any table has it.
pub(super) fn find(name: &str) -> Option<Numbers> {
    let wanted = key(name.as_bytes());
    let name_of = |row: &Row| {
        let start = usize::from(row.start);
        NAMES.get(start..start + usize::from(row.len)).unwrap_or_default()
    };
    let order = |row: &Row| row.key.cmp(&wanted).then_with(|| name_of(row).cmp(name.as_bytes()));
    let at = ROWS.binary_search_by(order).ok()?;
    ROWS.get(at).map(|row| Numbers(row.numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_every_table_is_found_with_its_number() {
        for (name, column, number) in SORTED {
            let row = find(name).unwrap();
            assert_eq!(row.0[column], number, "{name}");
        }
        assert!(find("").is_none() && find("zzz").is_none() && find("rea").is_none());
    }

    #[test]
    fn numbers_are_the_kernels() {
        let on = |name, abi| find(name).and_then(|numbers| numbers.on(abi));
        assert_eq!(on("execve", Abi::X86_64), Some(59));
        assert_eq!(on("execve", Abi::X86), Some(11));
        assert_eq!(on("execve", Abi::X32), Some(X32_BIT + 520));
        assert_eq!(on("openat2", Abi::X32), Some(X32_BIT + 437));
        assert_eq!(on("set_thread_area", Abi::X32), None);
        assert_eq!(on("newfstatat", Abi::Aarch64), Some(79));
        assert_eq!(on("newfstatat", Abi::Riscv64), Some(79));
        assert_eq!(on("open", Abi::Aarch64), None);
        assert_eq!(on("set_tls", Abi::Arm), Some(0x000f_0005));
        assert_eq!(on("waitpid", Abi::X86_64), None);
        assert_eq!(on("waitpid", Abi::X86), Some(7));
    }
}
