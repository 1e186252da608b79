//! The two doors of 32-bit x86 that lead to many calls: socketcall(2) and ipc(2).
//!
//! Until Linux 4.3 a 32-bit program could open a socket only by `socketcall(SYS_SOCKET, arguments)`, and
//! that way is still there. A rule about `socket` that knew only the direct call could be walked around by
//! any program, a 64-bit one too (`int 0x80`). So a rule about such a call says the same of its door, as
//! far as a filter can see: it sees which call is meant, but not the arguments, which lie in memory. Hence
//! a rule with conditions is carried over only if it forbids, and then forbids the whole of it.

use super::rules::Condition;
use super::words::Operator;

/// The first argument of socketcall for socket(2).
pub(super) const SYS_SOCKET: u64 = 1;

const SOCKETCALL: u32 = 102;
const IPC: u32 = 117;
/// Marks, in [`DOORS`], what is behind ipc.
const BY_IPC: u16 = 0x100;

/// Calls by their numbers in linux/net.h (SYS_SOCKET …) and linux/ipc.h (SEMOP …).
pub(super) const DOORS: [(&str, u16); 32] = [
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
    ("semop", BY_IPC | 1),
    ("semget", BY_IPC | 2),
    ("semctl", BY_IPC | 3),
    ("semtimedop", BY_IPC | 4),
    ("msgsnd", BY_IPC | 11),
    ("msgrcv", BY_IPC | 12),
    ("msgget", BY_IPC | 13),
    ("msgctl", BY_IPC | 14),
    ("shmat", BY_IPC | 21),
    ("shmdt", BY_IPC | 22),
    ("shmget", BY_IPC | 23),
    ("shmctl", BY_IPC | 24),
];

/// The door's number, and how its first argument shows that a call is meant.
pub(super) fn companion(door: u16) -> (u32, Condition) {
    let call = u64::from(door & !BY_IPC);
    let condition = |operator, value, value_two| Condition { argument: 0, operator, value, value_two };
    if door & BY_IPC == 0 {
        (SOCKETCALL, condition(Operator::Equal, call, 0))
    } else {
        // The upper half is a version.
        (IPC, condition(Operator::MaskedEqual, 0xffff, call))
    }
}

/// Whether a rule is carried over.
pub(super) fn extends(outcome: u32, default: u32, unconditional: bool) -> bool {
    unconditional || stricter(outcome, default) == outcome
}

/// The stricter of two outcomes, in the order in which the kernel prefers them among filters.
pub(super) fn stricter(left: u32, right: u32) -> u32 {
    // The action is compared as a signed number, so that KILL_PROCESS comes first (SECCOMP_RET_ACTION_FULL).
    let rank = |outcome: u32| (outcome & 0xffff_0000).cast_signed();
    if rank(right) < rank(left) { right } else { left }
}
