//! `exec`: another process in a running container, with a user, a folder and an environment of its own.

use bulkhead_tests::Host;

fn running(name: &str) -> Host {
    let host = Host::new(name).with_busybox();
    host.run_detached(["--name", "c1", "-e", "FROM=run", "-w", "/tmp", "busybox", "sleep", "1000"]);
    host
}

#[test]
fn it_is_inside_and_ends_as_its_command() {
    let host = running("exec");
    host.bulkhead(["exec", "c1", "sh", "-c", "echo out; echo err >&2; exit 6"]).fails(6, "err").shows("out");
    host.bulkhead(["exec", "c1", "ps", "-o", "args"]).prints("COMMAND\nsleep 1000\nps -o args");
    host.bulkhead(["exec", "c1", "sh", "-c", "kill -9 $$"]).fails(137, "");
    host.bulkhead(["exec", "-i", "c1", "cat"]).stdin("through").prints("through");
    host.bulkhead(["exec", "c1", "cat"]).stdin("unseen").prints("");
    // All namespaces and the cgroup are the container's.
    let namespaces = "for kind in pid uts ipc mnt net cgroup; do readlink /proc/self/ns/$kind; readlink /proc/1/ns/$kind; done \
                      | sort -u | wc -l; cmp /proc/self/cgroup /proc/1/cgroup";
    host.bulkhead(["exec", "c1", "sh", "-c", namespaces]).prints("6");
    let status = "grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/self/status | md5sum; \
                  grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/1/status | md5sum";
    let sums = host.bulkhead(["exec", "c1", "sh", "-c", status]).stdout();
    let sums: Vec<&str> = sums.lines().collect();
    assert_eq!(sums[0], sums[1]);
    host.finish();
}

#[test]
fn user_folder_and_environment() {
    let host = running("exec-options");
    host.bulkhead(["exec", "c1", "sh", "-c", "echo $FROM; pwd; id -u"]).prints("run\n/tmp\n0");
    host.bulkhead(["exec", "-e", "FROM=exec", "-e", "B=c d", "c1", "sh", "-c", "echo $FROM $B"])
        .prints("exec c d");
    host.bulkhead(["exec", "-e", "FROM", "c1", "sh", "-c", "echo ${FROM-none}"]).prints("none");
    host.bulkhead(["exec", "-w", "/etc", "c1", "pwd"]).prints("/etc");
    host.bulkhead(["exec", "-u", "nobody", "c1", "sh", "-c", "id -u; id -g; id -G"])
        .prints("65534\n65534\n65534 100");
    host.bulkhead(["exec", "-u", "12:34", "c1", "sh", "-c", "id -u; id -g"]).prints("12\n34");
    host.bulkhead(["exec", "-u", "nobody", "c1", "touch", "/x"]).fails(1, "Permission denied");
    host.bulkhead(["exec", "--env-file", "/tmp/env", "c1", "sh", "-c", "echo $A"]).run().says("/tmp/env");
    host.sh("printf '# words\\nA=b\\n\\n' > /tmp/env").prints("");
    host.bulkhead(["exec", "--env-file", "/tmp/env", "c1", "sh", "-c", "echo $A"]).prints("b");
    host.bulkhead(["exec", "-w", "tmp", "c1", "true"]).run().says("needs to be an absolute path");
    host.finish();
}

#[test]
fn what_holds_for_the_container_holds_for_it() {
    let host = Host::new("exec-inherits").with_busybox();
    let flags =
        ["--name", "c1", "-t", "-h", "there", "--cap-drop=CHOWN", "--ulimit=nofile=77", "--group-add=33"];
    let all = [&flags[..], &["--security-opt=no-new-privileges", "-u", "5:6", "busybox", "sleep", "1000"]];
    host.run_detached(all.concat());
    let look = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)' /proc/$1/status; ulimit -n; echo $HOSTNAME $PATH";
    let script = format!("set -- self; {look}; echo; set -- 1; {look}");
    let both = host.bulkhead(["exec", "c1", "sh", "-c", &script]).stdout();
    let (own, first) = both.split_once("\n\n").unwrap();
    assert_eq!(own.trim(), first.trim());
    for held in ["Uid:\t5\t5", "Gid:\t6", "33", "NoNewPrivs:\t1", "77", "there /usr/local/sbin"] {
        assert!(own.contains(held), "{held} in {own}");
    }
    // The container's terminal is not the exec's.
    host.bulkhead(["exec", "c1", "sh", "-c", "echo ${TERM-none}; test -t 0 || echo no"]).prints("none\nno");
    host.bulkhead(["exec", "-t", "c1", "sh", "-c", "echo $TERM; test -t 0 && echo yes"])
        .prints("xterm\r\nyes");
    host.bulkhead(["exec", "-t", "-e", "TERM=vt100", "c1", "sh", "-c", "echo $TERM"]).prints("vt100");
    let caps = "grep -E '^(CapBnd|Seccomp:)' /proc/self/status";
    let mine = host.sh("grep CapBnd /proc/self/status").stdout();
    host.bulkhead(["exec", "--privileged", "-u", "0", "c1", "sh", "-c", caps])
        .prints(&format!("{}\nSeccomp:\t0", mine.trim()));
    host.finish();
}

