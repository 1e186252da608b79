//! Filters that ask: whoever listens gets the descriptor and the process state, and what is answered counts.

use bulkhead_tests::command::Running;
use bulkhead_tests::{Host, skip, wait};
use serde_json::{Value, json};

use crate::Bundle;
use crate::bundle::{oci, state};

/// Takes what is sent to the socket /run/listener, a connection after the other, and shows it. Of the calls that are asked
/// about by each process the first fails with ENOSPC, the others are made.
const SUPERVISOR: &str = r#"
import array, fcntl, os, select, socket, struct, threading
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind("/run/listener"); server.listen(8); open("/run/ready", "w").close()

def answer(fd):
    first = True
    poll = select.poll(); poll.register(fd, select.POLLIN)
    while True:
        if not poll.poll()[0][1] & select.POLLIN:
            return
        notification = bytearray(80)
        try:
            fcntl.ioctl(fd, 0xc0502100, notification)
            (number,) = struct.unpack_from("Q", notification)
            fcntl.ioctl(fd, 0xc0182101, struct.pack("QqiI", number, 0, -28 if first else 0, 0 if first else 1))
        except OSError:
            continue
        first = False

while True:
    peer, _ = server.accept()
    data, control, _, _ = peer.recvmsg(65536, socket.CMSG_SPACE(4))
    while True:
        more = peer.recv(65536)
        if not more:
            break
        data += more
    fds = array.array("i"); fds.frombytes(control[0][2])
    print(data.decode(), flush=True)
    threading.Thread(target=answer, args=(fds[0],), daemon=True).start()
"#;

/// A host on which it runs; `None`: there is no python3.
fn supervised(name: &str) -> Option<(Host, Running)> {
    let host = Host::new(name);
    if host.sh("command -v python3").run().code() != 0 {
        host.finish();
        return None;
    }
    host.sh("cat > /run/supervisor.py").stdin(SUPERVISOR).run().succeeds();
    let supervisor = host.sh("echo $$ > /run/supervisor.pid; exec python3 /run/supervisor.py").start();
    wait::until("it listens", || host.sh("test -e /run/ready").run().code() == 0);
    Some((host, supervisor))
}

fn end(host: Host, mut supervisor: Running) {
    host.sh("kill $(cat /run/supervisor.pid)").run().succeeds();
    supervisor.finish();
    host.finish();
}

const SCRIPT: &str = "mkdir /tmp/a; echo $?; mkdir /tmp/b; echo $?; ls /tmp";

fn asks(config: &mut Value) {
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": "/run/listener",
        "listenerMetadata": "what the supervisor knows",
        "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY" }],
    });
}

#[test]
fn the_supervisor_s_answer_counts_for_the_first_program() {
    let Some((host, supervisor)) = supervised("oci-listener") else {
        skip!("python3 is not here, which answers what a filter asks");
    };
    let bundle = Bundle::new(&host, "b", SCRIPT).with(|config| {
        config["annotations"] = json!({ "some": "note" });
    });
    // Without a filter both calls are made.
    bundle.run("").prints("0\n0\na\nb");
    host.sh("rmdir /run/b/rootfs/tmp/a /run/b/rootfs/tmp/b").run().succeeds();
    let mut bundle = bundle.with(asks);
    for no_new_privileges in [true, false] {
        bundle = bundle.with(|config| config["process"]["noNewPrivileges"] = json!(no_new_privileges));
        let output = bundle.run("").run();
        assert_eq!(output.succeeds().stdout(), "1\n0\nb\n", "{output}");
        output.says("No space left");
        supervisor.expect("\"fds\":[\"seccompFd\"]");
        supervisor.expect("\"metadata\":\"what the supervisor knows\"");
        supervisor.expect("\"annotations\":{\"some\":\"note\"}");
        host.sh("rmdir /run/b/rootfs/tmp/b").run().succeeds();
    }
    end(host, supervisor);
}

#[test]
fn the_supervisor_hears_of_a_container_at_its_start_and_of_each_exec() {
    let Some((host, mut supervisor)) = supervised("oci-listener-exec") else {
        skip!("python3 is not here, which answers what a filter asks");
    };
    let bundle = Bundle::new(&host, "b", &format!("{{ {SCRIPT}; }} > /tmp/said; exec sleep 1000")).with(asks);
    bundle.start("one");
    let pid = state(&host, "one")["pid"].as_i64().unwrap();
    wait::until("it has asked", || host.sh("cat /run/b/rootfs/tmp/said || true").stdout().ends_with("said"));
    host.sh("cat /run/b/rootfs/tmp/said").prints("1\n0\nb\nsaid");
    let output = oci(&host, "exec one sh -c 'mkdir /tmp/c; echo $?; mkdir /tmp/d; echo $?'").run();
    assert_eq!(output.succeeds().stdout(), "1\n0\n", "{output}");
    oci(&host, "delete -f one").run().succeeds();
    host.sh("kill $(cat /run/supervisor.pid)").run().succeeds();
    let told = supervisor.finish().stdout();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 2, "one for each program: {told:?}");
    assert_eq!((told[0]["pid"].as_i64(), told[0]["state"]["pid"].as_i64()), (Some(pid), Some(pid)));
    assert_eq!(
        (told[0]["state"]["id"].as_str(), told[0]["state"]["bundle"].as_str()),
        (Some("one"), Some("/run/b"))
    );
    assert_eq!(
        (told[1]["state"]["pid"].as_i64(), told[1]["state"]["status"].as_str()),
        (Some(pid), Some("running"))
    );
    assert_ne!(told[1]["pid"].as_i64(), Some(pid), "the exec program's own");
    host.finish();
}

#[test]
fn a_filter_that_asks_nobody_is_an_error_and_nothing_runs() {
    let host = Host::new("oci-listener-none");
    let bundle = Bundle::new(&host, "b", "echo ran > /tmp/ran").with(asks);
    bundle.run("").fails(1, "cannot send the filter's descriptor to /run/listener");
    bundle.create("one");
    oci(&host, "start one").fails(1, "cannot send the filter's descriptor to /run/listener");
    crate::bundle::await_status(&host, "one", "stopped");
    oci(&host, "delete one").run().succeeds();
    host.sh("ls /run/b/rootfs/tmp").prints("");
    let refused = |name: &str, change: &dyn Fn(&mut Value), why: &str| {
        let bundle = Bundle::new(&host, name, "true")
            .with(asks)
            .with(|config| change(&mut config["linux"]["seccomp"]));
        oci(&host, &format!("run --bundle {} test", bundle.folder)).fails(1, why);
    };
    refused("c", &|s| s["listenerPath"] = json!(""), "listenerMetadata: it needs a listenerPath");
    refused(
        "d",
        &|s| {
            s["listenerPath"] = json!("");
            s["listenerMetadata"] = Value::Null;
        },
        "needs a socket that answers",
    );
    refused("e", &|s| s["defaultAction"] = json!("SCMP_ACT_NOTIFY"), "defaultAction");
    refused("f", &|s| s["syscalls"][0]["names"] = json!(["write"]), "write");
    refused("g", &|s| s["flags"] = json!(["SECCOMP_FILTER_FLAG_NEW"]), "flags[0]");
    host.finish();
}
