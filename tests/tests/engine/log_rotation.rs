//! Log files that are bounded: what is kept, in which order, by which sizes; a flood, a full disk, a killed supervisor.

use bulkhead_tests::{Host, wait};

/// The sizes of a container's log files, youngest first.
fn sizes(host: &Host, id: &str, name: &str) -> Vec<u64> {
    let files = format!("cd /var/lib/bulkhead/containers/{id}; ls -v {name}* | grep -v next");
    let shown = host.sh(&format!("{files} | xargs stat -c %s")).stdout();
    shown.lines().map(|size| size.parse().unwrap()).collect()
}

/// Whether `shown` is the end of what `seq -w LAST` prints; how many lines of it.
#[track_caller]
fn is_end_of_seq(shown: &str, last: usize) -> usize {
    let numbers: Vec<usize> = shown.lines().map(|line| line.trim_end().parse().unwrap()).collect();
    let first = last + 1 - numbers.len();
    assert_eq!(numbers, (first..=last).collect::<Vec<_>>());
    numbers.len()
}

#[test]
fn what_the_policy_keeps_is_kept_whole_and_in_order() {
    let host = Host::new("rotation").with_busybox();
    // The driver, its options, its files, how many there are, and of what size at most.
    for (driver, options, files, count, most) in [
        ("json-file", "max-size=20k max-file=4", "*-json.log", 4, 20_000),
        ("json-file", "max-size=20k", "*-json.log", 1, 20_000),
        ("json-file", "max-size=1 max-file=3", "*-json.log", 3, 200),
        ("local", "max-size=20k max-file=3", "local-logs/container.log", 3, 20_480),
        ("local", "max-size=20k max-file=1", "local-logs/container.log", 1, 20_480),
    ] {
        let mut words = vec!["--name", "c1", "--log-driver", driver];
        words.extend(options.split(' ').flat_map(|option| ["--log-opt", option]));
        words.extend(["busybox", "seq", "-w", "5000"]);
        let id = host.run_detached(words);
        host.bulkhead(["wait", "c1"]).prints("0");
        let sizes = sizes(&host, &id, files);
        assert_eq!(sizes.len(), count, "{driver} {options}: {sizes:?}");
        assert!(sizes.iter().all(|size| *size > 0 && *size <= most), "{driver} {options}: {sizes:?}");
        // All but the youngest are full: another line has no room.
        let line = if driver == "local" { 30 + 10 + 5 } else { 100 };
        if most > 1000 {
            assert!(sizes[1..].iter().all(|size| *size + line > most), "{driver} {options}: {sizes:?}");
        }
        let shown = host.bulkhead(["logs", "c1"]).stdout();
        let kept = is_end_of_seq(&shown, 5000);
        assert!(kept >= count, "{driver} {options}: {kept}");
        // Lines that are in several files.
        let last = format!("{}", kept.min(1000));
        let tail = host.bulkhead(["logs", "-n", &last, "c1"]).stdout();
        assert_eq!(is_end_of_seq(&tail, 5000), kept.min(1000));
        host.bulkhead(["rm", "c1"]).prints("c1");
    }
    host.finish();
}

#[test]
fn a_log_goes_on_when_its_container_is_started_again() {
    let host = Host::new("rotation-again").with_busybox();
    for driver in ["json-file", "local"] {
        let options = ["--log-driver", driver, "--log-opt", "max-size=1k", "--log-opt", "max-file=100"];
        host.run_detached(options.iter().copied().chain(["--name", "c1", "busybox", "seq", "30"]));
        host.bulkhead(["wait", "c1"]).prints("0");
        for _ in 0..2 {
            host.bulkhead(["start", "-a", "c1"]).run().succeeds();
        }
        let once: String = (1..=30).map(|number| format!("{number}\n")).collect();
        assert_eq!(host.bulkhead(["logs", "c1"]).run().stdout(), once.repeat(3));
        host.bulkhead(["rm", "c1"]).prints("c1");
    }
    host.finish();
}

