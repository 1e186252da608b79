//! Attacks on processes of other containers and of the host, and on namespaces that others own.

use bulkhead_tests::Host;

use crate::attacks::Attack;
use crate::{Mode, both, sh};

const VICTIM: &str = "$(ps -o pid,args | awk '/[s]leep 2000/ { print $1 }')";

/// Starts a container with a process besides its first, which has something to hide. Its root runs both.
fn victim(host: &Host, flags: &[&str]) {
    let words = both(&["--name", "victim", "-e", "TOKEN=secret"], flags);
    host.run_detached(words.into_iter().chain(["busybox", "sleep", "1000"]));
    host.bulkhead(["exec", "-d", "victim", "sh", "-c", "umask 077; echo secret > /s; exec sleep 2000"])
        .prints("");
    host.bulkhead([
        "exec",
        "victim",
        "sh",
        "-c",
        &format!("until test -n \"{VICTIM}\"; do sleep 0.01; done"),
    ])
    .prints("");
}

/// Ways to get at a process, each printing `won`; `P` is its number.
const WAYS: [(&str, &str); 9] = [
    ("its root", "cat /proc/$P/root/s 2>/dev/null | grep -q secret && echo won"),
    ("its environment", "grep -q secret /proc/$P/environ 2>/dev/null && echo won"),
    // Whoever may open it may trace the process (proc_pid_mem(5)).
    ("its memory", "(: < /proc/$P/mem) 2>/dev/null && echo won"),
    ("its memory's layout", "test -n \"$(cat /proc/$P/maps 2>/dev/null)\" && echo won"),
    ("its descriptors", "readlink /proc/$P/fd/1 >/dev/null && echo won"),
    ("its executable", "head -c4 /proc/$P/exe 2>/dev/null | grep -q ELF && echo won"),
    ("its mounts", "nsenter -t $P -m true 2>/dev/null && echo won"),
    ("its network", "nsenter -t $P -n true 2>/dev/null && echo won"),
    ("its priority", "renice -n 5 -p $P >/dev/null 2>&1 && echo won"),
];

const FLAGS: [&str; 4] =
    ["--cap-add=ALL", "--security-opt=seccomp=unconfined", "-v", "/run/host/test-host:/run/T"];

#[test]
fn another_container_is_attacked_through_its_processes() {
    let host = Host::new("attack-processes").with_busybox();
    let flags = both(&FLAGS, &["--pid=container:victim"]);
    for mode in [Mode::Host, Mode::Auto, Mode::Remap] {
        victim(&host, mode.on(&host));
        for (way, script) in WAYS {
            let script = format!("P={VICTIM}; test -d /proc/$P/task || exit 9; {script}");
            let (won, output) =
                Attack { flags: &flags, script: &script, ..Attack::default() }.wins(&host, mode);
            // In remap mode all containers have the same IDs, as Docker's do. So what asks for the same *user*
            // cannot be held, and a change of priority and a signal are such; what asks for a capability over the
            // other's user namespace (ptrace, and all of /proc that is checked like it; setns) is.
            let same_user = mode == Mode::Remap && way == "its priority";
            assert_eq!(won, mode == Mode::Host || same_user, "{mode:?}: {way}: {output}");
        }
        host.bulkhead(["rm", "-f", "victim"]).prints("victim");
    }
    host.finish_clean();
}

#[test]
fn another_container_s_process_is_signalled() {
    let host = Host::new("attack-signal").with_busybox();
    let flags = both(&FLAGS, &["--pid=container:victim"]);
    let script =
        format!("kill -STOP {VICTIM} 2>/dev/null && echo won; kill -CONT {VICTIM} 2>/dev/null && echo won");
    let attack = Attack { flags: &flags, script: &script, ..Attack::default() };
    // Not in remap mode, where all containers are one user: see above.
    for mode in [Mode::Host, Mode::Auto] {
        victim(&host, mode.on(&host));
        let (won, output) = attack.wins(&host, mode);
        assert_eq!(won, mode == Mode::Host, "{mode:?}: {output}");
        host.bulkhead(["rm", "-f", "victim"]).prints("victim");
    }
    host.finish_clean();
}

