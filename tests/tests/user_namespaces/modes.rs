//! `--userns` and its options, `--uidmap` and `--gidmap`: whose IDs a container has, and what is refused.

use bulkhead_tests::Host;
use serde_json::json;

use crate::{both, config, load, range_of, sh, with_alice, with_users};

const MAPS: &str = "awk '{ print $1\":\"$2\":\"$3 }' /proc/self/uid_map /proc/self/gid_map";

/// The lines of the two maps, users first.
fn maps(host: &Host, flags: &[&str]) -> Vec<(u32, u32, u32)> {
    let text = sh(host, flags, "users", MAPS).stdout();
    let lines = text.lines().map(|line| {
        let numbers: Vec<u32> = line.split(':').map(|number| number.parse().unwrap()).collect();
        (numbers[0], numbers[1], numbers[2])
    });
    lines.collect()
}

fn host(name: &str) -> Host {
    let host = Host::new(name);
    load(&host, "users:latest", &config(json!({})), &[with_users().done()]);
    host
}

#[test]
fn auto_gives_as_many_ids_as_are_asked_for() {
    let host = host("mode-auto-size");
    for (flag, size) in
        [("--userns=auto", 65_536), ("--userns=auto:size=1000", 1000), ("--userns=auto:size=200000", 200_000)]
    {
        let all = maps(&host, &[flag]);
        let [(0, users, count), (0, groups, of_groups)] = all[..] else { panic!("{flag}: {all:?}") };
        assert_eq!((count, of_groups, users), (size, size, groups), "{flag}");
        assert!(users % 65_536 == 0 && (524_288..1_879_048_191).contains(&users), "{flag}: {users}");
    }
    // An ID beyond the size is nobody inside.
    let chown = "touch /x; chown 999 /x && chown 1000 /x 2>/dev/null || stat -c %u /x";
    sh(&host, &["--userns=auto:size=1000"], "users", chown).prints("999");
    // A user who is beyond it cannot be had, and the message names the way out.
    let size = ["--userns=auto:size=1000"];
    sh(&host, &both(&size, &["-u", "1234"]), "users", "true").run().ends_with(125).says("1234").says("size=");
    host.finish_clean();
}

#[test]
fn auto_takes_lines_of_one_s_own() {
    let host = host("mode-auto-lines");
    with_alice(&host);
    let all = maps(&host, &["--userns=auto:uidmapping=0:1000:1,gidmapping=5:1000:1"]);
    assert_eq!(all.iter().filter(|line| **line == (0, 1000, 1)).count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|line| **line == (5, 1000, 1)).count(), 1, "{all:?}");
    assert_eq!(all.iter().map(|line| line.2).sum::<u32>(), 2 * 65_536, "{all:?}");
    let first = all.iter().find(|line| line.0 == 1 && line.2 > 1).unwrap();
    assert_eq!((first.1 - 1) % 65_536, 0, "the rest stands where it would stand without the line: {all:?}");
    // What root is to the host is alice, then.
    host.run_detached(["--name", "c1", "--userns=auto:uidmapping=0:1000:1", "users", "sleep", "1000"]);
    let pid = host.inspect("c1", "{{.State.Pid}}");
    host.sh(&format!("stat -c %u /proc/{pid}")).prints("1000");
    host.bulkhead(["exec", "c1", "sh", "-c", "echo x > /x && chown 7:7 /x && stat -c %u /x"]).prints("7");
    host.finish();
}

