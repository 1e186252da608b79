//! `:idmap`, `:noidmap` and `:U`: what is asked for by name, for one mount.

use bulkhead_tests::Host;
use serde_json::json;

use crate::{Mode, both, config, load, range_of, sh, with_alice, with_users};

fn host(name: &str) -> Host {
    let host = Host::new(name);
    load(&host, "users:latest", &config(json!({})), &[with_users().done()]);
    host
}

#[test]
fn idmap_alone_means_the_same_ids_on_both_sides() {
    let host = host("option-idmap");
    for mode in Mode::OWN {
        host.sh("rm -rf /tmp/m; mkdir /tmp/m; echo 1 > /tmp/m/roots; echo 2 > /tmp/m/dbs; chown 999 /tmp/m/dbs; chmod 600 /tmp/m/*")
            .prints("");
        let script =
            "cat /m/*; touch /m/new; chown 7:8 /m/new; stat -c %u /m/roots /m/dbs | xargs; mkdir /m/d";
        for mount in [&["-v", "/tmp/m:/m:idmap"][..], &["--mount", "type=bind,src=/tmp/m,dst=/m,idmap"]] {
            let output = sh(&host, &both(mode.on(&host), mount), "users", script).run();
            output.succeeds().quietly();
            assert_eq!(output.stdout(), "2\n1\n0 999\n", "{mode:?}");
            host.sh("stat -c %u:%g /tmp/m/new /tmp/m/d; rm -r /tmp/m/new /tmp/m/d").prints("7:8\n0:0");
        }
        // As that user, and no further than its range.
        let flags = both(mode.on(&host), &["-v", "/tmp/m:/m:idmap,ro", "-u", "999"]);
        sh(
            &host,
            &flags,
            "users",
            "cat /m/dbs; cat /m/roots 2>/dev/null; (echo x > /m/dbs) 2>/dev/null || echo ro",
        )
        .prints("2\nro");
    }
    host.finish_clean();
}

#[test]
fn idmap_takes_lists_of_container_and_of_host_ids() {
    let host = host("option-idmap-lists");
    let prepare = "rm -rf /tmp/m; mkdir -m 777 /tmp/m; for id in 0 1000 1001 2000; do touch /tmp/m/$id; chown $id:$id /tmp/m/$id; done";
    let look = "cd /m; stat -c %u:%g 0 1000 1001 2000 | xargs";
    // With @ the second number is the container's, whichever range that has (podman#20960).
    for mode in Mode::OWN {
        host.sh(prepare).prints("");
        for (options, expected) in [
            ("uids=@1000-0-1;gids=@1000-0-1", "65534:65534 0:0 65534:65534 65534:65534"),
            ("uids=@1000-0-2;gids=@1000-50-2", "65534:65534 0:50 1:51 65534:65534"),
            ("uids=@1000-0-1#@2000-7-1;gids=@0-0-1", "65534:0 0:65534 65534:65534 7:65534"),
        ] {
            let bind = format!("/tmp/m:/m:idmap={options}");
            let flags = both(mode.on(&host), &["-v", &bind]);
            sh(&host, &flags, "users", look).prints(expected);
        }
        let flags = both(mode.on(&host), &["-v", "/tmp/m:/m:idmap=uids=@1000-0-1;gids=@1000-0-1"]);
        // On a folder that is nobody's, others' bits count for reading alone: its owner is no ID of the kernel's there.
        let script = "echo x > /m/1000 && chmod 640 /m/1000 && ! chown 1 /m/1000 2>/dev/null && echo mine";
        sh(&host, &flags, "users", script).prints("mine");
        host.sh("stat -c %u:%g:%a /tmp/m/1000").prints("1000:1000:640");
    }
    // Without it, it is the host's, as the kernel sees it.
    Mode::Auto.on(&host);
    host.sh(prepare).prints("");
    let own = ["--uidmap=0:100000:65536"];
    let flags = both(&own, &["-v", "/tmp/m:/m:idmap=uids=1000-100000-1#2000-100007-1;gids=1000-100000-1"]);
    sh(&host, &flags, "users", look).prints("65534:65534 0:0 65534:65534 7:65534");
    // One that is not the container's is nobody's.
    let flags = both(&own, &["-v", "/tmp/m:/m:idmap=uids=1000-0-1;gids=1000-0-1"]);
    sh(&host, &flags, "users", "stat -c %u /m/1000; (echo x > /m/1000) 2>/dev/null || echo closed")
        .prints("65534\nclosed");
    host.finish_clean();
}

