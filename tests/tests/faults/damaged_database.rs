//! A database that is damaged is noticed and touches nothing; `system recover` saves what can be read.

use bulkhead_tests::Host;

/// An engine with containers, one of which runs, a volume and an image.
fn filled(name: &str) -> Host {
    let host = Host::new(name).with_busybox();
    host.sh(
        "for i in $(seq 40); do bulkhead create --name c$i --label filler=$(head -c 3000 /dev/zero | tr '\\0' x) busybox true; done >/dev/null
         bulkhead run --name kept -v v1:/data busybox sh -c 'echo inside > /file; echo data > /data/file'
         bulkhead run -d --name runs busybox sleep 1000 >/dev/null
         bulkhead system checkpoint",
    )
    .prints("");
    host
}

/// Ends what runs, since no command can: by the processes that the containers' own files name.
const END_ALL: &str = r#"for status in /var/lib/bulkhead/containers/*/status.json; do
        pid=$(sed -n 's/.*"first":{"pid":\([0-9]*\).*/\1/p' $status); test -z "$pid" || kill -9 $pid
    done; sleep 0.2"#;

/// Nobody's files are gone, whatever commands were tried.
fn files_are_there(host: &Host) {
    host.sh("cat /var/lib/bulkhead/containers/*/rw/upper/file /var/lib/bulkhead/volumes/v1/_data/file; ls /var/lib/bulkhead/containers | wc -l")
        .prints("inside\ndata\n42");
}

#[test]
fn no_database_at_all() {
    for damage in [
        "rm /var/lib/bulkhead/bulkhead.db*",
        "rm /var/lib/bulkhead/bulkhead.db-*; : > /var/lib/bulkhead/bulkhead.db",
    ] {
        let host = filled("database-gone");
        host.sh(damage).prints("");
        for command in
            ["ps", "run --rm busybox true", "system repair", "rm -f kept", "system prune -f", "images"]
        {
            let refused = host.sh(&format!("bulkhead {command}")).run();
            assert_ne!(refused.code(), 0, "{refused}");
            refused.says("system recover");
        }
        files_are_there(&host);
        host.sh(END_ALL).prints("");
        let recovered = host.bulkhead(["system", "recover"]).run();
        recovered.succeeds().shows("Not all could be read of: ");
        host.sh("cat /var/lib/bulkhead/lost/containers/*/rw/upper/file; ls /var/lib/bulkhead/lost/containers | wc -l; cat /var/lib/bulkhead/lost/volumes/v1/_data/file")
            .prints("inside\n42\ndata");
        // It works as one that is new.
        host.bulkhead(["ps", "-a"]).run().succeeds();
        host.abandon();
    }
}

#[test]
fn a_file_that_is_none() {
    let host = filled("database-garbage");
    host.sh("head -c 100000 /dev/urandom > /run/garbage; rm /var/lib/bulkhead/bulkhead.db-*; cp /run/garbage /var/lib/bulkhead/bulkhead.db").prints("");
    host.bulkhead(["ps"]).fails(1, "is damaged");
    host.bulkhead(["run", "--rm", "busybox", "true"]).fails(125, "system recover");
    files_are_there(&host);
    host.sh(END_ALL).prints("");
    host.bulkhead(["system", "recover"]).run().succeeds().shows("/var/lib/bulkhead/bulkhead.db.damaged-1");
    host.sh("cmp /run/garbage /var/lib/bulkhead/bulkhead.db.damaged-1; rm /run/garbage").prints("");
    host.abandon();
}

