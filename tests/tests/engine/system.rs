//! `system`: what is used on disk, what goes when it is not used, and how everything goes.

use bulkhead_tests::Host;

#[test]
fn what_is_used_on_disk() {
    let host = Host::new("system-df").with_busybox();
    let fill = "head -c 2000 /dev/zero > /x; head -c 3000 /dev/zero > /data/y";
    host.bulkhead(["run", "--name", "c1", "-v", "data:/data", "busybox", "sh", "-c", fill]).prints("");
    host.run_detached(["--name", "c2", "busybox", "sleep", "1000"]);
    host.bulkhead(["volume", "create", "empty"]).prints("empty");
    let df = |format: &str| host.bulkhead(["system", "df", "--format", format]).stdout();
    let all = df("{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}");
    let lines: Vec<&str> = all.lines().collect();
    assert!(lines[0].starts_with("Images|1|1|") && lines[0].ends_with("|0B (0%)"), "{all}");
    assert_eq!(
        lines[1..],
        ["Containers|2|1|2kB|2kB (100%)", "Local Volumes|2|1|3kB|0B (0%)", "Build Cache|0|0|0B|0B"]
    );
    let table = host.bulkhead(["system", "df"]).stdout();
    assert!(table.starts_with("TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n"), "{table}");
    let long = host.bulkhead(["system", "df", "-v"]).stdout();
    for part in
        ["Images space usage:", "SHARED SIZE", "CONTAINER ID", "LOCAL VOLUMES", "VOLUME NAME", "data", "c2"]
    {
        assert!(long.contains(part), "{part}: {long}");
    }
    host.bulkhead([
        "system",
        "df",
        "-v",
        "--format",
        "{{range .Volumes}}{{.Name}} {{.Links}} {{.Size}};{{end}}",
    ])
    .prints("data 1 3kB;empty 0 0B;");
    host.bulkhead(["system", "df", "--format", "{{"]).fails(1, "template");
    host.bulkhead(["system", "info", "-f", "{{.Containers}} {{.Driver}}"]).prints("2 overlay2");
    host.finish();
}

#[test]
fn what_is_not_used_goes() {
    let host = Host::new("system-prune").with_busybox();
    host.bulkhead([
        "run",
        "--name",
        "ended",
        "-l",
        "keep=no",
        "-v",
        "/anonymous",
        "-v",
        "named:/n",
        "busybox",
        "true",
    ])
    .prints("");
    host.bulkhead(["create", "--name", "kept", "-l", "keep=yes", "busybox"]).run().succeeds();
    host.run_detached(["--name", "runs", "busybox", "sleep", "1000"]);
    // Nothing without a yes, and nothing by a filter that there is not.
    let asked = host.bulkhead(["system", "prune"]).stdin("n\n").run();
    asked.ends_with(1).shows("all stopped containers").shows("dangling images").hides("volumes");
    host.bulkhead(["system", "prune", "-f", "--filter", "label=keep=no", "--filter", "what=ever"])
        .fails(1, "invalid filter 'what'");
    host.bulkhead(["system", "prune", "-f", "--filter", "until=yesterday"]).run().ends_with(1);
    host.bulkhead(["system", "prune", "-f", "--volumes", "--filter", "until=1h"])
        .fails(1, "not supported with \"--volumes\"");
    host.bulkhead(["system", "prune", "-f", "--filter", "until=1h"]).prints("Total reclaimed space: 0B");
    host.bulkhead(["container", "prune", "-f", "--filter", "until=1h"]).prints("Total reclaimed space: 0B");
    let pruned = host.bulkhead(["system", "prune", "-f", "--filter", "label!=keep=yes"]).stdout();
    assert!(pruned.starts_with("Deleted Containers:\n") && !pruned.contains("Volumes"), "{pruned}");
    host.bulkhead(["ps", "-a", "--format", "{{.Names}}"]).prints("runs\nkept");
    host.bulkhead(["container", "prune", "-f", "--filter", "label=keep=no"])
        .prints("Total reclaimed space: 0B");
    // Volumes without a name, images without one, and all images.
    host.bulkhead(["tag", "busybox", "other"]).prints("");
    host.bulkhead(["system", "prune", "-f", "--volumes"])
        .run()
        .succeeds()
        .shows("Deleted Volumes:")
        .shows("Deleted Containers:");
    host.bulkhead(["volume", "ls", "-q"]).prints("named");
    host.bulkhead(["volume", "prune", "-f", "--filter", "all=true", "--filter", "label!=x"])
        .run()
        .succeeds()
        .shows("named");
    assert_eq!(host.bulkhead(["images", "-q"]).stdout().lines().count(), 2);
    host.bulkhead(["system", "prune", "-af"]).run().succeeds().hides("Images");
    host.bulkhead(["rm", "-f", "runs"]).prints("runs");
    let all = host.bulkhead(["system", "prune", "-af"]).run();
    all.succeeds()
        .shows("untagged: busybox:latest")
        .shows("untagged: other:latest")
        .shows("deleted: sha256:")
        .hides("space: 0B");
    host.bulkhead(["images", "-q"]).prints("");
    host.sh("ls /var/lib/bulkhead/images/layers").prints("");
    host.finish_clean();
}

