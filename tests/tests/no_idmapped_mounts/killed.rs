//! Commands that die in the middle of a copy, or of its removal.

use super::{COPIES, copies, load_owners, sh, turned_off};

#[test]
fn what_a_killed_command_left_is_gone_after_the_next() {
    let host = turned_off("unmapped-killed");
    load_owners(&host);
    // Wherever it is killed: early, in the copy, late.
    for delay in [5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100] {
        host.sh(&format!(
            "bulkhead run --rm owners true >/dev/null 2>&1 & sleep 0.{delay:03}; kill -KILL $! 2>/dev/null || true; wait"
        ))
        .run();
    }
    host.sh("for i in $(seq 100); do bulkhead ps -a >/dev/null; test $(ls -A /var/lib/bulkhead/containers | wc -l) = 0 && break; sleep 0.1; done")
        .run();
    host.bulkhead(["ps", "-aq"]).prints("");
    assert_eq!(copies(&host), "0 0");
    sh(&host, &[], "cat /srv/page").prints("page");
    host.finish();
}

#[test]
fn half_a_copy_is_never_used_and_does_not_stay() {
    let host = turned_off("unmapped-half");
    load_owners(&host);
    host.bulkhead(["create", "--name", "c1", "owners", "cat", "/srv/page"]).run().succeeds();
    host.bulkhead(["start", "-a", "c1"]).prints("page");
    // As a command leaves it that is killed while it copies, or while it removes.
    host.sh(&format!(
        "cd {COPIES}/*; for d in *; do rm -r $d; mkdir -p .new/bin .links .gone/bin; done; touch .links/5"
    ))
    .prints("");
    host.bulkhead(["start", "-a", "c1"]).prints("page");
    assert_eq!(host.sh(&format!("ls -A {COPIES}/* | grep -c '^[.]' || true")).stdout(), "1");
    host.bulkhead(["ps", "-q"]).prints("");
    assert_eq!(host.sh(&format!("ls -A {COPIES}/* | grep -c '^[.]' || true")).stdout(), "0");
    assert_eq!(copies(&host), "2 1");
    // Copies that no record needs.
    host.sh(&format!("cp -a {COPIES}/* {COPIES}/1-00; mkdir {COPIES}/2-00")).prints("");
    host.bulkhead(["ps", "-q"]).prints("");
    assert_eq!(copies(&host), "2 1");
    host.finish();
}