/// Each page in turn is overwritten: nothing but its own rows may be lost, and every command says what is wrong or works.
#[test]
fn one_page() {
    let host = filled("database-page");
    host.sh("cp /var/lib/bulkhead/bulkhead.db /run/whole").prints("");
    host.sh(END_ALL).prints("");
    let pages: usize = host.sh("expr $(stat -c %s /run/whole) / 4096").stdout().parse().unwrap();
    let mut most = 0;
    for page in (0..pages).step_by(pages / 12 + 1) {
        host.sh(&format!(
            "rm -f /var/lib/bulkhead/bulkhead.db*; cp /run/whole /var/lib/bulkhead/bulkhead.db
             head -c 4096 /dev/urandom | dd of=/var/lib/bulkhead/bulkhead.db bs=4096 seek={page} conv=notrunc 2>/dev/null"
        ))
        .prints("");
        let list = host.bulkhead(["ps", "-aq"]).run();
        if list.code() != 0 {
            list.says("is damaged");
        }
        let run = host.bulkhead(["run", "--rm", "--network", "none", "host", "echo", "here"]).run();
        if run.code() == 0 {
            assert_eq!(run.stdout(), "here\n");
        }
        host.bulkhead(["system", "recover"]).run().succeeds();
        host.bulkhead(["ps", "-a"]).run().succeeds();
        host.bulkhead(["run", "--rm", "--network", "none", "host", "echo", "here"]).prints("here");
        let saved: usize = host.sh("bulkhead ps -aq | wc -l").stdout().parse().unwrap();
        most = most.max(saved);
        // What is not listed is in the folder of lost ones.
        host.sh("expr $(ls /var/lib/bulkhead/containers | wc -l) + $(ls /var/lib/bulkhead/lost/containers 2>/dev/null | wc -l)").prints("42");
        host.sh("for kind in containers volumes; do test ! -e /var/lib/bulkhead/lost/$kind || mv /var/lib/bulkhead/lost/$kind/* /var/lib/bulkhead/$kind/; done; rm -rf /var/lib/bulkhead/lost /var/lib/bulkhead/*damaged*").prints("");
    }
    assert!(most >= 40, "a page that others can do without costs nothing: {most}");
    host.sh("rm -f /var/lib/bulkhead/bulkhead.db*; mv /run/whole /var/lib/bulkhead/bulkhead.db").prints("");
    files_are_there(&host);
    host.finish();
}

#[test]
fn recovery_of_what_is_whole_loses_nothing() {
    let host = filled("database-whole");
    let before = host
        .sh("bulkhead ps -a --format '{{.ID}} {{.Names}} {{.State}}'; bulkhead images; bulkhead volume ls")
        .stdout();
    host.bulkhead(["system", "recover"]).run().succeeds().shows("Nothing was lost.");
    let after = host
        .sh("bulkhead ps -a --format '{{.ID}} {{.Names}} {{.State}}'; bulkhead images; bulkhead volume ls")
        .stdout();
    assert_eq!(after, before);
    host.bulkhead(["exec", "runs", "echo", "there"]).prints("there");
    host.bulkhead(["--root", "/run/nothing", "system", "recover"])
        .fails(1, "there is no store in /run/nothing");
    host.finish();
}

/// Loses the row of a volume as a damaged page would.
const LOSE_VOLUME: &str = r#"python3 -c "
import sqlite3
store = sqlite3.connect('/var/lib/bulkhead/bulkhead.db')
store.execute(\"DELETE FROM volume_uses\"); store.execute(\"DELETE FROM volumes WHERE name = 'v1'\")
store.commit()""#;

/// What is lost twice under one name is kept twice, and what a new store needs it has.
#[test]
fn lost_and_lost_again() {
    let host = filled("database-twice");
    for content in ["data", "other"] {
        host.sh(&format!("bulkhead volume create v1 >/dev/null; echo {content} > /var/lib/bulkhead/volumes/v1/_data/file; {LOSE_VOLUME}")).prints("");
        host.bulkhead(["system", "recover"]).run().succeeds();
        host.bulkhead(["ps"]).run().succeeds();
    }
    host.sh(
        "cat /var/lib/bulkhead/lost/volumes/v1/_data/file /var/lib/bulkhead/lost/volumes/v1-2/_data/file",
    )
    .prints("data\nother");
    host.sh("stat -c %a /var/lib/bulkhead/bulkhead.db; python3 -c \"import sqlite3; print(sqlite3.connect('/var/lib/bulkhead/bulkhead.db').execute('PRAGMA journal_mode').fetchone()[0])\"")
        .prints("600\nwal");
    host.finish();
}

/// Nobody gets the IDs of one whose record is lost, and of those that run none is lost.
#[test]
fn ids_of_the_lost() {
    let host = Host::new("database-ids").with_busybox();
    host.run_detached(["--name", "one", "busybox", "sleep", "1000"]);
    let range = host.bulkhead(["exec", "one", "cat", "/proc/self/uid_map"]).stdout();
    let pid = host.inspect("one", "{{.State.Pid}}");
    host.sh("rm /var/lib/bulkhead/bulkhead.db*").prints("");
    host.bulkhead(["system", "recover"]).fails(1, &format!("its process is {pid}"));
    host.sh(&format!(
        "kill -9 {pid}; for i in $(seq 500); do test -d /proc/{pid} || break; sleep 0.01; done; sleep 0.1"
    ))
    .prints("");
    host.bulkhead(["system", "recover"]).run().succeeds();
    let host = host.with_busybox();
    host.run_detached(["--name", "two", "busybox", "sleep", "1000"]);
    assert_ne!(host.bulkhead(["exec", "two", "cat", "/proc/self/uid_map"]).stdout(), range);
    host.bulkhead(["rm", "-f", "two"]).prints("two");
    host.abandon();
}
