//! What every program in a container may use, whatever its capabilities, grouped by what it is for.
//!
//! Where a call needs a capability for some of its uses (chown, mknod, setuid, a raw socket), the kernel's own
//! check is enough, since the objects belong to the container. Names of several tables stand together: `stat`,
//! `stat64`, `statx` are the same question, asked by programs of different age. Names are in one string for
//! each group because the list is read a thousand times and looked up once.

/// All groups.
pub(super) const GROUPS: [&str; 15] = [
    PROCESSES,
    SIGNALS,
    MEMORY,
    FILES,
    NAMES,
    ATTRIBUTES,
    FILE_SYSTEMS,
    WAITING,
    SOCKETS,
    SYSTEM_V,
    IDENTITY,
    CLOCKS,
    SCHEDULING,
    SANDBOXES,
    MACHINES,
];

/// To begin, end, watch and name processes. Those of others are behind the PID namespace. `clone` and `clone3`
/// are not here: they depend on their flags. `uretprobe` is made by the kernel itself, in programs that somebody
/// outside traces; without it they would die.
const PROCESSES: &str = "
    execve execveat exit exit_group fork vfork wait4 waitid waitpid
    getpid getppid gettid getpgid getpgrp getsid setpgid setsid
    pidfd_open pidfd_send_signal process_mrelease
    set_tid_address set_robust_list get_robust_list get_thread_area set_thread_area
    prctl rseq uname sysinfo umask getcpu times getrusage
    getrlimit setrlimit prlimit64 ugetrlimit uretprobe restart_syscall getrandom
";

/// Signals, within the PID namespace and by the kernel's rules about users.
const SIGNALS: &str = "
    kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
    sigaltstack sigprocmask sigreturn signalfd signalfd4 pause
";

/// The process's own memory. Placing it on NUMA nodes is CAP_SYS_NICE's; other processes' memory is tracing.
const MEMORY: &str = "
    brk mmap mmap2 munmap mremap mprotect madvise mincore msync remap_file_pages
    mlock mlock2 mlockall munlock munlockall membarrier mseal map_shadow_stack
    memfd_create memfd_secret pkey_alloc pkey_free pkey_mprotect
";

/// To open, read, write and copy. `open_by_handle_at` is not here: it opens any inode of a file system by number,
/// past every folder, which is how Docker's first famous escape read the host's files; `name_to_handle_at` only
/// asks for that number.
const FILES: &str = "
    open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 flock ioctl
    read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2
    lseek _llseek ftruncate ftruncate64 truncate truncate64 fallocate
    fadvise64 fadvise64_64 readahead fsync fdatasync sync sync_file_range syncfs cachestat
    copy_file_range sendfile sendfile64 splice tee vmsplice pipe pipe2
    io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64
    name_to_handle_at
";

/// To make, find, move and remove names. A device that mknod makes opens only if the container's devices allow it.
const NAMES: &str = "
    mkdir mkdirat mknod mknodat rmdir unlink unlinkat link linkat symlink symlinkat readlink readlinkat
    rename renameat renameat2 getdents getdents64 chdir fchdir getcwd access faccessat faccessat2
    inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
";

/// What inodes say about themselves.
const ATTRIBUTES: &str = "
    stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx
    chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32
    utime utimes futimesat utimensat utimensat_time64
    getxattr lgetxattr fgetxattr getxattrat listxattr llistxattr flistxattr listxattrat
    setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat
";

/// Questions about mounts; to change them is CAP_SYS_ADMIN's.
const FILE_SYSTEMS: &str = "statfs statfs64 fstatfs fstatfs64 statmount listmount";

/// To wait for something to happen.
const WAITING: &str = "
    poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2
    eventfd eventfd2
    futex futex_time64 futex_wait futex_wake futex_waitv futex_requeue
";

/// Sockets that there are; which ones can be made depends on the family.
const SOCKETS: &str = "
    socketpair bind connect listen accept accept4 shutdown getsockname getpeername getsockopt setsockopt
    send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64
";

/// Message queues, semaphores and shared memory: all of it within the IPC namespace.
const SYSTEM_V: &str = "
    ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
    mq_open mq_unlink mq_notify mq_getsetattr
    mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
";

/// Users, groups and capabilities of the process itself. To take others needs capabilities in its own user
/// namespace.
const IDENTITY: &str = "
    getuid getuid32 geteuid geteuid32 getresuid getresuid32 getgid getgid32 getegid getegid32 getresgid getresgid32
    getgroups getgroups32 setgroups setgroups32
    setuid setuid32 setreuid setreuid32 setresuid setresuid32 setfsuid setfsuid32
    setgid setgid32 setregid setregid32 setresgid setresgid32 setfsgid setfsgid32
    capget capset
";

/// To read clocks and use timers. The adjtime calls are here because they also read, and check CAP_SYS_TIME
/// for the rest.
const CLOCKS: &str = "
    time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64
    clock_nanosleep clock_nanosleep_time64 nanosleep alarm getitimer setitimer
    adjtimex clock_adjtime clock_adjtime64
    timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
";

/// Priorities and processors, within what the control group leaves.
const SCHEDULING: &str = "
    getpriority setpriority ioprio_get ioprio_set sched_yield
    sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam
    sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min
    sched_rr_get_interval sched_rr_get_interval_time64
";

/// What a program gives up for itself: it can only lose by these.
const SANDBOXES: &str = "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self";

/// What single machines need: the thread pointer and segments of x86 (wine and old threads libraries use
/// them), ARM's private calls and argument orders, RISC-V's instruction cache and feature list.
const MACHINES: &str = "
    arch_prctl modify_ldt
    arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls
    riscv_flush_icache riscv_hwprobe
";
