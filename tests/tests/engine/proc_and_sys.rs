//! /proc and /sys: what of the kernel a container sees, and what it can change.

use bulkhead_tests::Host;

use crate::sh;

#[test]
fn kernel_settings_cannot_be_changed() {
    let host = Host::new("proc-sysctl").with_busybox();
    for attack in [
        "echo 7 > /proc/sys/net/ipv4/ip_default_ttl && cat /proc/sys/net/ipv4/ip_default_ttl",
        "ip link set lo mtu 1400; echo 1300 > /sys/class/net/lo/mtu && cat /sys/class/net/lo/mtu",
    ] {
        // Both are settings of the container's own network, so that the attack is harmless where it succeeds.
        sh(&host, &["--privileged"], "busybox", attack).run().succeeds();
        let refused = sh(&host, &["--cap-add=NET_ADMIN"], "busybox", attack).run();
        assert_ne!(refused.code(), 0, "{refused}");
        refused.says("Read-only file system");
    }
    host.finish_clean();
}

#[test]
fn a_cgroup_cannot_be_made_or_left() {
    let host = Host::new("proc-cgroup").with_busybox();
    let attack = "d=/sys/fs/cgroup/pids; [ -d $d ] || d=/sys/fs/cgroup; mkdir $d/mine && rmdir $d/mine";
    sh(&host, &["--privileged"], "busybox", attack).run().succeeds();
    sh(&host, &[], "busybox", attack).run().ends_with(1).says("Read-only file system");
    host.finish_clean();
}

#[test]
fn settings_that_are_the_containers_own_can_be_given() {
    let host = Host::new("proc-sysctls").with_busybox();
    sh(&host, &["--sysctl=net.ipv4.ip_default_ttl=7"], "busybox", "cat /proc/sys/net/ipv4/ip_default_ttl")
        .prints("7");
    sh(&host, &["--sysctl", "kernel.msgmax=1234"], "busybox", "cat /proc/sys/kernel/msgmax").prints("1234");
    // One of the whole machine's may not.
    sh(&host, &["--sysctl=kernel.panic=7"], "busybox", "true").fails(125, "kernel.panic");
    sh(&host, &["--sysctl=vm.swappiness=7"], "busybox", "true").fails(125, "vm.swappiness");
    sh(&host, &["--network=host", "--sysctl=net.ipv4.ip_default_ttl=7"], "busybox", "true")
        .fails(125, "net.ipv4.ip_default_ttl");
    sh(&host, &["--sysctl=nonsense"], "busybox", "true").fails(125, "nonsense");
    host.finish_clean();
}

#[test]
fn the_kernels_memory_and_keys_are_masked() {
    let host = Host::new("proc-masked").with_busybox();
    // In the host's user namespace: in another, the kernel itself refuses some of these.
    let size = |flags: &[&str], file: &str| {
        let flags: Vec<&str> = flags.iter().copied().chain(["--userns=host"]).collect();
        sh(&host, &flags, "busybox", &format!("head -c 64 {file} 2>/dev/null | wc -c")).stdout()
    };
    for file in ["/proc/kcore", "/proc/timer_list"] {
        if host.sh(&format!("head -c 64 {file} 2>/dev/null | wc -c")).stdout() == "64" {
            assert_eq!(size(&["--privileged"], file), "64", "{file}");
        }
        assert_eq!(size(&[], file), "0", "{file}");
        assert_eq!(
            size(&["--security-opt=systempaths=unconfined"], file),
            size(&["--privileged"], file),
            "{file}"
        );
    }
    let masked = "for f in /proc/acpi /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/sched_debug \
                  /proc/scsi /sys/firmware; do [ ! -e $f ] || grep -q \" $f \" /proc/self/mountinfo || echo $f; done";
    sh(&host, &[], "busybox", masked).prints("");
    let read_only = "for f in /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger; do \
                     [ ! -e $f ] || grep \" $f \" /proc/self/mountinfo | cut -d' ' -f6 | grep -q ^ro || echo $f; done";
    sh(&host, &[], "busybox", read_only).prints("");
    // A masked path stays masked for whoever may mount.
    sh(&host, &["--cap-add=SYS_ADMIN"], "busybox", "umount /proc/kcore").run();
    host.finish_clean();
}

#[test]
fn what_is_mounted_how() {
    let host = Host::new("proc-mounts").with_busybox();
    let options = sh(&host, &[], "busybox", "cut -d' ' -f2,3,4 /proc/mounts").stdout();
    for (target, kind, wanted) in [
        ("/", "overlay", &["rw"][..]),
        ("/proc", "proc", &["rw", "nosuid", "nodev", "noexec"]),
        ("/dev", "tmpfs", &["rw", "nosuid"]),
        ("/dev/pts", "devpts", &["rw", "nosuid", "noexec"]),
        ("/dev/mqueue", "mqueue", &["rw", "nosuid", "nodev", "noexec"]),
        ("/dev/shm", "tmpfs", &["rw", "nosuid", "nodev", "noexec"]),
        ("/sys", "sysfs", &["ro", "nosuid", "nodev", "noexec"]),
    ] {
        let line = options.lines().find(|line| line.starts_with(&format!("{target} {kind} ")));
        let line = line.unwrap_or_else(|| panic!("no {kind} on {target}:\n{options}"));
        let has: Vec<&str> = line.rsplit(' ').next().unwrap().split(',').collect();
        assert!(wanted.iter().all(|want| has.contains(want)), "{line}");
    }
    // Of the host's file systems nothing is seen but what was asked for.
    let roots =
        sh(&host, &[], "busybox", "grep -c ' ext4 \\| btrfs \\| xfs ' /proc/self/mountinfo || true").stdout();
    assert_eq!(roots, "0");
    host.finish_clean();
}

#[test]
fn own_descriptors_only() {
    let host = Host::new("proc-fds").with_busybox();
    // A descriptor of the host that leaks into a container is a way out of it.
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    host.bulkhead(["exec", "c1", "ls", "/proc/1/fd"]).prints("0\n1\n2");
    // Nor does one that the caller holds.
    host.sh("exec 7</etc/passwd; bulkhead run -d --name c2 busybox sleep 1000 >/dev/null").prints("");
    host.bulkhead(["exec", "c2", "ls", "/proc/1/fd"]).prints("0\n1\n2");
    // Not before it is sleep: the shell gives what runs beside it another standard input, by way of none.
    let held = "exec 7</etc/passwd; bulkhead exec c2 sh -c 'sleep 50 & until grep -q sleep /proc/$!/comm; do :; done; \
                ls /proc/$!/fd | xargs; kill $!'";
    host.sh(held).prints("0 1 2");
    host.finish();
}