#[test]
fn it_is_followed_through_rotation() {
    let host = Host::new("rotation-follow").with_busybox();
    let script = "until test -e /go; do echo ready; sleep 0.05; done
        for i in $(seq 50); do seq $((i * 100 - 99)) $((i * 100)); sleep 0.01; done";
    let options = ["--log-opt", "max-size=5k", "--log-opt", "max-file=1000"];
    host.run_detached(options.into_iter().chain(["--name", "c1", "busybox", "sh", "-c", script]));
    let mut followers = [
        host.bulkhead(["logs", "-f", "c1"]).start(),
        host.bulkhead(["logs", "-f", "-n0", "c1"]).start(),
        host.bulkhead(["logs", "--follow", "--since=1m", "c1"]).start(),
    ];
    // One that begins late misses what was written before.
    for follower in &followers {
        follower.expect("ready");
    }
    host.bulkhead(["exec", "c1", "touch", "/go"]).prints("");
    for follower in &mut followers {
        let output = follower.finish();
        let shown = output.succeeds().stdout();
        let numbers: Vec<&str> = shown.lines().filter(|line| *line != "ready").collect();
        assert_eq!(is_end_of_seq(&numbers.join("\n"), 5000), 5000);
    }
    let id = host.inspect("c1", "{{.Id}}");
    assert!(sizes(&host, &id, "*-json.log").len() > 20);
    host.finish();
}

#[test]
fn who_is_slower_than_the_log_misses_lines_and_nothing_else() {
    let host = Host::new("rotation-slow").with_busybox();
    let script = "until test -e /go; do sleep 0.01; done; seq 300000";
    let options = ["--log-opt", "max-size=1k", "--log-opt", "max-file=3"];
    host.run_detached(options.into_iter().chain(["--name", "c1", "busybox", "sh", "-c", script]));
    let mut followers: Vec<_> = (0..3).map(|_| host.bulkhead(["logs", "-f", "c1"]).start()).collect();
    host.bulkhead(["exec", "c1", "touch", "/go"]).prints("");
    for follower in &mut followers {
        let output = follower.finish();
        let shown = output.succeeds().stdout();
        let numbers: Vec<usize> = shown.lines().map(|line| line.parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "in order, and each once");
        assert_eq!(numbers.last(), Some(&300_000));
    }
    host.finish();
}

/// The supervisor of a running container.
fn supervisor(host: &Host, name: &str) -> String {
    let pid = host.inspect(name, "{{.State.Pid}}");
    host.sh(&format!("awk '{{print $4}}' /proc/{pid}/stat")).stdout()
}

#[test]
fn a_flood_costs_bounded_memory() {
    let host = Host::new("rotation-flood").with_busybox();
    let bounded = "--log-opt=max-size=1m";
    let mut silent = host.sh("exec /run/host/test-host listen unixgram /run/silent hold").start();
    silent.expect("ready");
    let syslog = ["--log-driver=syslog", "--log-opt=syslog-address=unixgram:///run/silent"];
    let lossy = ["--log-opt=mode=non-blocking", "--log-opt=max-buffer-size=1m"];
    for (what, options, flood) in [
        ("short lines", vec![bounded], "yes | head -c 30000000"),
        ("empty lines", vec![bounded], "yes '' | head -c 3000000"),
        ("no line at all", vec![bounded], "head -c 100000000 /dev/zero | tr '\\0' x"),
        ("what is escaped", vec![bounded], "head -c 30000000 /dev/zero"),
        ("both streams", vec![bounded], "yes | head -c 3000000 & yes | head -c 3000000 >&2; wait"),
        ("local", vec!["--log-driver=local", bounded], "yes | head -c 30000000"),
        ("a receiver that does not keep up", [syslog, lossy].concat(), "yes '' | head -c 3000000"),
    ] {
        let script = format!("{flood}; touch /done; sleep 1000");
        let words = options.into_iter().chain(["--name", "c1", "busybox", "sh", "-c", &script]);
        host.run_detached(words);
        wait::until("the flood is over", || {
            host.bulkhead(["exec", "c1", "test", "-e", "/done"]).run().code() == 0
        });
        let status = format!("awk '/VmHWM/ {{print $2}}' /proc/{}/status", supervisor(&host, "c1"));
        let most: u64 = host.sh(&status).stdout().parse().unwrap();
        assert!(most < 8192, "{what}: {most} KiB");
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    }
    silent.send("go\n");
    silent.finish();
    host.finish();
}