#[test]
fn keep_id_keeps_who_asks() {
    let host = host("mode-keep-id");
    with_alice(&host);
    let run = |flags: &[&str], script: &str| {
        sh(&host, flags, "users", script).env("SUDO_UID", "1000").env("SUDO_GID", "1000")
    };
    let whole = "id -u; id -g; echo x > /w/made; stat -c %u:%g /w /w/made; id -u > /tmp/x";
    let mount = ["-v", "/home/alice/project:/w"];
    run(&both(&mount, &["--userns=keep-id"]), whole).prints("1000\n1000\n1000:1000\n1000:1000");
    host.sh("stat -c %u:%g /home/alice/project/made; rm /home/alice/project/made").prints("1000:1000");
    run(&["--userns=keep-id"], "awk '$1 == 1000 { print $2, $3 }' /proc/self/uid_map").prints("1000 1");
    // As somebody else inside.
    let other = both(&mount, &["--userns=keep-id:uid=999,gid=77"]);
    run(&other, whole).prints("999\n77\n999:77\n999:77");
    host.sh("stat -c %u:%g /home/alice/project/made").prints("1000:1000");
    run(&["--userns=keep-id:uid=999"], "awk '$1 == 999 { print $2 }' /proc/self/uid_map").prints("1000");
    // Who asks for another user gets it; root inside is still nobody.
    run(&["--userns=keep-id", "-u", "0"], "id -u; awk '$1 == 0 { print ($2 >= 524288) }' /proc/self/uid_map")
        .prints("0\n1");
    // An ID above the usual range fits as well.
    sh(&host, &["--userns=keep-id"], "users", "id -u")
        .env("SUDO_UID", "70000")
        .env("SUDO_GID", "70000")
        .prints("70000");
    // Root has no ID to keep.
    sh(&host, &["--userns=keep-id"], "users", "true").fails(125, "keep-id").says("root");
    sh(&host, &["--userns=keep-id"], "users", "true")
        .env("SUDO_UID", "0")
        .env("SUDO_GID", "0")
        .fails(125, "root");
    host.finish_clean();
}

#[test]
fn another_container_s_namespace_is_joined() {
    let host = host("mode-container");
    host.run_detached(["--name", "donor", "--cap-add=SYS_PTRACE", "users", "sleep", "1000"]);
    host.bulkhead(["exec", "-d", "donor", "sleep", "2000"]).prints("");
    let inode = host.bulkhead(["exec", "donor", "readlink", "/proc/self/ns/user"]).stdout();
    let join = ["--userns=container:donor"];
    sh(&host, &join, "users", "readlink /proc/self/ns/user").prints(&inode);
    host.run_detached(["--name", "guest", "--userns=container:donor", "users", "sleep", "1000"]);
    assert_eq!(range_of(&host, "donor"), range_of(&host, "guest"));
    // What is the one's is the other's: a volume, a file, a process.
    sh(
        &host,
        &both(&join, &["-v", "vol:/v"]),
        "users",
        "touch /x /v/x; chown 999 /x /v/x; stat -c %u /x /v/x",
    )
    .prints("999\n999");
    let all = both(&join, &["--pid=container:donor", "--cap-add=SYS_PTRACE"]);
    let script = "P=$(ps -o pid,args | awk '/[s]leep 2000/ { print $1 }')
        : < /proc/$P/mem && echo traced; readlink /proc/$P/cwd; kill $P && echo signalled";
    sh(&host, &all, "users", script).prints("traced\n/\nsignalled");
    // Privileged there is privileged within that user namespace.
    let script = "mount -t tmpfs none /tmp && hostname other && echo privileged; mknod /d c 1 3 2>/dev/null || echo refused";
    sh(&host, &["--userns=container:donor", "--privileged"], "users", script).prints("privileged\nrefused");
    // The range is not free while somebody uses it.
    host.bulkhead(["rm", "-f", "donor"]).prints("donor");
    let kept = range_of(&host, "guest").0;
    for _ in 0..3 {
        assert!(maps(&host, &[]).iter().all(|line| line.1 != kept));
    }
    // Whom nobody knows, and who does not run.
    sh(&host, &["--userns=container:nobody"], "users", "true").fails(125, "No such container: nobody");
    host.bulkhead(["create", "--name", "stopped", "users"]).run().succeeds();
    sh(&host, &["--userns=container:stopped"], "users", "true").fails(125, "running");
    // One that has the host's.
    host.run_detached(["--name", "hosts", "--userns=host", "users", "sleep", "1000"]);
    sh(&host, &["--userns=container:hosts"], "users", "awk '{print $3}' /proc/self/uid_map")
        .prints("4294967295");
    host.finish();
}

