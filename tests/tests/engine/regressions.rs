//! Defects that were found once, each with the test that would find it again.

use bulkhead_tests::Host;

#[test]
fn sysctl_names_lead_nowhere_else() {
    let host = Host::new("regress-sysctl").with_busybox();
    for name in ["net.//.kernel.hostname", "net/../kernel.hostname", "net..hostname", "kernel.hostname"] {
        let flag = format!("--sysctl={name}=x");
        host.bulkhead(["run", "--rm", &flag, "busybox", "true"])
            .fails(125, "not in a separate kernel namespace");
    }
    let read = "cat /proc/sys/net/ipv4/ip_default_ttl";
    host.bulkhead(["run", "--rm", "--sysctl=net.ipv4.ip_default_ttl=77", "busybox", "sh", "-c", read])
        .prints("77");
    host.finish_clean();
}

#[test]
fn a_paused_container_can_be_killed_and_removed() {
    let host = Host::new("regress-paused").with_busybox();
    for end in [&["kill", "c1"][..], &["stop", "-t", "0", "c1"], &["rm", "-f", "c1"]] {
        host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
        host.bulkhead(["pause", "c1"]).prints("c1");
        host.bulkhead(end).prints("c1");
        host.bulkhead(["rm", "-f", "c1"]).run().succeeds();
    }
    // Its supervisor killed, too.
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    let pid = host.inspect("c1", "{{.State.Pid}}");
    host.bulkhead(["pause", "c1"]).prints("c1");
    host.sh(&format!("kill -KILL $(awk '{{print $4}}' /proc/{pid}/stat)")).prints("");
    host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    host.finish_clean();
}

#[test]
fn a_container_made_to_remove_itself_waits_for_its_start() {
    let host = Host::new("regress-create-rm").with_busybox();
    host.bulkhead(["create", "--rm", "--name", "c1", "busybox", "echo", "here"]).run().succeeds();
    host.bulkhead(["ps", "-aq"]).run().succeeds();
    host.bulkhead(["start", "-a", "c1"]).prints("here");
    host.bulkhead(["ps", "-aq"]).prints("");
    host.finish_clean();
}

#[test]
fn a_read_only_volume_is_filled_first() {
    let host = Host::new("regress-fill").with_busybox();
    let look = "cat /etc/group | head -n1; touch /etc/x 2>&1 | grep -c Read-only";
    host.bulkhead(["run", "--rm", "-v", "data:/etc:ro", "busybox", "sh", "-c", look])
        .run()
        .shows("root")
        .shows("1");
    host.finish();
}

#[test]
fn a_failed_start_leaves_no_id_file() {
    let host = Host::new("regress-cidfile").with_busybox();
    let run = ["run", "--rm", "--cidfile=/tmp/id", "busybox"];
    host.bulkhead(run.iter().chain(&["nosuch"])).run().ends_with(127);
    host.bulkhead(run.iter().chain(&["true"])).prints("");
    host.finish();
}

#[test]
fn a_shared_network_shares_its_name() {
    let host = Host::new("regress-hostname").with_busybox();
    host.run_detached(["--name", "c1", "--hostname=shared", "busybox", "sleep", "1000"]);
    host.bulkhead([
        "run",
        "--rm",
        "--network=container:c1",
        "busybox",
        "sh",
        "-c",
        "echo $HOSTNAME $(hostname)",
    ])
    .prints("shared shared");
    host.finish();
}