#[test]
fn the_host_is_attacked_through_its_processes() {
    let host = Host::new("attack-host-processes").with_busybox();
    host.sh("umask 077; echo secret > /s 2>/dev/null || true; echo secret > /tmp/s").prints("");
    let mut sleeper = host.sh("export TOKEN=secret; exec sleep 2000").start();
    let flags = both(&FLAGS, &["--pid=host"]);
    let all = WAYS.iter().copied().chain([("a signal", "kill -CONT $P 2>/dev/null && echo won")]);
    for (way, script) in all {
        let script = script.replace("/root/s", "/root/tmp/s");
        let script = format!(
            "until P={VICTIM} && test -n \"$P\"; do sleep 0.01; done; test -d /proc/$P/task || exit 9; {script}"
        );
        let attack = Attack { flags: &flags, script: &script, ..Attack::default() };
        let (won, output) = attack.wins(&host, Mode::Host);
        assert!(won, "does not bite: {way}: {output}");
        let (won, output) = attack.wins(&host, Mode::Auto);
        assert!(!won, "{way}: {output}");
    }
    // In remap mode the host's processes cannot be joined at all.
    Mode::Remap.on(&host);
    sh(&host, &["--pid=host"], "busybox", "true").fails(125, "user namespaces");
    host.sh("pkill -f 'sleep 2000'").run();
    sleeper.finish();
    host.finish_clean();
}

#[test]
fn the_host_s_namespaces_are_entered() {
    let host = Host::new("attack-setns").with_busybox();
    host.sh("echo secret > /tmp/of-the-host").prints("");
    // Each namespace by itself, by the files of the host's first process and by the process.
    for (kind, flag) in [("mnt", "-m"), ("net", "-n"), ("uts", "-u"), ("ipc", "-i"), ("pid", "-p")] {
        let flags = both(&FLAGS, &["--pid=host"]);
        let script = format!(
            "nsenter -t 1 {flag} true 2>/dev/null && echo won; readlink /proc/1/ns/{kind} && echo won"
        );
        let attack = Attack { flags: &flags, script: &script, ..Attack::default() };
        assert!(attack.wins(&host, Mode::Host).0, "{kind} does not bite");
        let (won, output) = attack.wins(&host, Mode::Auto);
        assert!(!won, "{kind}: {output}");
    }
    // A bind of the host's /proc is as good a way there, in remap mode too.
    let flags = both(&FLAGS, &["-v", "/proc:/hostproc"]);
    let script = "nsenter --mount=/hostproc/1/ns/mnt cat /tmp/of-the-host 2>/dev/null && echo won
        cat /hostproc/1/root/tmp/of-the-host 2>/dev/null && echo won
        (: >> /hostproc/sys/kernel/core_pattern) 2>/dev/null && echo won";
    Attack { flags: &flags, script, ..Attack::default() }.holds(&host);
    host.finish_clean();
}

#[test]
fn a_user_namespace_of_another_is_entered() {
    let host = Host::new("attack-setns-user").with_busybox();
    for mode in [Mode::Auto, Mode::Remap] {
        victim(&host, mode.on(&host));
        let flags = both(&FLAGS, &["--pid=container:victim"]);
        let script =
            "nsenter -t 1 -U true 2>/dev/null && echo won; nsenter -t 1 -U -m cat /s 2>/dev/null && echo won";
        let (won, output) = Attack { flags: &flags, script, ..Attack::default() }.wins(&host, mode);
        assert!(!won, "{mode:?}: {output}");
        host.bulkhead(["rm", "-f", "victim"]).prints("victim");
    }
    // It bites: from the host's user namespace it can be entered.
    victim(&host, Mode::Auto.on(&host));
    let pid = host.inspect("victim", "{{.State.Pid}}");
    host.sh(&format!("nsenter -t {pid} -U -m cat /s")).prints("secret");
    host.finish();
}