#[test]
fn in_the_background() {
    let host = running("exec-detached");
    host.bulkhead(["exec", "-d", "c1", "sh", "-c", "echo done > /tmp/mark"]).prints("");
    host.bulkhead(["exec", "c1", "sh", "-c", "until test -s /tmp/mark; do sleep 0.01; done; cat /tmp/mark"])
        .prints("done");
    host.finish();
}

#[test]
fn on_a_terminal() {
    let host = running("exec-tty");
    let mut terminal = host.pty(["exec", "-it", "c1", "sh"]);
    terminal.expect("# ");
    terminal.resize(90, 30);
    bulkhead_tests::wait::until("the window's size has arrived", || terminal.ask("stty size") == "30 90");
    terminal.line("exit 3");
    terminal.ends_with(3);
    host.bulkhead(["exec", "-it", "c1", "true"]).fails(1, "the input device is not a TTY");
    host.finish();
}

#[test]
fn what_cannot_be_executed() {
    let host = running("exec-errors");
    host.bulkhead(["exec", "c1", "nosuch"]).fails(127, "executable file not found in $PATH");
    host.bulkhead(["exec", "c1", "/nosuch"]).fails(127, "no such file or directory");
    host.bulkhead(["exec", "c1", "/etc/passwd"]).fails(126, "permission denied");
    host.bulkhead(["exec", "nobody", "true"]).fails(1, "No such container: nobody");
    host.bulkhead(["exec", "-u", "nosuch", "c1", "true"]).run().says("unable to find user nosuch");
    host.bulkhead(["exec", "c1"]).run().says("requires at least 2 arguments");
    host.bulkhead(["kill", "c1"]).prints("c1");
    host.bulkhead(["wait", "c1"]).prints("137");
    host.bulkhead(["exec", "c1", "true"]).fails(1, "is not running");
    host.finish();
}

#[test]
fn all_end_with_the_container() {
    let host = running("exec-end");
    let mut run = host.bulkhead(["exec", "-i", "c1", "sh", "-c", "echo up; cat"]).start();
    run.expect("up");
    host.bulkhead(["kill", "c1"]).prints("c1");
    run.finish().ends_with(137);
    host.finish();
}

/// A running container is found by its name without the database; that must never lead to another one.
mod by_name {
    use bulkhead_tests::Host;

    use super::running;

    const LINK: &str = "/run/bulkhead/names/c1";

    /// Runs a container of that name which can be told apart.
    fn run(host: &Host, name: &str, mark: &str) -> String {
        let mark = format!("MARK={mark}");
        host.run_detached(["--name", name, "-e", &mark, "busybox", "sleep", "1000"])
    }

    fn exec_prints(host: &Host, name: &str, mark: &str) {
        host.bulkhead(["exec", name, "sh", "-c", "echo $MARK"]).prints(mark);
    }

    #[test]
    fn a_container_is_known_by_name_id_and_beginning_of_its_id() {
        let host = Host::new("exec-names").with_busybox();
        let id = run(&host, "c1", "one");
        for name in ["c1", "/c1", &id, &id[..12]] {
            exec_prints(&host, name, "one");
        }
        // A name that is the beginning of another's ID, as Docker looks it up: the name counts, running or not.
        let other = run(&host, &id[..12], "two");
        exec_prints(&host, &id[..12], "two");
        exec_prints(&host, &other, "two");
        exec_prints(&host, &id, "one");
        host.bulkhead(["kill", &other]).run().succeeds();
        host.bulkhead(["wait", &other]).prints("137");
        host.bulkhead(["exec", &id[..12], "true"]).fails(1, "is not running");
        host.bulkhead(["exec", "../containers/x", "true"]).fails(1, "No such container");
        host.finish();
    }