#[test]
fn noidmap_leaves_the_ids_as_they_are() {
    let host = host("option-noidmap");
    host.sh("mkdir -m 1777 /tmp/m; echo 1 > /tmp/m/roots").prints("");
    for mount in [&["-v", "/tmp/m:/m:noidmap"][..], &["--mount", "type=bind,src=/tmp/m,dst=/m,noidmap"]] {
        let flags = both(&["--name", "c1"], mount);
        host.run_detached(flags.into_iter().chain(["users", "sleep", "1000"]));
        let (first, _) = range_of(&host, "c1");
        let script = "cat /m/roots; echo x > /m/new; stat -c %u /m/roots /m/new | xargs; (echo x > /m/roots) 2>/dev/null || echo closed";
        host.bulkhead(["exec", "c1", "sh", "-c", script]).prints("1\n65534 0\nclosed");
        host.sh("stat -c %u /tmp/m/new; rm /tmp/m/new").prints(&first.to_string());
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    }
    host.finish_clean();
}

#[test]
fn a_folder_is_given_to_the_container_once() {
    let host = host("option-u");
    with_alice(&host);
    for mode in Mode::OWN {
        let prepare = "rm -rf /tmp/m /tmp/target; mkdir -p /tmp/m/d; echo 1 > /tmp/m/d/f; echo s > /tmp/target; chmod 600 /tmp/m/d/f
            ln -s /tmp/target /tmp/m/link; chmod 4755 /tmp/m";
        for user in ["0:0", "7:8"] {
            host.sh(prepare).prints("");
            let flags = both(mode.on(&host), &["-v", "/tmp/m:/m:U", "-u", user]);
            let script = "cat /m/d/f; echo 2 >> /m/d/f; stat -c %u:%g /m /m/d /m/d/f /m/link | sort -u";
            let output = sh(&host, &flags, "users", script).run();
            output.succeeds().quietly();
            assert_eq!(output.stdout(), format!("1\n{user}\n"), "{mode:?}");
            // What is behind a link is not given.
            host.sh("stat -c %u /tmp/target").prints("0");
            let owner: u32 = host.sh("stat -c %u /tmp/m/d/f").stdout().parse().unwrap();
            assert!(owner >= 65_536, "{mode:?}: {owner}");
            // The second run gives nothing: what the container has given to another user stays that one's.
            let change = both(mode.on(&host), &["-v", "/tmp/m:/m:U", "-u", user, "--cap-add=ALL"]);
            if user == "0:0" {
                sh(&host, &change, "users", "chown 999:999 /m/d/f; stat -c %u /m/d/f").prints("999");
                sh(&host, &change, "users", "stat -c %u /m/d/f").prints("999");
            } else {
                sh(&host, &change, "users", "cat /m/d/f").prints("1\n2");
            }
        }
        // A file alone; with --mount, too; and a volume.
        host.sh("rm -rf /tmp/f; echo 1 > /tmp/f; chmod 600 /tmp/f").prints("");
        let file = both(mode.on(&host), &["-v", "/tmp/f:/f:U", "-u", "1234"]);
        sh(&host, &file, "users", "echo 2 >> /f; cat /f").prints("1\n2");
        host.sh(prepare).prints("");
        let mount = both(mode.on(&host), &["--mount", "type=bind,src=/tmp/m,dst=/m,U", "-u", "1234"]);
        sh(&host, &mount, "users", "cat /m/d/f").prints("1");
        sh(&host, &both(mode.on(&host), &["-v", "vol:/v"]), "users", "umask 077; echo 1 > /v/x").prints("");
        let volume = both(mode.on(&host), &["-v", "vol:/v:U", "-u", "1234"]);
        sh(&host, &volume, "users", "echo 1 >> /v/x; stat -c %u /v /v/x | sort -u").prints("1234");
        // A person's own folder then belongs to one of their range.
        host.sh("chown 1000:1000 /home/alice/project").prints("");
        let own = both(mode.on(&host), &["-v", "/home/alice/project:/w:U", "-u", "7:8"]);
        sh(&host, &own, "users", "touch /w/x; stat -c %u:%g /w /w/x | sort -u").prints("7:8");
        let given = host.sh(
            "stat -c %u:%g /home/alice/project /home/alice/project/x | sort -u; rm /home/alice/project/x",
        );
        if mode == Mode::Auto {
            given.prints("100007:100008");
        } else {
            let first: u32 = host.sh("grep ^bulkhead: /etc/subuid | cut -d: -f2").stdout().parse().unwrap();
            given.prints(&format!("{}:{}", first + 7, first + 8));
        }
    }
    host.finish_clean();
}