/// Whoever lives in a PID namespace sees what is born in it, from its first moment. Until that has become a
/// program it has the host's rights, and must not have the host's files.
#[test]
fn what_joins_a_pid_namespace_never_shows_the_host_s_files() {
    let host = Host::new("regress-peek").with_busybox();
    host.sh("echo of-the-host > /run/of-the-host").prints("");
    // With the capability to look at any process, as a debugger's container has it. The attack finds the file where
    // it can: from a container that shares the host's processes.
    let peek = |name: &str, flags: &str| {
        host.sh(&format!(
            "bulkhead run -d --name {name} {flags} -v /run/host:/p busybox /p/test-host peek 6 /run/of-the-host"
        ))
        .run()
        .succeeds();
    };
    let found = |name: &str| host.sh(&format!("bulkhead wait {name} >/dev/null; bulkhead logs {name}"));
    peek("c0", "--privileged --pid=host");
    found("c0").prints("of-the-host");
    peek("c1", "--cap-add=SYS_PTRACE");
    peek("c2", "");
    host.sh("end=$(($(date +%s) + 6)); while [ $(date +%s) -lt $end ]; do bulkhead exec c1 true || true
             bulkhead run --rm --pid=container:c1 busybox true || true
             bulkhead run --rm --pid=container:c2 host true || true; done 2>/dev/null")
        .timeout(120)
        .run();
    found("c1").prints("");
    found("c2").prints("");
    host.finish();
}

#[test]
fn a_working_directory_never_leads_to_the_host() {
    let host = Host::new("regress-cwd").with_busybox();
    host.sh("echo of-the-host > /run/of-the-host").prints("");
    // A descriptor of a folder of the host's does lead there, by any number of steps upwards: the attack works.
    host.sh("exec 5</run; cd -P /proc/self/fd/5/.. && cat run/of-the-host").prints("of-the-host");
    let up = "../../../../../../../../..";
    for number in 3..20 {
        let cwd = format!("/proc/self/fd/{number}");
        let look = format!("cat {up}/run/of-the-host run/of-the-host 2>/dev/null || true");
        let output = host.bulkhead(["run", "--rm", "-w", &cwd, "busybox", "sh", "-c", &look]).run();
        output.hides("of-the-host");
        let made = format!("{cwd}/{up}/tmp/made-{number}");
        host.bulkhead(["run", "--rm", "-w", &made, "busybox", "true"]).run();
    }
    host.sh("ls /tmp | grep -c made || true").prints("0");
    // A container that puts a link in the place of its working directory, for the next exec to fall into.
    host.run_detached(["--name", "c1", "-w", "/app", "busybox", "sleep", "1000"]);
    for number in 3..20 {
        host.bulkhead([
            "exec",
            "-w",
            "/",
            "c1",
            "sh",
            "-c",
            &format!("rm -rf /app; ln -s /proc/self/fd/{number} /app"),
        ])
        .run()
        .succeeds();
        host.bulkhead(["exec", "c1", "sh", "-c", &format!("cat {up}/run/of-the-host")])
            .run()
            .hides("of-the-host");
        let program = format!("/proc/self/fd/{number}/{up}/bin/busybox");
        host.bulkhead(["exec", "-w", "/", "c1", &program, "cat", "/run/of-the-host"])
            .run()
            .hides("of-the-host");
    }
    host.finish();
}

#[test]
fn the_null_device_of_the_host_is_not_handed_in() {
    let host = Host::new("regress-null").with_busybox();
    let before = host.sh("stat -c '%a %u' /dev/null").stdout();
    // Within the container its own device changes, so the attempt itself works.
    let attack = "chmod 640 /proc/self/fd/0 && stat -c %a /dev/null";
    host.bulkhead(["run", "--rm", "busybox", "sh", "-c", attack]).prints("640");
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    host.bulkhead(["exec", "c1", "sh", "-c", attack]).prints("640");
    host.bulkhead(["exec", "-d", "c1", "sh", "-c", "chmod 600 /proc/self/fd/0 /proc/self/fd/1"]).prints("");
    host.sh("stat -c '%a %u' /dev/null").prints(&before);
    host.finish();
}

#[test]
fn a_container_that_stops_newcomers_does_not_stop_its_supervisor() {
    let host = Host::new("regress-stopper").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sh", "-c", "while :; do kill -STOP -1; done"]);
    // It may be stopped before it is a program, which its supervisor must not wait for, or after, which is the
    // container's own affair. Either way the container can be removed, and the exec ends.
    host.sh("for i in 1 2; do bulkhead exec c1 true >/tmp/$i 2>&1 & done; sleep 0.5
             bulkhead rm -f c1; wait; echo ended")
        .timeout(90)
        .run()
        .shows("c1")
        .shows("ended");
    host.finish_clean();
}

#[test]
fn a_status_that_cannot_be_read_blocks_nothing() {
    let host = Host::new("regress-status").with_busybox();
    let id = host.run_detached(["--name", "c1", "busybox", "true"]);
    host.bulkhead(["wait", "c1"]).prints("0");
    host.sh(&format!(": > /var/lib/bulkhead/containers/{id}/status.json")).prints("");
    host.bulkhead(["ps", "-a", "--format", "{{.Names}} {{.State}}"]).prints("c1 exited");
    host.bulkhead(["rm", "c1"]).prints("c1");
    host.finish_clean();
}

#[test]
fn what_a_killed_create_left_out_is_there_at_the_start() {
    let host = Host::new("regress-furnish").with_busybox();
    let id = host.bulkhead(["create", "--name", "c1", "-v", "/data", "host", "ls", "-A", "/root"]).stdout();
    host.sh("touch /root/secret").prints("");
    host.sh(&format!("rm -rf /var/lib/bulkhead/containers/{id} /var/lib/bulkhead/volumes/*")).prints("");
    host.bulkhead(["start", "-a", "c1"]).prints("");
    host.bulkhead(["rm", "-v", "c1"]).prints("c1");
    host.finish_clean();
}

#[test]
fn an_exec_outlives_its_terminal_s_client() {
    let host = Host::new("regress-detach").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    let mut terminal = host.pty(["exec", "-it", "c1", "sh"]);
    terminal.expect("# ");
    terminal.line("exec sleep 777");
    bulkhead_tests::wait::until("the program runs", || {
        host.bulkhead(["exec", "c1", "ps"]).stdout().contains("sleep 777")
    });
    terminal.send("\u{10}\u{11}");
    terminal.wait();
    assert!(host.bulkhead(["exec", "c1", "ps"]).stdout().contains("sleep 777"));
    host.finish();
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_not_lost_silently() {
    let host = Host::new("regress-full").with_busybox();
    let failed = host.sh("bulkhead run --rm busybox echo hi > /dev/full").run();
    assert_ne!(failed.code(), 0, "{failed}");
    failed.says("no space left");
    // A reader that is slow for longer than anybody waits for a sign of life loses nothing.
    let slow = "bulkhead run --rm busybox head -c 3000000 /dev/zero | (sleep 1; wc -c)";
    host.sh(slow).prints("3000000");
    host.finish();
}

#[test]
fn a_grace_period_can_be_as_long_as_a_number() {
    let host = Host::new("regress-grace").with_busybox();
    host.run_detached([
        "--name",
        "c1",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 3' TERM; while :; do sleep 0.1; done",
    ]);
    host.bulkhead(["stop", "-t", "9223372036854775807", "c1"]).prints("c1");
    host.finish();
}

#[test]
fn containers_that_begin_with_one_new_volume_see_it_whole() {
    let host = Host::new("regress-fill-together").with_busybox();
    for round in 0..6 {
        let run = format!("bulkhead run --rm -v v{round}:/bin busybox sh -c 'ls /bin | wc -l'");
        let counts = host.sh(&format!("({run}) & a=$!; ({run}) & b=$!; wait $a; wait $b")).stdout();
        let counts: Vec<&str> = counts.lines().collect();
        assert!(counts.len() == 2 && counts[0] == counts[1], "{counts:?}");
    }
    host.finish();
}

/// Whichever of its files is missed first, what is told is that somebody has removed the container.
#[test]
fn what_is_removed_while_it_is_made_is_told_as_that() {
    let host = Host::new("removed-while-made").with_busybox();
    for make in ["create", "run --rm"] {
        let script = format!(
            "for j in 1 2 3; do (while [ ! -e /run/over ]; do bulkhead rm -f box > /dev/null 2>&1; done) & done
             for i in $(seq 200); do bulkhead {make} --name box busybox true 2>&1; done \
                 | grep -vE '^[0-9a-f]{{64}}$|No such container|is already in use by container' || true
             touch /run/over; wait; rm /run/over"
        );
        host.sh(&script).timeout(240).prints("");
    }
    host.bulkhead(["rm", "-f", "box"]).run();
    host.bulkhead(["ps", "-aq"]).prints("");
    host.sh("ls /var/lib/bulkhead/containers").prints("");
    host.finish();
}
