//! Attacks on what all containers share: the kernel and its settings. What would harm the machine is not done, even
//! where it can be: then what stands for it is as near to it as can be, and changes nothing.

use bulkhead_tests::{Host, skip};

use crate::attacks::Attack;
use crate::both;

/// All that can be asked for short of the host's user namespace.
const FLAGS: [&str; 3] =
    ["--cap-add=ALL", "--security-opt=seccomp=unconfined", "--security-opt=systempaths=unconfined"];

fn attack(script: &str) -> Attack<'_> {
    Attack { flags: &FLAGS, script, ..Attack::default() }
}

#[test]
fn settings_of_the_kernel_are_written() {
    let host = Host::new("attack-sysctl").with_busybox();
    // To open them for writing is all that is checked; nothing is written.
    for file in [
        "kernel/core_pattern",
        "kernel/panic",
        "kernel/hostname",
        "kernel/printk",
        "vm/drop_caches",
        "fs/file-max",
    ] {
        attack(&format!("(: >> /proc/sys/{file}) 2>/dev/null && echo won")).holds(&host);
    }
    // Through a bind of the host's, too.
    let flags = both(&FLAGS, &["-v", "/proc/sys:/s"]);
    let script = "(: >> /s/kernel/core_pattern) 2>/dev/null && echo won";
    Attack { flags: &flags, script, ..Attack::default() }.holds(&host);
    host.finish_clean();
}

#[test]
fn the_magic_key_is_pressed() {
    let host = Host::new("attack-sysrq").with_busybox();
    if host.sh("test -e /proc/sysrq-trigger").run().code() != 0 {
        skip!("this kernel has no /proc/sysrq-trigger");
    }
    attack("(: >> /proc/sysrq-trigger) 2>/dev/null && echo won").holds(&host);
    host.finish_clean();
}

#[test]
fn the_clock_is_set() {
    let host = Host::new("attack-clock").with_busybox();
    // The neighbour: the length of a tick, which is under the same capability, set to what it is.
    attack("adjtimex -t $(adjtimex | awk '$1 == \"-t\" { print $3 }') >/dev/null 2>&1 && echo won")
        .holds(&host);
    attack("date -s \"$(date '+%Y-%m-%d %H:%M:%S')\" 2>&1 | grep -q 'not permitted' || echo won")
        .is_held(&host);
    host.finish_clean();
}

#[test]
fn a_module_is_loaded() {
    let host = Host::new("attack-module").with_busybox();
    if host.sh("test -e /proc/modules").run().code() != 0 {
        skip!("this kernel knows no modules");
    }
    // No module, so the kernel says that it is none to whoever may load one.
    attack("insmod /bin/busybox 2>&1 | grep -qiE 'format|invalid module' && echo won").holds(&host);
    host.finish_clean();
}

#[test]
fn a_block_device_is_mounted() {
    let host = Host::new("attack-mount").with_busybox();
    if host.sh("test -b /dev/loop0 && head -c1 /dev/loop0").run().code() != 0 {
        skip!("there is no loop device on this machine, and no other device is harmless to try");
    }
    // There is nothing in it, so whoever may mount it hears that it is no such file system.
    let flags = both(&FLAGS, &["--device=/dev/loop0"]);
    let script = "mkdir /m; for kind in ext4 xfs btrfs vfat; do
        mount -t $kind /dev/loop0 /m 2>&1 | grep -qiE 'invalid argument|superblock|i/o error' && echo won; done";
    Attack { flags: &flags, script, ..Attack::default() }.holds(&host);
    // What a user namespace of one's own allows still works.
    attack("mkdir /m; mount -t tmpfs x /m || exit 9").is_held(&host);
    host.finish_clean();
}

#[test]
fn a_release_agent_is_set() {
    let host = Host::new("attack-release-agent").with_busybox();
    if host.sh("grep -q ' cgroup ' /proc/mounts").run().code() != 0 {
        skip!("there is no cgroup v1 on this machine");
    }
    // Only the machine's root cgroup has the file itself, and no container ever sees that one; what runs it is set by
    // the file beside it, in a hierarchy that is mounted for the purpose.
    let script = "mkdir /m; for kind in pids memory cpu rdma; do
        mount -t cgroup -o $kind x /m 2>/dev/null || continue
        (echo 1 > /m/notify_on_release) 2>/dev/null && echo won
        for agent in $(find /m -name release_agent); do (: >> $agent) 2>/dev/null && echo won; done
        mkdir /m/x 2>/dev/null && rmdir /m/x && echo won
        umount /m; done";
    attack(script).holds(&host);
    host.finish_clean();
}

#[test]
fn what_is_the_host_s_alone_is_asked_for() {
    let host = Host::new("attack-privileges").with_busybox();
    // The kernel's log; swap (the device is none, which only those hear who may add one); a name for the host.
    attack("dmesg >/dev/null 2>&1 && echo won").holds(&host);
    attack("swapon /dev/null 2>&1 | grep -qi 'invalid argument' && echo won").holds(&host);
    let flags = both(&FLAGS, &["--uts=host"]);
    let script = "hostname $(hostname) 2>/dev/null && echo won";
    Attack { flags: &flags, script, ..Attack::default() }.holds(&host);
    // Limits of processes beyond what was given, and a place above the others.
    attack("renice -n -5 -p $$ >/dev/null 2>&1 && echo won").holds(&host);
    host.finish_clean();
}
