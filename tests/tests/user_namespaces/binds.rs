//! Which IDs on disk are which in a container, in folders of the host: what holds when nothing is asked for.

use bulkhead_tests::Host;
use serde_json::json;

use crate::{Mode, both, config, load, range_of, set, sh, with_alice, with_users};

fn host(name: &str) -> Host {
    let host = Host::new(name);
    load(&host, "users:latest", &config(json!({})), &[with_users().done()]);
    host
}

/// The first ID of the range in which container IDs stand on disk where no person's does.
fn stable(host: &Host, mode: Mode) -> u32 {
    let flags = both(mode.on(host), &["-v", "/tmp/probe:/p"]);
    host.sh("rm -rf /tmp/probe; mkdir -m 1777 /tmp/probe").prints("");
    sh(host, &flags, "users", "touch /p/x").prints("");
    let owner = host.sh("stat -c %u /tmp/probe/x").stdout().parse().unwrap();
    assert!(owner >= 65_536, "{mode:?}: {owner}");
    owner
}

/// The rows of the table: whom the source belongs to, who works in it, and who they are on disk.
#[test]
fn the_table_holds() {
    table(Mode::Auto);
}

#[test]
fn the_table_holds_with_one_range_for_all() {
    table(Mode::Remap);
}

fn table(mode: Mode) {
    let host = host("binds-table");
    with_alice(&host);
    let first = stable(&host, mode);
    // In remap mode the one range is the stable one of all; else a person's own is.
    let of_alice = if mode == Mode::Remap { first } else { 100_000 };
    let rows = [
        // An ordinary user: the process is that user, everybody else is of their range.
        ("1000:1000", "0", "0", 1000),
        ("1000:1000", "1234", "1234", 1000),
        ("1000:1000", "0", "999", of_alice + 999),
        ("1000:1000", "0", "1000", of_alice + 1000),
        ("1000:1000", "1234", "0", of_alice),
        // Somebody who is no person: that ID stays what it is.
        ("999:999", "999", "999", 999),
        ("999:999", "0", "999", 999),
        ("999:999", "0", "0", first),
        ("999:999", "0", "1234", first + 1234),
        // The host's root: nobody is it.
        ("0:0", "0", "0", first),
        ("0:0", "0", "999", first + 999),
        ("0:0", "0", "65535", first + 65_535),
        // Who has been in a range stays in it.
        (&format!("{}:{}", of_alice + 999, of_alice + 999), "0", "999", of_alice + 999),
    ];
    for (owner, process, inside, on_disk) in rows {
        // Everybody may write in it, so that what is made there tells.
        host.sh(&format!("rm -rf /tmp/m; mkdir -m 1777 /tmp/m; chown {owner} /tmp/m")).prints("");
        let flags = both(mode.on(&host), &["-v", "/tmp/m:/m", "--cap-add=ALL"]);
        let user = format!("{process}:{process}");
        let name = format!("{mode:?}: in a folder of {owner}, process {process}, file of {inside}");
        if process == inside {
            sh(&host, &both(&flags, &["-u", &user]), "users", "touch /m/x").prints("");
        } else {
            // A file that another user of the container has made.
            host.run_detached(both(
                &both(&["--name", "c1"], &flags),
                &["-u", &user, "users", "sleep", "1000"],
            ));
            host.bulkhead(["exec", "-u", &format!("{inside}:{inside}"), "c1", "touch", "/m/x"]).prints("");
            host.bulkhead(["rm", "-f", "c1"]).prints("c1");
        }
        assert_eq!(host.sh("stat -c %u:%g /tmp/m/x").stdout(), format!("{on_disk}:{on_disk}"), "{name}");
        // Another container, with another range, sees the same IDs.
        let again = both(&flags, &["-u", &user]);
        let output = sh(&host, &again, "users", "stat -c %u:%g /m/x").run();
        assert_eq!(output.stdout().trim(), format!("{inside}:{inside}"), "{name}: {output}");
    }
    host.finish_clean();
}

