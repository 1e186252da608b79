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
    host.bulkhead(["exec", "-w", "/etc", "c1", "pwd"]).prints("/etc");
    host.bulkhead(["exec", "-u", "nobody", "c1", "sh", "-c", "id -u; id -g; id -G"])
        .prints("65534\n65534\n65534 100");
    host.bulkhead(["exec", "-u", "12:34", "c1", "sh", "-c", "id -u; id -g"]).prints("12\n34");
    host.bulkhead(["exec", "-u", "nobody", "c1", "touch", "/x"]).fails(1, "Permission denied");
    host.bulkhead(["exec", "--env-file", "/tmp/env", "c1", "sh", "-c", "echo $A"]).run().says("/tmp/env");
    host.sh("printf '# words\\nA=b\\n\\n' > /tmp/env").prints("");
    host.bulkhead(["exec", "--env-file", "/tmp/env", "c1", "sh", "-c", "echo $A"]).prints("b");
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
