//! `rename`: what has the new name, what has the old one no more, and what is refused.

use bulkhead_tests::Host;

#[test]
fn it_is_found_by_its_new_name_alone() {
    let host = Host::new("rename").with_busybox();
    let id = host.run_detached(["--name", "old", "busybox", "sleep", "1000"]);
    host.bulkhead(["rename", "old", "new"]).prints("");
    assert_eq!(host.inspect("new", "{{.Name}} {{.Id}}"), format!("/new {id}"));
    host.bulkhead(["exec", "new", "echo", "here"]).prints("here");
    host.bulkhead(["exec", "old", "true"]).fails(1, "No such container: old");
    // The old name is free, and who has it now is who is meant by it.
    host.run_detached(["--name", "old", "--hostname", "another", "busybox", "sleep", "1000"]);
    host.bulkhead(["exec", "old", "hostname"]).prints("another");
    host.bulkhead(["exec", &id, "echo", "still here"]).prints("still here");
    // One that does not run, by ID, and with Docker's slash.
    host.bulkhead(["stop", "-t", "0", "new"]).prints("new");
    host.bulkhead(["rename", &id[..12], "/third"]).prints("");
    host.bulkhead(["start", "third"]).prints("third");
    host.bulkhead(["exec", "third", "echo", "again"]).prints("again");
    host.bulkhead(["rm", "-f", "third", "old"]).run().succeeds();
    host.sh("ls /run/bulkhead/names").prints("");
    host.finish_clean();
}

#[test]
fn names_that_cannot_be_had_change_nothing() {
    let host = Host::new("rename-refused").with_busybox();
    let id = host.run_detached(["--name", "one", "busybox", "sleep", "1000"]);
    host.run_detached(["--name", "two", "busybox", "sleep", "1000"]);
    host.bulkhead(["rename", "one", "two"]).fails(1, "The container name \"/two\" is already in use");
    host.bulkhead(["rename", "one", "one"]).fails(1, "same name as its current name");
    host.bulkhead(["rename", "one", "no good"]).fails(1, "Invalid container name (no good)");
    host.bulkhead(["rename", "nobody", "three"]).fails(1, "No such container: nobody");
    for name in ["one", &id] {
        host.bulkhead(["exec", name, "echo", "here"]).prints("here");
    }
    host.bulkhead(["exec", "two", "echo", "two"]).prints("two");
    host.finish();
}

/// Killed at any moment it leaves a container that is found by the name that the database has, and by no other.
#[test]
fn killed_in_the_middle() {
    let host = Host::new("rename-killed").with_busybox();
    host.run_detached(["--name", "name0", "busybox", "sleep", "1000"]);
    host.sh("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
            now=$(bulkhead ps --format '{{.Names}}'); test $(echo $now | wc -w) = 1
            timeout -s KILL 0.00$i bulkhead rename $now name$i 2>/dev/null || true
            after=$(bulkhead ps --format '{{.Names}}')
            test \"$(bulkhead exec $after echo here)\" = here
            if test $after != $now; then bulkhead exec $now true 2>/dev/null && exit 9; fi
            true
        done")
        .run()
        .succeeds();
    host.finish();
}
