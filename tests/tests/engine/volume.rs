//! `volume`: made, listed, shown, removed, and never while a container uses it.

use bulkhead_tests::Host;

#[test]
fn from_its_making_to_its_end() {
    let host = Host::new("volume").with_busybox();
    host.bulkhead(["volume", "create", "--label", "of=tests", "data"]).prints("data");
    // One that is there stays as it is.
    host.bulkhead(["run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "echo kept > /d/file"]).prints("");
    host.bulkhead(["volume", "create", "data"]).prints("data");
    host.bulkhead(["run", "--rm", "-v", "data:/d", "busybox", "cat", "/d/file"]).prints("kept");
    let shown = "{{.Name}} {{.Driver}} {{.Scope}} {{.Labels.of}} {{.Mountpoint}}";
    host.bulkhead(["volume", "inspect", "-f", shown, "data"])
        .prints("data local local tests /var/lib/bulkhead/volumes/data/_data");
    let without_name = host.bulkhead(["volume", "create"]).stdout();
    assert_eq!(without_name.len(), 64, "{without_name}");
    let two = host.bulkhead(["volume", "ls"]).stdout();
    assert!(two.starts_with("DRIVER    VOLUME NAME\n") && two.lines().count() == 3, "{two}");
    host.bulkhead(["volume", "ls", "-q", "-f", "label=of=tests"]).prints("data");
    host.bulkhead(["volume", "ls", "-q", "-f", "name=at"]).prints("data");
    // Who uses it keeps it, running or not.
    host.bulkhead(["create", "--name", "c1", "-v", "data:/d", "busybox", "true"]).run().succeeds();
    host.bulkhead(["volume", "rm", "data"]).fails(1, "volume is in use - [");
    host.bulkhead(["volume", "ls", "-q", "-f", "dangling=true"]).prints(&without_name);
    host.bulkhead(["rm", "c1"]).prints("c1");
    host.bulkhead(["volume", "rm", "data", &without_name]).prints(&format!("data\n{without_name}"));
    host.sh("ls /var/lib/bulkhead/volumes; ls -A /var/lib/bulkhead/trash").prints("");
    // One of the same name is another one.
    host.bulkhead(["run", "--rm", "-v", "data:/d", "busybox", "ls", "-A", "/d"]).prints("");
    host.bulkhead(["volume", "rm", "data"]).prints("data");
    host.finish_clean();
}

#[test]
fn what_is_not_used_is_pruned() {
    let host = Host::new("volume-prune").with_busybox();
    for name in ["named", "labelled"] {
        host.bulkhead(["volume", "create", "--label", &format!("is={name}"), name]).prints(name);
    }
    host.bulkhead(["run", "--name", "c1", "-v", "/kept", "-v", "used:/u", "busybox", "true"]).prints("");
    let write =
        ["run", "--name", "c2", "-v", "/gone", "busybox", "sh", "-c", "head -c 4096 /dev/zero > /gone/x"];
    host.bulkhead(write).prints("");
    host.bulkhead(["rm", "c2"]).prints("c2");
    // Asked first; and anything but yes is no.
    host.bulkhead(["volume", "prune"]).stdin("n\n").fails(1, "cancelled");
    let pruned = host.bulkhead(["volume", "prune", "-f"]).stdout();
    assert!(pruned.starts_with("Deleted Volumes:\n") && pruned.ends_with("space: 4.096kB"), "{pruned}");
    assert_eq!(pruned.lines().count(), 4, "{pruned}");
    host.bulkhead(["volume", "prune", "-f"]).prints("Total reclaimed space: 0B");
    let all = host.bulkhead(["volume", "prune", "-a", "-f", "--filter", "label=is=labelled"]).stdout();
    assert!(all.contains("labelled") && !all.contains("named\n"), "{all}");
    let all = host.bulkhead(["volume", "prune", "-a"]).stdin("y\n").stdout();
    assert!(all.contains("Deleted Volumes:\nnamed"), "{all}");
    host.bulkhead(["volume", "ls", "-q", "-f", "name=used"]).prints("used");
    host.bulkhead(["start", "-a", "c1"]).prints("");
    host.bulkhead(["rm", "-v", "c1"]).prints("c1");
    host.bulkhead(["volume", "rm", "used"]).prints("used");
    host.bulkhead(["volume", "ls", "-q"]).prints("");
    host.finish_clean();
}

#[test]
fn what_makes_no_sense_is_refused() {
    let host = Host::new("volume-refused").with_busybox();
    host.bulkhead(["volume", "create", "no/good"]).fails(1, "invalid characters for a local volume name");
    host.bulkhead(["volume", "inspect", "nobody"]).fails(1, "No such volume: nobody");
    host.bulkhead(["volume", "rm", "nobody"]).fails(1, "No such volume: nobody");
    host.bulkhead(["volume", "rm", "-f", "nobody"]).prints("nobody");
    host.bulkhead(["volume", "ls", "-f", "what=ever"]).fails(1, "invalid filter 'what'");
    host.bulkhead(["volume", "prune", "-f", "--filter", "until=1h"]).fails(1, "invalid filter 'until'");
    host.finish_clean();
}
