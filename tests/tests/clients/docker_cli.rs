//! The docker command, of each version that the machine has: what it shows, what it passes on, how it ends.

use bulkhead_tests::wait::until;
use bulkhead_tests::{Pty, Served};

use crate::SOCKET;

fn pty(api: &Served, docker: &str, words: &[&str]) -> Pty {
    let host = format!("unix://{SOCKET}");
    api.host.pty_of([docker, "-H", &host].iter().chain(words))
}

/// Waits until a shell that is attached to answers: it says nothing by itself, and what is typed before the client has made
/// its terminal raw is another thing.
fn prompted(shell: &mut Pty) {
    until("the shell answers", || {
        shell.send("\r");
        shell.text().contains("# ")
    });
}

#[test]
fn a_program_in_the_foreground() {
    let api = Served::new("cli-run");
    for docker in api.dockers() {
        let run = |words: &str| api.by(&docker, &format!("run --rm {words}")).run();
        let done = run("busybox sh -c 'echo out; echo err >&2; exit 7'");
        assert_eq!((done.code(), done.stdout(), done.stderr()), (7, "out\n".into(), "err\n".into()));
        let done = api.by(&docker, "run --rm -i busybox sh -c 'cat; echo end'").stdin("one\ntwo\n").run();
        assert_eq!(done.succeeds().stdout(), "one\ntwo\nend\n");
        // Who only speaks ends the input all the same.
        api.by(&docker, "run -i -a stdin --name fed busybox sh -c 'cat; echo end'")
            .stdin("in")
            .run()
            .succeeds();
        api.by(&docker, "logs fed").prints("inend");
        api.by(&docker, "rm fed").run().succeeds();
        // What is long in both directions is whole.
        let long = "yes 0123456789 | head -c 5000000";
        api.host
            .sh(&format!("{long} | {docker} -H unix://{SOCKET} run --rm -i busybox md5sum | cut -c 1-32 > /tmp/there; {long} | md5sum | cut -c 1-32 | diff - /tmp/there"))
            .prints("");
        api.host
            .sh(&format!("{docker} -H unix://{SOCKET} run --rm busybox sh -c '{long}' | md5sum > /tmp/back; {long} | md5sum | diff - /tmp/back"))
            .prints("");
        run("busybox nope").says("executable file not found").ends_with(127);
        run("busybox /etc").ends_with(126);
        run("127.0.0.1:1/nosuch true").ends_with(125);
        // A container has a user namespace of its own, whoever makes it.
        run("busybox sh -c 'read inside outside count < /proc/self/uid_map; test $outside != 0'").succeeds();
    }
    api.docker("ps -aq").prints("");
    api.finish();
}