#[test]
fn uidmap_and_gidmap_map_these_and_no_others() {
    let host = host("mode-uidmap");
    let all = maps(&host, &["--uidmap=0:100000:1000", "--uidmap=2000:5000:1", "--gidmap=0:200000:3000"]);
    assert_eq!(all, [(0, 100_000, 1000), (2000, 5000, 1), (0, 200_000, 3000)]);
    // One of them stands for both, as Podman has it.
    assert_eq!(maps(&host, &["--uidmap=0:100000:2000"]), [(0, 100_000, 2000), (0, 100_000, 2000)]);
    assert_eq!(maps(&host, &["--gidmap=0:100000:2000"]), [(0, 100_000, 2000), (0, 100_000, 2000)]);
    let script = "touch /x; chown 1999:1999 /x; stat -c %u:%g /x; chown 2000 /x 2>/dev/null || echo outside";
    sh(&host, &["--uidmap=0:100000:2000"], "users", script).prints("1999:1999\noutside");
    host.finish_clean();
}

#[test]
fn what_cannot_be_mapped_is_refused_with_the_reason() {
    let host = host("mode-refusals");
    let refusals = [
        ("--uidmap=0:0:1", "host's root"),
        ("--gidmap=0:0:65536", "host's root"),
        ("--userns=auto:uidmapping=5:0:1", "host's root"),
        ("--uidmap=0:524288:65536", "524288-1879048191"),
        ("--uidmap=0:500000:65536", "524288-1879048191"),
        ("--userns=auto:gidmapping=0:1879048191:1", "524288-1879048191"),
        ("--uidmap=1:100000:1000", "user 0"),
        ("--uidmap=0:100000:0", "0:100000:0"),
        ("--uidmap=0:4294967295:1", "0:4294967295:1"),
        ("--uidmap=0:100000", "three numbers"),
        ("--uidmap=0:-1:5", "three numbers"),
        ("--uidmap=", "three numbers"),
        ("--userns=auto:size=many", "many"),
        ("--userns=auto:size", "size"),
        ("--userns=auto:colour=red", "colour"),
        ("--userns=auto:", "option"),
        ("--userns=keep-id:size=1,name=x", "name"),
        ("--userns=private", "private"),
        ("--userns=nomap", "nomap"),
        ("--userns=host:x", "host:x"),
        ("--userns=container:", "container:"),
        ("--userns=auto:size=4000000000", "4000000000"),
        ("--userns=auto:size=99999999999", "99999999999"),
    ];
    for (flag, needle) in refusals {
        let refused = sh(&host, &[flag], "users", "true").run();
        assert_eq!(refused.code(), 125, "{refused}");
        refused.says(needle);
        assert_eq!(refused.stderr().trim().lines().count(), 1, "one sentence: {refused}");
    }
    // Lines that overlap, inside or outside.
    for second in ["--uidmap=500:300000:10", "--uidmap=5000:100500:10"] {
        sh(&host, &["--uidmap=0:100000:1000", second], "users", "true").fails(125, "overlap");
    }
    host.bulkhead(["ps", "-aq"]).prints("");
    host.finish_clean();
}

#[test]
fn the_mode_is_shown() {
    let host = host("mode-shown");
    for (flag, shown) in
        [("--userns=host", "host"), ("--userns=auto", "auto"), ("--userns=auto:size=1000", "auto:size=1000")]
    {
        let id = host.bulkhead(["create", flag, "users"]).stdout();
        assert_eq!(host.inspect(&id, "{{.HostConfig.UsernsMode}}"), shown);
    }
    host.finish();
}
