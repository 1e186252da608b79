//! Ranges: from where they come, that no two overlap, and when one is free again.

use bulkhead_tests::{Host, images::Image, wait};

use crate::{both, range_of, set, sh};

/// Starts a container and gives its range.
fn start(host: &Host, name: &str, flags: &[&str]) -> (u32, u32) {
    let words = both(&["--name", name], flags);
    host.run_detached(words.into_iter().chain(["busybox", "sleep", "1000"]));
    range_of(host, name)
}

fn remove(host: &Host, name: &str) {
    host.bulkhead(["rm", "-f", name]).prints(name);
}

/// A pool of so many ranges, so that what is free shows by what is handed out; one of them, and two more, the engine
/// keeps for itself.
fn pool(host: &Host, ranges: u32) {
    let last = 1_048_576 + (ranges + 2) * 65_536 - 1;
    set(host, &format!(r#"{{"userns-auto-pool": "1048576-{last}"}}"#));
}

#[test]
fn each_container_has_a_range_of_its_own_and_gives_it_back() {
    let host = Host::new("lease-own").with_busybox();
    let ranges: Vec<(u32, u32)> = ["c1", "c2", "c3"].iter().map(|name| start(&host, name, &[])).collect();
    let large = start(&host, "c4", &["--userns=auto:size=100000"]);
    let all = [&ranges[..], &[large]].concat();
    for (index, one) in all.iter().enumerate() {
        assert_eq!(one.0 % 65_536, 0, "{all:?}");
        assert!(
            all[index + 1..].iter().all(|other| one.0 + one.1 <= other.0 || other.0 + other.1 <= one.0),
            "{all:?}"
        );
    }
    // It is the container's while that is there, running or not.
    host.bulkhead(["stop", "-t", "0", "c1"]).prints("c1");
    host.bulkhead(["start", "c1"]).prints("c1");
    assert_eq!(range_of(&host, "c1"), ranges[0]);
    // One that was given back is not the next that is handed out.
    remove(&host, "c1");
    let next = start(&host, "c5", &[]);
    assert!(all.iter().all(|one| one.0 != next.0), "{next:?} was handed out at once again: {all:?}");
    host.finish();
}

#[test]
fn a_full_pool_says_so_and_what_is_given_back_is_used_again() {
    let host = Host::new("lease-full").with_busybox();
    pool(&host, 4);
    let first = start(&host, "c1", &[]);
    start(&host, "c2", &[]);
    start(&host, "c3", &[]);
    let refused = sh(&host, &[], "busybox", "true").run();
    assert_eq!(refused.code(), 125, "{refused}");
    refused.says("no range of 65536 IDs is free").says("userns-auto-pool");
    host.bulkhead(["ps", "-aq"]).run().succeeds();
    assert_eq!(host.bulkhead(["ps", "-aq"]).stdout().lines().count(), 3);
    // No address, name or file of the refused one is left; and with a range free there is room again, for that range.
    remove(&host, "c1");
    assert_eq!(start(&host, "c1", &[]), first);
    // One after the other, many more than the pool has.
    remove(&host, "c1");
    for _ in 0..8 {
        sh(&host, &[], "busybox", "true").prints("");
    }
    host.finish();
}

#[test]
fn ranges_keep_off_those_of_others() {
    let host = Host::new("lease-taken").with_busybox();
    pool(&host, 8);
    // The second is in subuid, the third in subgid, in the fourth is a user and in the fifth a group.
    host.sh("echo other:1114112:65536 > /etc/subuid; echo other:1179648:1 > /etc/subgid
             echo high:x:1250000:1::/:/bin/false >> /etc/passwd; echo high:x:1310720: >> /etc/group")
        .prints("");
    let taken = [1_114_112, 1_179_648, 1_245_184, 1_310_720];
    let mut seen = Vec::new();
    for name in ["c1", "c2", "c3"] {
        let range = start(&host, name, &[]);
        assert!(!taken.contains(&range.0), "{name} has {range:?}, where somebody is");
        seen.push(range.0);
    }
    seen.sort_unstable();
    // The engine's own three, one after the other, are the sixth to the eighth.
    assert_eq!(seen, [1_048_576, 1_572_864, 1_638_400]);
    sh(&host, &[], "busybox", "true").fails(125, "no range");
    host.finish();
}

#[test]
fn the_pool_stands_in_the_files_for_other_tools() {
    let host = Host::new("lease-recorded").with_busybox();
    host.sh("echo '# kept' > /etc/subuid; echo docker:100000:65536 >> /etc/subuid; chmod 640 /etc/subuid")
        .prints("");
    sh(&host, &[], "busybox", "true").prints("");
    // A block of 256 ranges, above those that useradd(8) hands out.
    let block = "bulkhead-auto:604504064:16777216";
    host.sh("cat /etc/subuid; stat -c %a /etc/subuid")
        .prints(&format!("# kept\ndocker:100000:65536\n{block}\n640"));
    host.sh("cat /etc/subgid").prints(block);
    // Its user is one of the system's, as whom nobody can log in.
    let shown = host
        .sh("getent passwd bulkhead-auto; getent group bulkhead-auto; grep ^bulkhead-auto: /etc/shadow")
        .stdout();
    assert!(shown.contains("nologin") || shown.contains("/bin/false"), "{shown}");
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert!(shown.lines().last().unwrap().starts_with("bulkhead-auto:!"), "{shown}");
    // Once is enough.
    let before = host.sh("cat /etc/subuid /etc/subgid /etc/passwd /etc/group /etc/shadow").stdout();
    sh(&host, &[], "busybox", "true").prints("");
    assert_eq!(host.sh("cat /etc/subuid /etc/subgid /etc/passwd /etc/group /etc/shadow").stdout(), before);
    host.finish_clean();
}

#[test]
fn a_container_that_needs_no_range_changes_no_file() {
    let host = Host::new("lease-unrecorded").with_busybox();
    let before = host.sh("cat /etc/subuid /etc/subgid /etc/passwd /etc/group").stdout();
    sh(&host, &["--userns=host"], "busybox", "true").prints("");
    assert_eq!(host.sh("cat /etc/subuid /etc/subgid /etc/passwd /etc/group").stdout(), before);
    host.finish_clean();
}

#[test]
fn a_file_system_that_takes_no_records_is_a_warning() {
    let host = Host::new("lease-read-only").with_busybox();
    host.sh("mount -o bind /etc /etc; mount -o remount,ro,bind /etc").prints("");
    let output = sh(&host, &[], "busybox", "awk '{ print ($2 >= 524288) }' /proc/self/uid_map").run();
    output.succeeds().shows("1").says("/etc/subuid");
    assert_eq!(output.stderr().lines().count(), 1, "{output}");
    host.sh("umount /etc").prints("");
    host.finish_clean();
}

#[test]
fn a_broken_file_is_an_error_that_changes_nothing() {
    let host = Host::new("lease-broken").with_busybox();
    host.sh("echo docker:100000 > /etc/subuid").prints("");
    let refused = sh(&host, &[], "busybox", "true").run();
    assert_eq!(refused.code(), 125, "{refused}");
    refused.says("/etc/subuid").says("line 1").says("docker:100000");
    host.sh("cat /etc/subuid /etc/subgid").prints("docker:100000");
    host.bulkhead(["ps", "-aq"]).prints("");
    // Who needs no range is not concerned.
    sh(&host, &["--userns=host"], "busybox", "true").prints("");
    host.finish_clean();
}

#[test]
fn a_range_is_free_after_the_death_of_a_supervisor() {
    let host = Host::new("lease-killed").with_busybox();
    pool(&host, 2);
    host.run_detached(["--rm", "--name", "c1", "busybox", "sleep", "1000"]);
    sh(&host, &[], "busybox", "true").fails(125, "no range");
    let first = range_of(&host, "c1");
    let pid = host.inspect("c1", "{{.State.Pid}}");
    host.sh(&format!("kill -9 $(awk '/^PPid:/ {{ print $2 }}' /proc/{pid}/status)")).prints("");
    // The next command finds out, removes it, and its range with it.
    wait::until("the range is free", || sh(&host, &[], "busybox", "true").run().code() == 0);
    assert_eq!(start(&host, "c2", &[]), first);
    host.finish();
}

#[test]
fn a_range_is_not_free_while_files_of_it_remain() {
    let host = Host::new("lease-remains").with_busybox();
    pool(&host, 2);
    let id = host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    host.bulkhead(["exec", "c1", "sh", "-c", "mkdir /kept; echo x > /kept/x; ls / | xargs"]).run().succeeds();
    // A file system mounted on what is to be removed keeps it there.
    let upper = format!("/var/lib/bulkhead/containers/{id}/rw/upper/kept");
    host.sh(&format!("mount -t tmpfs keep {upper}; touch {upper}/y")).prints("");
    host.bulkhead(["rm", "-f", "c1"]).run();
    let refused = sh(&host, &[], "busybox", "true").run();
    assert_eq!(refused.code(), 125, "the range was handed out with files of it left: {refused}");
    refused.says("no range");
    host.sh("umount $(awk '$1 == \"keep\" { print $2 }' /proc/mounts)").prints("");
    wait::until("the range is free", || sh(&host, &[], "busybox", "true").run().code() == 0);
    host.finish();
}

#[test]
fn a_range_is_not_free_while_processes_of_it_remain() {
    let host = Host::new("lease-processes").with_busybox();
    pool(&host, 3);
    // Another container that shares the user namespace, or its files, keeps the range.
    let first = start(&host, "donor", &[]);
    host.run_detached(["--name", "guest", "--userns=container:donor", "busybox", "sleep", "1000"]);
    remove(&host, "donor");
    let second = start(&host, "c2", &[]);
    assert_ne!(first.0, second.0);
    sh(&host, &[], "busybox", "true").fails(125, "no range");
    remove(&host, "guest");
    assert_eq!(start(&host, "c3", &[]).0, first.0);
    host.finish();
}

#[test]
fn two_engines_never_hand_out_the_same() {
    let host = Host::new("lease-two-engines").with_busybox();
    let other = "BULKHEAD_ROOT=/var/lib/bulkhead/../other BULKHEAD_STATE=/run/other";
    host.sh("mkdir -p /tmp/other && mkdir -p /var/lib/other && mount -t tmpfs other /var/lib/other")
        .prints("");
    let other_map = format!(
        "{other} bulkhead load -q -i {} >/dev/null; {other} bulkhead run --rm --network=none busybox \
         cat /proc/self/uid_map",
        Image::Busybox.on_host()
    );
    let text = host.sh(&other_map).stdout();
    let theirs: u32 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    let ours = start(&host, "c1", &[]);
    assert!(theirs.abs_diff(ours.0) >= 65_536, "{theirs} and {ours:?}");
    host.sh("umount /var/lib/other").run();
    host.finish();
}

#[test]
fn containers_that_start_at_once_get_ranges_of_their_own() {
    let host = Host::new("lease-at-once").with_busybox();
    pool(&host, 13);
    sh(&host, &[], "busybox", "true").prints("");
    host.sh("for i in 1 2 3 4; do (for j in 1 2 3; do bulkhead run -d --name p$i-$j busybox sleep 1000 >/dev/null; done) & done; wait")
        .run()
        .succeeds()
        .quietly();
    let names = host.bulkhead(["ps", "--format", "{{.Names}}"]).stdout();
    let mut ranges: Vec<u32> = names.lines().map(|name| range_of(&host, name).0).collect();
    ranges.sort_unstable();
    ranges.dedup();
    assert_eq!(ranges.len(), 12, "{ranges:?}");
    sh(&host, &[], "busybox", "true").fails(125, "no range");
    host.finish();
}

#[test]
fn a_command_that_is_killed_keeps_no_range() {
    let host = Host::new("lease-interrupted").with_busybox();
    pool(&host, 4);
    // The death comes at every point of a container's making and ending.
    host.sh("for i in $(seq 2 2 40); do timeout -s KILL 0.0$(printf %02d $i) bulkhead run --rm busybox true; done 2>/dev/null || true")
        .run();
    wait::until("nothing runs any more", || host.bulkhead(["ps", "-q"]).stdout().is_empty());
    // A container that was made and not removed holds its range by right.
    host.sh("bulkhead ps -aq | xargs -r bulkhead rm -f").run();
    for name in ["c1", "c2", "c3"] {
        start(&host, name, &[]);
    }
    host.finish();
}

/// Where its IDs may stay on files that the engine does not know of, nobody else may ever have them.
#[test]
fn a_range_whose_files_may_be_anywhere_is_kept() {
    let host = Host::new("lease-kept").with_busybox();
    host.sh("mkdir -m 1777 /tmp/m; mkdir -m 1777 /var/m").prints("");
    for flags in [&["-v", "/tmp/m:/m:noidmap"][..], &["-v", "/var/m:/m"], &["--ipc=host"]] {
        let kept = start(&host, "c1", flags);
        remove(&host, "c1");
        // A pool of that range and one more, which goes round.
        let last = kept.0 + 2 * 65_536 - 1;
        set(&host, &format!(r#"{{"userns-auto-pool": "{}-{last}"}}"#, kept.0));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(start(&host, "c1", &[]).0);
            remove(&host, "c1");
        }
        assert!(
            seen.iter().all(|first| *first != kept.0),
            "{flags:?}: {kept:?} was handed out again: {seen:?}"
        );
        set(&host, "{}");
    }
    host.finish_clean();
}