    #[test]
    fn it_runs_without_the_database() {
        let host = Host::new("exec-no-store").with_busybox();
        let id = run(&host, "c1", "one");
        host.sh("mv /var/lib/bulkhead/bulkhead.db /tmp/").prints("");
        exec_prints(&host, "c1", "one");
        exec_prints(&host, &id, "one");
        host.sh("mv /tmp/bulkhead.db /var/lib/bulkhead/").prints("");
        host.finish();
    }

    #[test]
    fn a_name_goes_with_its_container() {
        let host = Host::new("exec-gone").with_busybox();
        run(&host, "c1", "one");
        host.sh(&format!("readlink {LINK} | grep -c /run/bulkhead/containers/")).prints("1");
        host.bulkhead(["stop", "-t", "0", "c1"]).prints("c1");
        host.sh("ls /run/bulkhead/names").prints("");
        host.bulkhead(["exec", "c1", "true"]).fails(1, "is not running");
        host.bulkhead(["start", "c1"]).prints("c1");
        exec_prints(&host, "c1", "one");
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");
        host.sh("ls /run/bulkhead/names").prints("");
        host.bulkhead(["exec", "c1", "true"]).fails(1, "No such container: c1");
        let second = run(&host, "c1", "two");
        exec_prints(&host, "c1", "two");
        host.sh(&format!("readlink {LINK}")).prints(&format!("/run/bulkhead/containers/{second}"));
        host.finish();
    }

    #[test]
    fn a_stale_link_leads_nowhere_else() {
        let host = Host::new("exec-stale").with_busybox();
        let (one, two) = (run(&host, "c1", "one"), run(&host, "c2", "two"));
        let link = |to: &str| {
            host.sh(&format!("ln -sfn /run/bulkhead/containers/{to} {LINK}")).prints("");
        };
        // To another container that runs, to none, and where there is no folder at all.
        for to in [two.as_str(), "nobody", "../../../etc/passwd"] {
            link(to);
            exec_prints(&host, "c1", "one");
        }
        host.sh(&format!("rm {LINK}; mkdir {LINK}")).prints("");
        exec_prints(&host, "c1", "one");
        host.sh(&format!("rmdir {LINK}")).prints("");
        // The name of a container that has gone, left by a command that was killed.
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");
        for to in [two.as_str(), one.as_str()] {
            link(to);
            host.bulkhead(["exec", "c1", "true"]).fails(1, "No such container: c1");
        }
        // The next container of that name has its own, and what another has left there is not removed with it.
        run(&host, "c1", "three");
        host.sh("mv /var/lib/bulkhead/bulkhead.db /tmp/").prints("");
        exec_prints(&host, "c1", "three");
        host.sh("mv /tmp/bulkhead.db /var/lib/bulkhead/").prints("");
        link(&two);
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");
        host.sh(&format!("readlink {LINK}")).prints(&format!("/run/bulkhead/containers/{two}"));
        host.finish();
    }

    #[test]
    fn the_supervisor_was_killed() {
        let host = running("exec-killed");
        let pid = host.inspect("c1", "{{.State.Pid}}");
        host.sh(&format!("kill -KILL $(awk '{{print $4}}' /proc/{pid}/stat)")).prints("");
        host.bulkhead(["exec", "c1", "true"]).fails(1, "is not running");
        host.sh("ls /run/bulkhead/names").prints("");
        host.bulkhead(["start", "c1"]).prints("c1");
        host.bulkhead(["exec", "c1", "pwd"]).prints("/tmp");
        // Removed and made anew before anybody looked at the first.
        let pid = host.inspect("c1", "{{.State.Pid}}");
        host.sh(&format!("kill -KILL $(awk '{{print $4}}' /proc/{pid}/stat)")).prints("");
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");
        host.bulkhead(["create", "--name", "c1", "busybox", "true"]).run().succeeds();
        host.bulkhead(["exec", "c1", "true"]).fails(1, "is not running");
        host.finish();
    }
}
