//! `--volumes-from`: what another container has mounted, at the same places, for as long as somebody uses it.

use bulkhead_tests::Host;

#[test]
fn what_another_container_has_mounted() {
    let host = Host::new("volumes-from").with_busybox();
    host.sh("mkdir /run/folder; echo folder > /run/folder/file; chmod 777 /run/folder").prints("");
    let donor = ["-v", "/run/folder:/bind:ro", "-v", "named:/named", "-v", "/anonymous", "--tmpfs", "/own"];
    let fill = "echo named > /named/file; echo anonymous > /anonymous/file";
    host.bulkhead(["run", "--name", "donor"].into_iter().chain(donor).chain(["busybox", "sh", "-c", fill]))
        .prints("");
    let from = |flags: &[&str], script: &str| {
        host.bulkhead(["run", "--rm"].iter().chain(flags).chain(&["busybox", "sh", "-c", script]))
    };
    let all = "cat /bind/file /named/file /anonymous/file; test ! -e /own";
    from(&["--volumes-from", "donor"], all).prints("folder\nnamed\nanonymous");
    from(&["--volumes-from=donor"], "echo more > /named/more; echo x > /bind/x")
        .fails(1, "Read-only file system");
    from(&["--volumes-from=donor:ro"], "cat /named/more; echo x > /named/x")
        .fails(1, "Read-only file system");
    // What is asked for by name takes the place of what comes along.
    from(&["--volumes-from=donor", "--tmpfs", "/named"], "ls /named").prints("");
    // Its anonymous volume stays while somebody else has it, and goes with the last.
    host.bulkhead([
        "create",
        "--name",
        "heir",
        "--volumes-from",
        "donor:rw",
        "busybox",
        "cat",
        "/anonymous/file",
    ])
    .run()
    .succeeds();
    assert_eq!(host.inspect("heir", "{{json .HostConfig.VolumesFrom}}"), "[\"donor:rw\"]");
    host.bulkhead(["rm", "-v", "donor"]).prints("donor");
    host.bulkhead(["start", "-a", "heir"]).prints("anonymous");
    assert_eq!(host.bulkhead(["volume", "ls", "-q"]).stdout().lines().count(), 2);
    host.bulkhead(["rm", "-v", "heir"]).prints("heir");
    host.bulkhead(["volume", "ls", "-q"]).prints("named");
    host.bulkhead(["volume", "rm", "named"]).prints("named");
    host.finish_clean();
}

#[test]
fn what_makes_no_sense_is_refused() {
    let host = Host::new("volumes-from-refused").with_busybox();
    for (flag, needle) in [
        ("--volumes-from=nobody", "No such container: nobody"),
        ("--volumes-from=:ro", "write CONTAINER[:ro|rw]"),
        ("--volumes-from=", "write CONTAINER[:ro|rw]"),
        ("--volumes-from=nobody:x", "invalid mode for volumes-from: x"),
    ] {
        host.bulkhead(["run", "--rm", flag, "busybox", "true"]).fails(125, needle);
    }
    host.finish_clean();
}