#[test]
fn a_killed_supervisor_leaves_every_whole_line() {
    let host = Host::new("rotation-killed").with_busybox();
    for driver in ["json-file", "local"] {
        let script = "i=0; while :; do i=$((i + 1)); echo $i; done";
        let words = ["--log-driver", driver, "--log-opt", "max-size=10k", "--log-opt", "max-file=5"];
        let id = host.run_detached(words.into_iter().chain(["--name", "c1", "busybox", "sh", "-c", script]));
        let file = if driver == "local" { "local-logs/container.log" } else { "*-json.log" };
        wait::until("it has rotated", || sizes(&host, &id, file).len() == 5);
        host.sh(&format!("kill -KILL {}", supervisor(&host, "c1"))).prints("");
        wait::until("it is told as ended", || host.inspect("c1", "{{.State.Running}}") == "false");
        // As one killed in the middle of a line, and of a rotation, would leave it. (It may have been in the middle of one
        // indeed: then the file that it writes to is not there.)
        let log = file.replace('*', &id);
        host.sh(&format!(
            "cd /var/lib/bulkhead/containers/{id}; log={log}; printf '{{\"log\":\"torn' >> $log; \
             mv $log.1 $log.7; echo > $log.next"
        ))
        .prints("");
        let shown = host.bulkhead(["logs", "c1"]).stdout();
        let mut numbers: Vec<usize> = shown.lines().map(|line| line.parse().unwrap()).collect();
        assert!(numbers.len() > 100);
        // What the rename put first was the youngest but one; nothing else is missing.
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{driver}: {numbers:?}");
        host.bulkhead(["start", "c1"]).prints("c1");
        wait::until("it writes again", || host.bulkhead(["logs", "-n1", "c1"]).stdout() != "torn");
        host.bulkhead(["kill", "c1"]).prints("c1");
        let again = host.bulkhead(["logs", "c1"]).run();
        again.succeeds().hides("torn");
        assert!(again.stdout().lines().all(|line| line.parse::<usize>().is_ok()));
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    }
    host.finish();
}

#[test]
fn a_full_disk_costs_lines_and_says_so() {
    let host = Host::new("rotation-full").with_busybox();
    // What a signal makes it print needs no room on the disk.
    let script = "trap 'seq 100000' USR1; trap 'echo after' USR2; echo ready; while :; do sleep 0.02; done";
    let mut words = vec!["--name", "c1", "busybox", "sh", "-c", script];
    for driver in ["json-file", "local"] {
        words.splice(0..0, ["--log-driver", driver]);
        host.run_detached(words.clone());
        wait::until("it is ready", || host.bulkhead(["logs", "c1"]).stdout() == "ready");
        host.sh("dd if=/dev/zero of=/var/lib/bulkhead/filler bs=1M count=8 2>/dev/null; used=$(du -sm /var/lib/bulkhead | cut -f1)
            mount -o remount,size=$((used + 1))m /var/lib/bulkhead; head -c 700k /dev/zero >> /var/lib/bulkhead/filler || true")
            .prints("");
        host.bulkhead(["kill", "-s", "USR1", "c1"]).prints("c1");
        // The container is not held back: it comes to the next signal.
        wait::until("the disk is full", || {
            host.sh("df --output=avail /var/lib/bulkhead | tail -n1").stdout().trim() == "0"
        });
        host.bulkhead(["kill", "-s", "USR2", "c1"]).prints("c1");
        wait::until("there is room", || {
            host.sh("rm -f /var/lib/bulkhead/filler").prints("");
            host.bulkhead(["kill", "-s", "USR2", "c1"]).prints("c1");
            let output = host.bulkhead(["logs", "-n1", "c1"]).run();
            output.stdout() == "after\n"
        });
        let output = host.bulkhead(["logs", "c1"]).run();
        let notice = output.stderr();
        let said = notice.strip_prefix("bulkhead: ").unwrap();
        let (lost, why) = said.split_once(' ').unwrap();
        assert!(why.contains("lost: no space left on device"), "{notice}");
        assert_eq!(notice.lines().count(), 1, "said once");
        let lost: usize = lost.parse().unwrap();
        let shown = output.stdout();
        let kept = shown.lines().filter(|line| line.parse::<usize>().is_ok()).count();
        let afters = shown.lines().filter(|line| *line == "after").count();
        // The first `after` may be among the lost.
        assert!(kept < 100_000 && (100_000..100_003).contains(&(kept + lost)), "{kept} + {lost}, {afters}");
        let numbers: Vec<usize> = shown.lines().filter_map(|line| line.parse().ok()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "in order");
        host.bulkhead(["kill", "c1"]).prints("c1");
        host.bulkhead(["wait", "c1"]).prints("137");
        assert!(host.inspect("c1", "{{.State.Error}}").contains("lines of the log were lost"));
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");
        host.sh("mount -o remount,size=4g /var/lib/bulkhead").prints("");
        words.drain(..2);
    }
    host.finish();
}
