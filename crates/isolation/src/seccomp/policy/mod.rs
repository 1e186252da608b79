//! The default policy: what a container may ask of the kernel when nobody says otherwise.
//!
//! It has the strength of Docker's default profile (moby 29), call for call, so that what runs there runs
//! here; the differences are few and on the strict side, and named where they stand. Everything that is not
//! named fails with EPERM (or ENOSYS, if it is newer than all that is named): killing instead would turn each
//! harmless probe into a crash.
//!
//! A capability that the container has opens the calls that it is for ([`gated`]), because without them
//! the capability would be worth nothing; the kernel still checks it, against the container's own user
//! namespace. [`open`] has what every program may use. Below are the calls that depend on arguments.
//!
//! Nowhere here, for any container, since nothing that belongs into one needs them and each has opened
//! kernels before: io_uring (a second system call interface, which no filter sees into), userfaultfd
//! (stops the kernel in the middle of its work, the classic aid of exploits), keyctl, add_key, request_key
//! (keyrings are not namespaced), kexec, swap, pivot_root, nfsservctl, vm86, ustat, sysfs, uselib,
//! move_pages and migrate_pages (where the host's memory lies).

mod gated;
mod open;

use std::borrow::Cow;

use super::docker::holds;
use super::multiplex::SYS_SOCKET;
use super::profile::{Arg, Rule, Seccomp};
use super::words::{Action, Architecture, Operator};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (clone(2)). CLONE_NEWTIME is not a flag
/// of clone: its bit belongs to the exit signal there.
const NAMESPACES: u64 = 0x7e02_0000;

/// personality(2): Linux as it is (0), 32-bit machine names (8, PER_LINUX32), the uname of Linux 2.6
/// (0x20000, UNAME26), both, and the question which it is now. The others weaken address randomisation or
/// make data executable, in set-user-ID programs too.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Address families (linux/socket.h) above those of every day, which are below AF_DECnet (12).
///
/// A list of what is allowed, not of what is not: the kernel reads 32 bits of the family, so a filter that
/// forbids 38 lets 2^32 + 38 through. Missing are AF_ALG (38: the kernel's cryptography, a local root exploit
/// more than once), AF_VSOCK (40: has no namespaces, so it reaches the hypervisor and the host's services),
/// and families that kernels have dropped or that nothing uses: DECnet, Econet, ATM SVC, IrDA, Wanpipe, ISDN,
/// CAIF.
const FAMILIES: [u64; 25] =
    [13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45];
const AF_DECNET: u64 = 12;

/// The default policy of a container with these capabilities (its bounding set; names with or without
/// `CAP_`) under a kernel of this version (major, minor). It serves every machine: tables and calls that one
/// has not are passed over when it is compiled.
pub fn default_policy<S: AsRef<str>>(capabilities: &[S], kernel: (u32, u32)) -> Seccomp {
    let mut names: Vec<Cow<'static, str>> = Vec::with_capacity(512);
    let mut allow = |calls: &'static str| names.extend(calls.split_ascii_whitespace().map(Cow::Borrowed));
    for group in open::GROUPS {
        allow(group);
    }
    for (capability, calls) in gated::CALLS {
        if holds(capabilities, capability) {
            allow(calls);
        }
    }
    // Until Linux 4.8 a tracer could change a call after the filter had passed it.
    if kernel >= (4, 8) {
        allow(gated::TRACING);
    }
    let mut syscalls = vec![Rule { names, action: Action::Allow, errno_ret: None, args: Vec::new() }];
    let mut when = |name, arg| syscalls.push(rule(name, Action::Allow, None, arg));

    for persona in PERSONALITIES {
        when("personality", Some(equal(persona)));
    }
    when("socket", Some(arg(Operator::Less, AF_DECNET, 0)));
    for family in FAMILIES {
        when("socket", Some(equal(family)));
    }
    if holds(capabilities, "CAP_SYS_ADMIN") {
        when("clone", None);
        when("clone3", None);
    } else {
        // Threads and processes, but no namespaces: in a user namespace of its own a process has every
        // capability, and with it the parts of the kernel that only root could reach before.
        when("clone", Some(arg(Operator::MaskedEqual, NAMESPACES, 0)));
        // Its flags lie in memory, where no filter sees them. libc takes this answer for an old kernel's and
        // uses clone.
        syscalls.push(rule("clone3", Action::Errno, Some(ENOSYS), None));
    }
    // The old door to sockets on 32-bit x86, whose family lies in memory as well. The rules about bind, send
    // and so on open it for all else by themselves. Docker's profile leaves this one open and has AppArmor or
    // SELinux forbid AF_ALG behind it; here the filter must hold alone. It costs 32-bit programs whose libc is
    // older than 2016, or that are written in Go, their sockets.
    syscalls.push(rule("socketcall", Action::Errno, Some(ENOSYS), Some(equal(SYS_SOCKET))));

    Seccomp {
        default_action: Action::Errno,
        default_errno_ret: Some(EPERM),
        architectures: vec![
            Architecture::X86_64,
            Architecture::X86,
            Architecture::X32,
            Architecture::Aarch64,
            Architecture::Arm,
            Architecture::Riscv64,
        ],
        flags: None,
        listener_path: None,
        listener_metadata: None,
        syscalls,
    }
}

fn rule(name: &'static str, action: Action, errno_ret: Option<u32>, arg: Option<Arg>) -> Rule {
    Rule { names: vec![Cow::Borrowed(name)], action, errno_ret, args: arg.into_iter().collect() }
}

/// A condition on the first argument.
fn arg(op: Operator, value: u64, value_two: u64) -> Arg {
    Arg { index: 0, value, value_two, op }
}

fn equal(value: u64) -> Arg {
    arg(Operator::Equal, value, 0)
}
