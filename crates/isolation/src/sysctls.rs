//! Kernel parameters of a container's namespaces (sysctl(8), `--sysctl`), written through its own /proc before
//! /proc/sys is made read-only. Which names concern a namespace, and not the machine, the plan's maker checks.

use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::error::{Result, Step};

/// Those of the System V IPC namespace (ipc_namespaces(7)); all others of `kernel.` are the machine's.
const OF_IPC: [&str; 9] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
    "kernel.shm_next_id",
];

/// Whether the parameter with this dotted name is each IPC namespace's own.
pub fn is_of_ipc(name: &str) -> bool {
    OF_IPC.contains(&name) || name.starts_with("fs.mqueue.")
}

/// In the child: sets the parameters, each a dotted name and its value.
pub(crate) fn apply(root: BorrowedFd<'_>, sysctls: &[(String, String)]) -> Result<()> {
    for (name, value) in sysctls {
        // A slash in a name stands for a dot in a link's name (eth0.100), as sysctl(8) has it.
        let path: String = name
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect();
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Whoever checked the name, it cannot lead out of the folder that its first part names.
        let (first, rest) = path.split_once('/').unwrap_or(("", &path));
        openat2(root, format!("proc/sys/{first}"), folder, Mode::empty(), resolve)
            .and_then(|base| openat2(&base, rest, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), resolve))
            .and_then(|file| rustix::io::write(&file, value.as_bytes()))
            .step("sysctls", || format!("set {name} to {value}"))?;
    }
    Ok(())
}