#[test]
fn what_is_not_named_is_nobody_s() {
    let host = host("binds-nobody");
    with_alice(&host);
    host.sh("cd /home/alice/project; for id in 0 5 999 2000; do echo $id > of-$id; chmod 604 of-$id; echo s > closed-$id
             chmod 600 closed-$id; chown $id:$id of-$id closed-$id; done")
        .prints("");
    for mode in Mode::OWN {
        for user in ["0", "1234"] {
            let flags = both(mode.on(&host), &["-v", "/home/alice/project:/w", "-u", user]);
            let look = "cd /w; cat of-* | xargs; stat -c %u:%g of-* | sort -u; cat closed-* 2>/dev/null; \
                        for file in of-*; do (echo x >> $file) 2>/dev/null && echo wrote $file; chmod 666 $file 2>/dev/null; \
                        chown 7 $file 2>/dev/null; done; true";
            sh(&host, &flags, "users", look).prints("0 2000 5 999\n65534:65534");
        }
    }
    // Alice may remove and rename what lies in her folder; so may the process that is her.
    host.sh("stat -c '%u %a' /home/alice/project/of-* | sort -u | wc -l").prints("4");
    sh(
        &host,
        &["-v", "/home/alice/project:/w"],
        "users",
        "mv /w/of-5 /w/moved && rm -f /w/closed-0 && ls /w/moved",
    )
    .prints("/w/moved");
    host.sh("stat -c %u /home/alice/project/moved").prints("5");
    host.finish_clean();
}

#[test]
fn others_may_write_what_others_may_write() {
    let host = host("binds-others");
    host.sh(
        "mkdir -m 777 /tmp/open; echo 1 > /tmp/open/file; chmod 666 /tmp/open/file; mkdir -m 1777 /tmp/sticky
             echo 1 > /tmp/sticky/roots; chmod 646 /tmp/sticky/roots",
    )
    .prints("");
    for mode in Mode::OWN {
        let flags = both(mode.on(&host), &["-v", "/tmp/open:/o", "-v", "/tmp/sticky:/s", "--cap-add=ALL"]);
        for user in ["0", "1234"] {
            let script = "echo 2 >> /o/file && echo 3 > /o/new && echo 4 >> /s/roots && echo 5 > /s/new && rm /o/new /s/new && \
                          ! rm -f /s/roots 2>/dev/null && test -e /s/roots && echo all";
            let output = sh(&host, &both(&flags, &["-u", user]), "users", script).run();
            output.succeeds().quietly();
            assert_eq!(output.stdout(), "all\n", "{mode:?} {user}");
        }
    }
    host.finish_clean();
}

#[test]
fn a_source_that_is_missing_is_made_for_the_process() {
    missing(Mode::Auto);
}

#[test]
fn a_source_that_is_missing_is_made_for_the_process_with_one_range_for_all() {
    missing(Mode::Remap);
}

fn missing(mode: Mode) {
    let host = host("binds-missing");
    with_alice(&host);
    let first = stable(&host, mode);
    let (alice, ids) = (1000, |uid: u32, gid: u32| format!("{uid}:{gid}"));
    host.sh("rm -rf /home/alice/project/* /tmp/roots /tmp/db; mkdir /tmp/roots; mkdir /tmp/db; chown 999:999 /tmp/db").prints("");
    for (folder, user, expected) in [
        ("/home/alice/project/data", "0:0", ids(alice, alice)),
        ("/home/alice/project/a/b/c", "1234:1234", ids(alice, alice)),
        ("/tmp/roots/data", "0:0", ids(first, first)),
        ("/tmp/roots/of-7", "7:8", ids(first + 7, first + 8)),
        ("/tmp/roots/deep/er", "7:8", ids(first + 7, first + 8)),
        ("/tmp/db/data", "999:999", ids(999, 999)),
        ("/tmp/db/other", "7:8", ids(first + 7, first + 8)),
    ] {
        let bind = format!("{folder}:/m");
        let flags = both(mode.on(&host), &["-v", &bind, "-u", user]);
        let script = "echo x > /m/x && mkdir /m/d && stat -c %u:%g /m /m/x /m/d | sort -u";
        let output = sh(&host, &flags, "users", script).run();
        output.succeeds().quietly();
        assert_eq!(output.stdout().trim(), user, "{mode:?} {folder}: {output}");
        host.sh(&format!("stat -c %u:%g:%a {folder}")).prints(&format!("{expected}:755"));
        // The same at the second run.
        sh(&host, &flags, "users", "echo y >> /m/x && wc -l < /m/x").prints("2");
    }
    // What was missing above it is the same owner's, so that it can be removed again.
    host.sh("stat -c %u /home/alice/project/a /home/alice/project/a/b | sort -u").prints("1000");
    // The usual image of a database finds a folder that it can give to its own user.
    let flags = both(mode.on(&host), &["-v", "/tmp/roots/pg:/m"]);
    let start = "chown db /m && chmod 700 /m && su db -c 'echo row >> /m/table && wc -l < /m/table'";
    sh(&host, &flags, "users", start).prints("1");
    sh(&host, &flags, "users", start).prints("2");
    host.finish_clean();
}

#[test]
fn a_folder_where_nothing_can_be_written_is_a_warning_of_one_line() {
    let host = host("binds-warning");
    with_alice(&host);
    host.sh("mkdir /tmp/roots; touch /tmp/roots/file; mkdir -m 1777 /tmp/open; mkdir -m 700 /tmp/db; chown 999:999 /tmp/db").prints("");
    let warned = |flags: &[&str], path: &str| {
        let output = sh(&host, flags, "users", "true").run();
        output.succeeds().says(path);
        assert_eq!(output.stderr().trim().lines().count(), 1, "{output}");
        assert!([":ro", ":U", ":idmap"].iter().all(|way| output.stderr().contains(way)), "{output}");
    };
    let silent = |flags: &[&str]| {
        sh(&host, flags, "users", "true").run().succeeds().quietly();
    };
    for mode in Mode::OWN {
        let mode = mode.on(&host);
        warned(&both(mode, &["-v", "/tmp/roots:/m"]), "/tmp/roots");
        warned(&both(mode, &["--mount", "type=bind,src=/tmp/roots,dst=/m"]), "/tmp/roots");
        warned(&both(mode, &["-v", "/tmp/roots/file:/f"]), "/tmp/roots/file");
        warned(&both(mode, &["-v", "/tmp/roots:/m", "-u", "1234"]), "/tmp/roots");
        warned(&both(mode, &["-v", "/tmp/db:/m", "-u", "1234"]), "/tmp/db");
        silent(&both(mode, &["-v", "/tmp/roots:/m:ro"]));
        silent(&both(mode, &["--mount", "type=bind,src=/tmp/roots,dst=/m,readonly"]));
        silent(&both(mode, &["-v", "/tmp/open:/m"]));
        silent(&both(mode, &["-v", "/tmp/db:/m"]));
        silent(&both(mode, &["-v", "/tmp/db:/m", "-u", "999"]));
        silent(&both(mode, &["-v", "/home/alice/project:/m"]));
        silent(&both(mode, &["-v", "/home/alice/project:/m", "-u", "1234"]));
        silent(&both(mode, &["-v", "vol:/m"]));
        silent(&both(mode, &["-v", "/dev/null:/m"]));
    }
    silent(&["--userns=host", "-v", "/tmp/roots:/m"]);
    host.finish_clean();
}

#[test]
fn a_file_system_that_cannot_be_mapped_falls_back_and_says_so() {
    let host = host("binds-fallback");
    host.sh("mkdir -p /tmp/u /tmp/w /tmp/l /tmp/mixed/below /tmp/over; echo lower > /tmp/l/file
             mount -t overlay over -o lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w /tmp/over; chmod 777 /tmp/over
             mount --bind /tmp/over /tmp/mixed/below; chmod 777 /tmp/mixed")
        .prints("");
    for mode in Mode::OWN {
        let mode_flags = mode.on(&host);
        let flags = both(mode_flags, &["-v", "/tmp/over:/m", "--cap-add=ALL"]);
        let output = sh(&host, &flags, "users", "cat /m/file; touch /m/x; stat -c %u /m/file /m/x").run();
        output.succeeds().says("/tmp/over").says("overlay").says(":noidmap");
        assert_eq!(output.stderr().trim().lines().count(), 1, "{output}");
        assert_eq!(output.stdout(), "lower\n65534\n0\n", "{mode:?}");
        // Unmapped is never the host's root.
        let owner: u32 = host.sh("stat -c %u /tmp/over/x; rm -f /tmp/over/x").stdout().parse().unwrap();
        assert!(owner >= 65_536, "{mode:?}: {owner}");
        sh(&host, &both(mode_flags, &["-v", "/tmp/over:/m:noidmap"]), "users", "cat /m/file")
            .run()
            .succeeds()
            .quietly();
        // Where only something below it cannot, the rest is mapped.
        let flags = both(mode_flags, &["-v", "/tmp/mixed:/m"]);
        let output = sh(&host, &flags, "users", "cat /m/below/file; touch /m/x; stat -c %u /m/x").run();
        output.succeeds().says("/tmp/mixed").says("mounted below");
        assert_eq!(output.stdout(), "lower\n0\n", "{mode:?}");
        let first = stable(&host, mode);
        host.sh("stat -c %u /tmp/mixed/x; rm /tmp/mixed/x").prints(&first.to_string());
    }
    // What is no file system of files.
    for (path, kind) in [("/proc", "proc"), ("/sys", "sysfs")] {
        let bind = format!("{path}:/m");
        let output = sh(&host, &["-v", &bind], "users", "ls /m | grep -q . && echo there").run();
        output.succeeds().shows("there").says(kind);
    }
    host.sh("umount /tmp/mixed/below; umount /tmp/over").prints("");
    host.finish_clean();
}

#[test]
fn what_is_on_disk_is_never_the_container_s_own_range() {
    let host = host("binds-never-own");
    with_alice(&host);
    host.sh("mkdir -m 1777 /tmp/open").prints("");
    let flags = ["-v", "/tmp/open:/o", "-v", "/home/alice/project:/a", "-v", "vol:/v"];
    for name in ["c1", "c2"] {
        let flags = both(&flags, &["--name", name]);
        host.run_detached(flags.into_iter().chain(["users", "sleep", "1000"]));
        let write = format!(
            "for d in /o /a /v; do touch $d/{name}; touch $d/{name}-999; chown 999:77 $d/{name}-999; done"
        );
        host.bulkhead(["exec", name, "sh", "-c", &write]).prints("");
    }
    let ranges = [range_of(&host, "c1"), range_of(&host, "c2")];
    let all = host.sh("find /tmp/open /home/alice/project /var/lib/bulkhead/volumes/vol/_data -mindepth 1 -printf '%U\\n%G\\n'");
    let all = all.stdout();
    assert_eq!(all.lines().count(), 24, "{all}");
    for id in all.lines().map(|id| id.parse::<u32>().unwrap()) {
        assert!(
            id != 0 && ranges.iter().all(|(first, count)| !(*first..first + count).contains(&id)),
            "{id} in {all}"
        );
    }
    // In remap mode the range is one for good.
    set(&host, r#"{"userns-remap": "alice"}"#);
    host.sh("rm -rf /tmp/open/*").prints("");
    sh(&host, &["-v", "/tmp/open:/o"], "users", "touch /o/x").prints("");
    host.sh("stat -c %u /tmp/open/x").prints("100000");
    host.finish();
}
