//! Terminals: shown by a run that stays, or sent to a console socket.

use bulkhead_tests::{Host, skip};
use serde_json::json;

use crate::Bundle;
use crate::bundle::oci;

#[test]
fn a_run_that_stays_shows_the_container_s_terminal() {
    let host = Host::new("oci-tty");
    Bundle::new(&host, "b", "exec sh").with(|config| config["process"]["terminal"] = json!(true));
    let mut terminal = host.pty_of(["bulkhead", "oci", "run", "--bundle", "/run/b", "one"]);
    let before = terminal.ask("tty");
    assert_eq!(before, "/dev/pts/0");
    assert_eq!(terminal.ask("test -c /dev/console && echo yes"), "yes");
    terminal.resize(77, 33);
    bulkhead_tests::wait::until("the size has come through", || terminal.ask("stty size") == "33 77");
    terminal.line("exit 3");
    assert_eq!(terminal.wait().0, 3);
    host.finish();
}

#[test]
fn an_exec_can_have_a_terminal_of_its_own() {
    let host = Host::new("oci-exec-tty");
    Bundle::new(&host, "b", "exec sleep 1000").start("one");
    let mut terminal = host.pty_of(["bulkhead", "oci", "exec", "-t", "one", "sh"]);
    assert_eq!(terminal.ask("tty"), "/dev/pts/0");
    terminal.line("exit 4");
    assert_eq!(terminal.wait().0, 4);
    oci(&host, "exec -t -d one sh").fails(255, "cannot allocate tty");
    oci(&host, "delete -f one").run().succeeds();
    host.finish();
}

/// Takes what a runtime sends to the socket /run/console, and shows what the terminal says.
const LISTENER: &str = r#"
import array, os, socket
server = socket.socket(socket.AF_UNIX)
server.bind("/run/console"); server.listen(1); open("/run/ready", "w").close()
peer, _ = server.accept()
data, control, _, _ = peer.recvmsg(64, socket.CMSG_SPACE(4))
fd = array.array("i", control[0][2])[0]
os.set_blocking(fd, True)
text = b""
while b"end" not in text:
    text += os.read(fd, 100)
print(text.decode())
"#;

#[test]
fn a_console_socket_gets_the_terminal() {
    let host = Host::new("oci-console");
    if host.sh("command -v python3").run().code() != 0 {
        skip!("python3 is not here, which takes a descriptor from a socket");
    }
    let bundle = Bundle::new(&host, "b", "tty; stty size; echo end; sleep 1000").with(|config| {
        config["process"]["terminal"] = json!(true);
        config["process"]["consoleSize"] = json!({ "height": 11, "width": 22 });
    });
    oci(&host, "create --bundle /run/b one").fails(1, "cannot allocate tty");
    host.sh("cat > /run/listener.py").stdin(LISTENER).run().succeeds();
    let mut listener = host.sh("exec python3 /run/listener.py").start();
    bulkhead_tests::wait::until("it listens", || host.sh("test -e /run/ready").run().code() == 0);
    oci(&host, "create --bundle /run/b --console-socket /run/console one").run().succeeds();
    oci(&host, "start one").run().succeeds();
    listener.expect("/dev/pts/0");
    listener.expect("11 22");
    listener.expect("end");
    listener.finish().succeeds();
    oci(&host, "delete -f one").run().succeeds();
    drop(bundle);
    host.finish();
}
