//! Calls that a capability opens.
//!
//! Without the capability they could do nothing but fail, in code that has had its bugs before the check: so
//! they are refused here already. `clone` and `clone3`, which CAP_SYS_ADMIN frees, depend on more and stand in
//! the policy itself.

/// Other processes' memory and registers: without CAP_SYS_PTRACE only for one's own children and equals, which
/// debuggers and crash handlers in containers need.
pub(super) const TRACING: &str = "ptrace process_vm_readv process_vm_writev";

/// Capability, calls.
pub(super) const CALLS: [(&str, &str); 14] = [
    // The administration of mounts, namespaces, names, quotas and what only engines inside of a container need.
    // Bits of it have capabilities of their own by now, below. open_tree_attr (Linux 6.15) is open_tree and
    // mount_setattr in one; Docker's list has not caught up with it.
    (
        "CAP_SYS_ADMIN",
        "mount mount_setattr move_mount umount umount2 open_tree open_tree_attr fsconfig fsmount fsopen fspick
         setns unshare sethostname setdomainname quotactl quotactl_fd
         bpf perf_event_open syslog lookup_dcookie fanotify_init
         lsm_get_self_attr lsm_set_self_attr lsm_list_modules",
    ),
    ("CAP_SYS_PTRACE", "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp"),
    // Any inode by number. The kernel wants it in the host's user namespace, or for a file system of its own.
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    ("CAP_SYS_CHROOT", "chroot"),
    // In a PID namespace reboot ends the namespace's init.
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_MODULE", "init_module finit_module delete_module"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_RAWIO", "iopl ioperm"),
    ("CAP_SYS_TIME", "settimeofday stime clock_settime clock_settime64"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    // Which memory node, for whoever may also decide on real-time priorities.
    ("CAP_SYS_NICE", "get_mempolicy set_mempolicy set_mempolicy_home_node mbind"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
];
