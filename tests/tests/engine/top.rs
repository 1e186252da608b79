//! `top`: the container's processes and no others, by the host's numbers.

use bulkhead_tests::Host;

#[test]
fn it_shows_the_container_s_processes() {
    let host = Host::new("top").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sh", "-c", "sleep 1001 & exec sleep 1000"]);
    host.run_detached(["--name", "c2", "busybox", "sleep", "2000"]);
    host.bulkhead(["exec", "c1", "sh", "-c", "until ps | grep -q '[s]leep 1001'; do sleep 0.01; done"])
        .prints("");
    let shown = host.bulkhead(["top", "c1"]).stdout();
    assert!(shown.starts_with("UID ") && shown.lines().count() == 3, "{shown}");
    assert!(
        shown.contains("sleep 1000") && shown.contains("sleep 1001") && !shown.contains("2000"),
        "{shown}"
    );
    let pid = host.inspect("c2", "{{.State.Pid}}");
    host.bulkhead(["top", "c2", "-o", "pid,args"]).prints(&format!("PID   COMMAND\n{pid:<3}   sleep 2000"));
    host.bulkhead(["top", "c2", "-o", "args"]).fails(1, "Couldn't find PID field");
    host.bulkhead(["top", "c2", "--no-such-option"]).fails(1, "ps: ");
    host.bulkhead(["top", "nobody"]).fails(1, "No such container: nobody");
    host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    host.bulkhead(["stop", "-t", "0", "c2"]).prints("c2");
    host.bulkhead(["top", "c2"]).fails(1, "is not running");
    host.bulkhead(["rm", "c2"]).prints("c2");
    host.finish_clean();
}