#[test]
fn what_another_put_into_a_folder_is_not_given_away_with_it() {
    let host = host("option-u-traps");
    with_alice(&host);
    // A hard link of root's file in alice's folder (which protected_hardlinks mostly prevents).
    host.sh("echo secret > /home/alice/of-root; chmod 600 /home/alice/of-root; ln /home/alice/of-root /home/alice/project/trap")
        .prints("");
    let refused = sh(&host, &["-v", "/home/alice/project:/w:U", "-u", "0"], "users", "cat /w/trap").run();
    refused.hides("secret");
    host.sh("chown 2000 /home/alice/project").prints("");
    let refused = sh(&host, &["-v", "/home/alice/project:/w:U", "-u", "0"], "users", "cat /w/trap").run();
    refused.hides("secret").says("hard link");
    assert_ne!(refused.code(), 0, "{refused}");
    host.sh("stat -c %u /home/alice/of-root").prints("0");
    // Another file system below it is left alone.
    host.sh("rm /home/alice/project/trap; mkdir /home/alice/project/below; mount -t tmpfs below /home/alice/project/below
             touch /home/alice/project/below/roots")
        .prints("");
    sh(&host, &["-v", "/home/alice/project:/w:U", "-u", "7"], "users", "true").run().succeeds();
    host.sh("stat -c %u /home/alice/project/below/roots; umount /home/alice/project/below").prints("0");
    host.finish_clean();
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let host = host("option-refusals");
    host.sh("mkdir /tmp/m").prints("");
    let refusals = [
        ("/tmp/m:/m:idmap=x", "idmap=x"),
        ("/tmp/m:/m:idmap=uids=1-2", "three numbers"),
        ("/tmp/m:/m:idmap=uids=1-2-0", "no such IDs"),
        ("/tmp/m:/m:idmap=uids=1-2-3;uids=1-2-3", "once"),
        ("/tmp/m:/m:idmap=names=1-2-3", "neither"),
        ("/tmp/m:/m:idmap,noidmap", "one of idmap and noidmap"),
        ("/tmp/m:/m:noidmap=1", "noidmap=1"),
        ("/tmp/m:/m:u", "u"),
        ("vol:/m:idmap", "volume"),
        ("vol:/m:noidmap", "volume"),
    ];
    for (volume, needle) in refusals {
        let refused = sh(&host, &["-v", volume], "users", "true").run();
        assert_eq!(refused.code(), 125, "{volume}: {refused}");
        refused.says(needle);
    }
    for (mount, needle) in [
        ("type=bind,src=/tmp/m,dst=/m,idmap=x", "idmap=x"),
        ("type=tmpfs,dst=/m,idmap", "idmap"),
        ("type=tmpfs,dst=/m,U", "U"),
        ("type=image,src=users,dst=/m,idmap", "idmap"),
    ] {
        let refused = sh(&host, &["--mount", mount], "users", "true").run();
        assert_eq!(refused.code(), 125, "{mount}: {refused}");
        refused.says(needle);
    }
    // Lines that overlap are the kernel's to refuse at the latest, and nothing runs then.
    let overlap = "/tmp/m:/m:idmap=uids=@0-0-10#@5-20-10";
    let refused = sh(&host, &["-v", overlap], "users", "true").run();
    assert_eq!(refused.code(), 125, "{refused}");
    assert!(!refused.stderr().is_empty());
    host.bulkhead(["ps", "-aq"]).prints("");
    host.finish_clean();
}