/// Killed at any moment: what is listed works, and the next one removes the rest.
#[test]
fn prune_is_killed() {
    let host = Host::new("system-prune-killed").with_busybox();
    host.sh("for i in $(seq 2 2 40); do
            for c in 1 2 3; do bulkhead run --name c$c -v /anonymous busybox touch /anonymous/x; done
            timeout -s KILL $(printf 0.%03d $i) bulkhead system prune -f --volumes >/dev/null 2>&1 || true
            for name in $(bulkhead ps -aq); do bulkhead start -a $name; done
            for name in $(bulkhead volume ls -q); do
                bulkhead run --rm -v $name:/v busybox test -e /v/x
            done
            bulkhead system prune -f --volumes >/dev/null
            test -z \"$(bulkhead ps -aq; bulkhead volume ls -q; ls -A /var/lib/bulkhead/volumes /var/lib/bulkhead/trash | grep -v :)\"
        done")
        .run()
        .succeeds();
    host.finish_clean();
}

/// What is left on the machine after a reset: nothing, and it can begin anew.
const NOTHING_LEFT: &str =
    "test -z \"$(ls -A /var/lib/bulkhead)\"; test ! -e /run/bulkhead; test ! -e /sys/class/net/bulkhead0
    ! grep -s bulkhead-auto /etc/subuid /etc/subgid; test ! -e /var/lib/bulkhead-id-blocks
    ! ls -d /sys/fs/cgroup/*/bulkhead 2>/dev/null";

#[test]
fn everything_goes() {
    let host = Host::new("system-reset").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    host.run_detached(["--name", "c2", "busybox", "sleep", "1000"]);
    host.bulkhead(["pause", "c2"]).prints("c2");
    host.bulkhead(["create", "busybox"]).run().succeeds();
    let asked = host.bulkhead(["system", "reset"]).stdin("\n").run();
    asked.ends_with(1).shows("/var/lib/bulkhead");
    host.bulkhead(["exec", "c1", "true"]).prints("");
    host.bulkhead(["system", "reset", "-f"]).prints("");
    host.sh(NOTHING_LEFT).prints("");
    // Again, and anew.
    host.bulkhead(["system", "reset", "--force"]).prints("");
    host.sh(NOTHING_LEFT).prints("");
    let host = host.with_busybox();
    host.bulkhead(["run", "--rm", "busybox", "echo", "here"]).prints("here");
    host.finish_clean();
}

/// IDs that files in the host's folders have stay set aside, and are the same ones afterwards.
#[test]
fn ids_in_folders_of_the_host_stay_set_aside() {
    let host = Host::new("system-reset-ids").with_busybox();
    host.sh("mkdir /run/folder; chmod 777 /run/folder").prints("");
    let write = ["run", "--rm", "-v", "/run/folder:/d", "busybox", "touch"];
    host.bulkhead(write.into_iter().chain(["/d/one"])).prints("");
    let owner = "stat -c %u /run/folder/one";
    let before = host.sh(owner).stdout();
    let said = host.bulkhead(["system", "reset", "-f"]).stdout();
    assert!(said.contains("stay in /etc/subuid"), "{said}");
    let lines = host.sh("grep bulkhead-auto /etc/subuid").stdout();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    let numbers: Vec<u32> = lines.split(':').skip(1).map(|word| word.parse().unwrap()).collect();
    let owner_id: u32 = before.parse().unwrap();
    assert!(
        numbers[1] == 65_536 && (numbers[0]..numbers[0] + 65_536).contains(&owner_id),
        "{before} {lines}"
    );
    let host = host.with_busybox();
    host.bulkhead(write.into_iter().chain(["/d/two"])).prints("");
    assert_eq!(host.sh("stat -c %u /run/folder/two").stdout(), before);
    host.bulkhead(["system", "reset", "-f"]).run().succeeds();
    assert_eq!(host.sh("grep bulkhead-auto /etc/subuid").stdout(), lines);
    host.finish_clean();
}

#[test]
fn what_is_mounted_below_is_not_deleted() {
    let host = Host::new("system-reset-mount").with_busybox();
    host.sh("mkdir /var/lib/bulkhead/mine; mount -t tmpfs mine /var/lib/bulkhead/mine; echo x > /var/lib/bulkhead/mine/file").prints("");
    host.bulkhead(["system", "reset", "-f"]).fails(1, "/var/lib/bulkhead/mine is mounted");
    host.sh("cat /var/lib/bulkhead/mine/file; umount /var/lib/bulkhead/mine; rmdir /var/lib/bulkhead/mine")
        .prints("x");
    host.bulkhead(["run", "--rm", "busybox", "echo", "here"]).prints("here");
    host.finish_clean();
}

/// Killed at any moment: the next command tells the truth, and the next reset finishes.
#[test]
fn reset_is_killed() {
    let host = Host::new("system-reset-killed");
    let image = "/run/host/images";
    host.sh(&format!(
        "archive=$(ls {image}/busybox*.tar | head -n 1)
        for i in $(seq 2 4 46); do
            bulkhead load -q -i $archive >/dev/null
            bulkhead run -d --name c1 -v data:/d busybox sleep 1000 >/dev/null
            timeout -s KILL $(printf 0.%03d $i) bulkhead system reset -f >/dev/null 2>&1 || true
            # Whatever is listed works, or is ending this moment.
            for name in $(bulkhead ps -q); do
                bulkhead exec $name true 2>/dev/null || ! bulkhead ps -q | grep $name
            done
            for name in $(bulkhead images -q); do bulkhead run --rm $name true; done
            bulkhead volume ls -q >/dev/null
            bulkhead system reset -f >/dev/null
            test -z \"$(ls -A /var/lib/bulkhead)\"; test ! -e /sys/class/net/bulkhead0
        done"
    ))
    .timeout(120)
    .run()
    .succeeds();
    host.finish_clean();
}