#[test]
fn more_user_namespaces_are_made_than_are_allowed() {
    let host = Host::new("attack-unshare").with_busybox();
    // All at once: a namespace lives for as long as its process, which ends with the container.
    let count = "for i in 1 2 3 4 5 6; do
        (unshare -U sh -c 'echo made >> /log; exec sleep 100' || echo refused >> /log) 2>/dev/null & done
        until [ $(cat /log 2>/dev/null | wc -l) = 6 ]; do sleep 0.005; done; cat /log; echo tried";
    let most = "--sysctl=user.max_user_namespaces=3";
    for more in [&["--security-opt=seccomp=unconfined"][..], &["--cap-add=SYS_ADMIN"]] {
        let made = |flags: &[&str]| {
            let output = sh(&host, &both(more, flags), "busybox", count).run();
            output.succeeds().shows("tried");
            output.stdout().lines().filter(|line| *line == "made").count()
        };
        for mode in Mode::OWN {
            let mode_flags = mode.on(&host);
            assert_eq!(made(mode_flags), 6, "{more:?}");
            assert_eq!(made(&both(mode_flags, &[most])), 3, "{mode:?} {more:?}");
            assert_eq!(
                made(&both(mode_flags, &["--sysctl=user.max_user_namespaces=0"])),
                0,
                "{mode:?} {more:?}"
            );
        }
    }
    // The limit is the host's own there: it is not for a container to set.
    Mode::Auto.on(&host);
    let refused = sh(&host, &["--userns=host", most], "busybox", "true").run();
    assert_ne!(refused.code(), 0, "{refused}");
    // Without seccomp's and the capability's leave there are none at all.
    sh(&host, &[], "busybox", "unshare -U true 2>/dev/null || echo refused").prints("refused");
    host.finish_clean();
}

/// One container alone has the host's IDs; others are as far from it as from the host.
#[test]
fn a_container_with_the_host_s_ids_is_attacked_by_one_without() {
    let host = Host::new("attack-host-container").with_busybox();
    let flags =
        both(&FLAGS, &["--pid=container:victim", "--network=container:victim", "--ipc=container:victim"]);
    let more = [
        ("a signal", "kill -CONT $P 2>/dev/null && echo won"),
        (
            "its addresses",
            "ip addr add 127.0.0.9/8 dev lo 2>/dev/null && echo won; ip addr del 127.0.0.9/8 dev lo 2>/dev/null",
        ),
        ("its limits of IPC", "(echo 5 > /proc/sys/kernel/msgmni) 2>/dev/null && echo won"),
    ];
    let shareable = ["--userns=host", "--ipc=shareable"];
    for mode in [Mode::Host, Mode::Auto] {
        victim(&host, &shareable);
        for (way, script) in WAYS.iter().copied().chain(more) {
            let script = format!("P={VICTIM}; test -d /proc/$P/task || exit 9; {script}");
            let flags = both(&flags, &["--security-opt=systempaths=unconfined"]);
            let (won, output) =
                Attack { flags: &flags, script: &script, ..Attack::default() }.wins(&host, mode);
            assert_eq!(won, mode == Mode::Host, "{mode:?}: {way}: {output}");
        }
        host.bulkhead(["rm", "-f", "victim"]).prints("victim");
    }
    host.finish_clean();
}

#[test]
fn an_exec_is_no_way_to_more() {
    let host = Host::new("attack-exec").with_busybox();
    for mode in Mode::OWN {
        victim(&host, mode.on(&host));
        let range = host.bulkhead(["exec", "victim", "cat", "/proc/self/uid_map"]).stdout();
        // Privileged in an exec is privileged in the container's own user namespace.
        let exec = |script: &str| host.bulkhead(["exec", "--privileged", "victim", "sh", "-c", script]);
        exec("cat /proc/self/uid_map").prints(&range);
        exec("mount -t tmpfs x /mnt 2>/dev/null || { mkdir /m && mount -t tmpfs x /m; } && echo privileged")
            .prints("privileged");
        exec("mknod /d c 1 3 2>/dev/null || echo refused; (: >> /proc/sys/kernel/panic) 2>/dev/null || echo refused")
            .prints("refused\nrefused");
        host.bulkhead(["rm", "-f", "victim"]).prints("victim");
    }
    host.finish_clean();
}