#[test]
fn nothing_that_is_said_is_missed_however_short() {
    let api = Served::new("cli-short");
    let docker = api.dockers().remove(0);
    let script = format!(
        "for i in $(seq 30); do
            said=$({docker} -H unix://{SOCKET} run --rm --name c$i busybox sh -c 'echo $HOSTNAME; exit '$((i % 5)))
            code=$?
            [ $code = $((i % 5)) ] && [ -n \"$said\" ] || {{ echo \"$i: $code: $said\"; exit 1; }}
        done"
    );
    api.host.sh(&format!("set +e; {script}")).prints("");
    api.docker("ps -aq").prints("");
    api.finish();
}

#[test]
fn a_terminal() {
    let api = Served::new("cli-terminal");
    for docker in api.dockers() {
        let mut shell = pty(&api, &docker, &["run", "--rm", "-it", "--name", "one", "busybox", "sh"]);
        shell.expect("# ");
        // The client may not listen for changes yet.
        until("the size is passed on", || {
            shell.resize(90, 33);
            shell.resize(91, 33);
            api.docker("exec one stty -F /dev/pts/0 size").stdout() == "33 91"
        });
        shell.line("stty size; tty");
        shell.expect("33 91");
        shell.expect("/dev/pts/0");
        shell.line("sleep 1000");
        until("it sleeps", || api.docker("top one -o pid,args").stdout().contains("sleep 1000"));
        shell.send("\u{3}");
        shell.expect("# ");
        // Left by the keys, it runs on, and can be come back to.
        shell.send("\u{10}\u{11}");
        shell.ends_with(0);
        assert_eq!(api.docker("inspect -f '{{.State.Running}}' one").stdout(), "true");
        let mut again = pty(&api, &docker, &["attach", "--detach-keys", "a,b", "one"]);
        prompted(&mut again);
        again.line("echo $((40 + 2))");
        again.expect("42");
        again.send("ab");
        again.expect("read escape sequence");
        // So the client has it for attach, and not for run.
        again.ends_with(1);
        let mut last = pty(&api, &docker, &["attach", "one"]);
        prompted(&mut last);
        last.line("exit 5");
        last.ends_with(5);
        until("it is gone", || api.docker("ps -aq").stdout().is_empty());
    }
    api.finish();
}

#[test]
fn a_later_program() {
    let api = Served::new("cli-exec");
    for docker in api.dockers() {
        api.by(&docker, "run -d --name one busybox sleep 1000").run().succeeds();
        let exec = |words: &str| api.by(&docker, &format!("exec {words}"));
        for _ in 0..10 {
            let done = exec("one sh -c 'echo out; echo err >&2; exit 5'").run();
            assert_eq!((done.code(), done.stdout(), done.stderr()), (5, "out\n".into(), "err\n".into()));
        }
        exec("-i one sh -c 'cat; echo end'").stdin("in").prints("inend");
        exec("-e A=b -w /tmp -u 7:8 one sh -c 'echo $A; pwd; id -u; id -g'").prints("b\n/tmp\n7\n8");
        let done = exec("one nope").run();
        assert_eq!(done.code(), 127);
        // Docker says it where the program's words would be.
        done.shows("executable file not found");
        exec("one /etc").run().ends_with(126);
        exec("-d one sh -c 'echo begun > /begun; sleep 1000'").run().succeeds();
        until("what runs in the background has begun", || exec("one cat /begun").run().stdout() == "begun\n");
        // What an exec leaves behind keeps nobody waiting.
        exec("one sh -c 'sleep 1000 & echo over'").prints("over");
        let mut shell = pty(&api, &docker, &["exec", "-it", "one", "sh"]);
        shell.expect("# ");
        until("the size is passed on", || {
            shell.resize(71, 20);
            shell.resize(70, 20);
            shell.line("stty size");
            shell.text().contains("20 70")
        });
        shell.line("exit 9");
        shell.ends_with(9);
        let id = api.docker("inspect -f '{{index .ExecIDs 0}}' one").stdout();
        assert_eq!(id.len(), 64);
        api.http("GET", &format!("/exec/{id}/json"), "").run().shows("\"ContainerID\"").shows("200");
        api.http("POST", &format!("/exec/{id}/start"), "{}").run().shows("409");
        api.by(&docker, "pause one").run().succeeds();
        exec("one true").fails(1, "is paused, unpause the container before exec");
        api.by(&docker, "unpause one").run().succeeds();
        api.by(&docker, "rm -f one").run().succeeds();
        exec("one true").fails(1, "No such container: one");
    }
    api.finish();
}

#[test]
fn attached_before_the_start_and_after_it() {
    let api = Served::new("cli-attach");
    for docker in api.dockers() {
        api.by(&docker, "create -i --name one busybox sh -c 'echo begun; cat; echo over'").run().succeeds();
        // Two who wait for its start hear all of it; a third one feeds it.
        let mut listeners = Vec::new();
        for number in 0..2 {
            let script = format!(
                "curl -sSN --unix-socket {SOCKET} -X POST 'http://d/containers/one/attach?stream=1&stdout=1' -D /tmp/head{number} | tr -d '\\0-\\011'"
            );
            listeners.push(api.host.sh(&script).start());
            until("it listens", || {
                api.host.sh(&format!("cat /tmp/head{number} || true")).stdout().contains("200 OK")
            });
        }
        api.by(&docker, "start -ai one").stdin("fed\n").prints("begun\nfed\nover");
        for mut listener in listeners {
            let heard = listener.finish().succeeds().stdout();
            assert!(heard.contains("begun") && heard.contains("fed") && heard.contains("over"), "{heard:?}");
        }
        // Again: nothing is left of the first time.
        api.by(&docker, "start -ai one").stdin("more\n").prints("begun\nmore\nover");
        api.by(&docker, "logs one").prints("begun\nfed\nover\nbegun\nmore\nover");
        api.by(&docker, "rm one").run().succeeds();

        let trap = "trap \"echo ended; exit 3\" TERM; while :; do sleep 0.05; done";
        let two = api.by(&docker, &format!("run -d busybox sh -c '{trap}'")).stdout();
        let script = format!("{docker} -H unix://{SOCKET} attach {two} & echo $! > /tmp/attached; wait $!");
        let mut attached = api.host.sh(&script).start();
        let events = format!(
            "events --since 1 --until $(date +%s.%N) --filter container={two} --filter event=attach --format '{{{{.Action}}}}'"
        );
        until("it is attached", || api.docker(&events).stdout() == "attach");
        // A signal that the client gets goes to the program.
        api.host.sh("kill -TERM $(cat /tmp/attached)").run().succeeds();
        let done = attached.finish();
        assert_eq!((done.code(), done.stdout()), (3, "ended\n".into()));
        api.by(&docker, &format!("rm {two}")).run().succeeds();
    }
    api.finish();
}

#[test]
fn whoever_starts_and_goes_leaves_the_removal_to_the_supervisor() {
    let api = Served::new("cli-removal");
    // Ended before its starter has gone, or after: in both cases it goes by itself, and no later command is needed.
    let script = format!(
        "for i in $(seq 15); do
            curl -sS --unix-socket {SOCKET} -H 'Content-Type: application/json' -d '{{\"Image\":\"busybox\",\"Cmd\":[\"true\"],\"HostConfig\":{{\"AutoRemove\":true}}}}' 'http://d/containers/create?name=c'$i > /dev/null
            curl -sS --unix-socket {SOCKET} -X POST http://d/containers/c$i/start
            bulkhead run -d --rm --name d$i busybox true > /dev/null
        done"
    );
    api.host.sh(&script).prints("");
    until("all are gone", || api.host.sh("ls /var/lib/bulkhead/containers").stdout().is_empty());
    api.finish();
}
