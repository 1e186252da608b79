//! Sixteen clients run random commands on fifty containers while supervisors, first programs and clients are killed at
//! random. A model of what must hold is checked all along, and at the end nothing may be left.
//!
//! What the clients do is drawn from a seed, which a failure prints: `BULKHEAD_CHAOS_SEED` repeats it (the machine's own order
//! of things does not come again). `BULKHEAD_CHAOS_SECONDS` makes it longer or shorter than a minute.

#![allow(clippy::unwrap_used, clippy::panic)]

mod model;
mod random;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bulkhead_tests::Host;
use model::{TRUTH, check_answer};
use random::Random;

const CLIENTS: u64 = 16;
const CONTAINERS: u64 = 50;

/// How many commands were run, and how many of them did what they were asked for.
static COMMANDS: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn nothing_that_is_killed_breaks_what_must_hold() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let seed = number("BULKHEAD_CHAOS_SEED").unwrap_or_else(|| u64::try_from(now & 0xffff_ffff).unwrap());
    let seconds = number("BULKHEAD_CHAOS_SECONDS").unwrap_or(60);
    println!("BULKHEAD_CHAOS_SEED={seed}");
    let host = Host::new("chaos").with_busybox();
    host.bulkhead(["network", "create", "--ipv6", "shop"]).run().succeeds();
    let end = Instant::now() + Duration::from_secs(seconds);
    let failed = AtomicBool::new(false);
    let goes_on = || Instant::now() < end && !failed.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        let mut all = Vec::new();
        for client in 0..CLIENTS {
            let (host, goes_on) = (&host, &goes_on);
            all.push(scope.spawn(move || {
                let mut random = Random::new(seed, client);
                while goes_on() {
                    act(host, &mut random, client);
                }
            }));
        }
        all.push(scope.spawn(|| {
            let mut random = Random::new(seed, 100);
            while goes_on() {
                kill_somebody(&host, &mut random);
            }
        }));
        all.push(scope.spawn(|| {
            while goes_on() {
                host.sh(TRUTH).timeout(120).prints("");
                std::thread::sleep(Duration::from_millis(500));
            }
        }));
        for thread in all {
            if let Err(why) = thread.join() {
                failed.store(true, Ordering::Relaxed);
                std::panic::resume_unwind(why);
            }
        }
    });
    let (commands, done) = (COMMANDS.load(Ordering::Relaxed), DONE.load(Ordering::Relaxed));
    println!("{commands} commands, {done} of them did what they were asked for");
    // If most were refused, this has shown little.
    assert!(done * 4 > commands, "only {done} of {commands} commands could be done");
    host.sh(TRUTH).prints("");
    host.sh("bulkhead ps -aq | xargs -r bulkhead rm -f -v >/dev/null; bulkhead ps -aq")
        .timeout(120)
        .prints("");
    host.sh("bulkhead volume prune -af >/dev/null; ls /var/lib/bulkhead/trash /var/lib/bulkhead/volumes 2>/dev/null | grep -v : | grep . || true; ls /run/bulkhead/names")
        .prints("");
    // Nobody holds an address or a range of IDs any more.
    host.sh("python3 -c \"
import sqlite3
store = sqlite3.connect('file:/var/lib/bulkhead/bulkhead.db?mode=ro', uri=True)
for table in 'endpoints', 'id_users', 'volume_uses', 'image_uses', 'containers':
    print(table, store.execute('SELECT count(*) FROM ' + table).fetchone()[0])\"")
        .prints("endpoints 0\nid_users 0\nvolume_uses 0\nimage_uses 0\ncontainers 0");
    host.bulkhead(["network", "rm", "shop"]).prints("shop");
    host.finish_clean();
}

/// One command of one client.
fn act(host: &Host, random: &mut Random, client: u64) {
    // No beginning of an ID looks like that.
    let name = format!("box{}", random.below(CONTAINERS));
    let token = format!("{name}-{client}-{}", random.below(1_000_000));
    // Now and then the client itself is killed.
    let fate = match random.below(6) {
        0 => format!("timeout -s KILL 0.{:03}", random.below(40)),
        _ => String::new(),
    };
    let program = r#"'echo $TOKEN > /token; trap "exit 0" TERM; while :; do sleep 1 & wait $!; done'"#;
    let network = ["--network=none", "--network=bridge", "--network=shop", "--network=shop -p 80 -p 53/udp"]
        [usize::try_from(random.below(4)).unwrap()];
    let restart = ["no", "no", "on-failure:3", "always"][usize::try_from(random.below(4)).unwrap()];
    let make = format!(
        "--name {name} -e TOKEN={token} {network} -v shared:/shared -v /anonymous --label chaos={client}"
    );
    let command = match random.below(22) {
        20 => format!("network connect shop {name} 2>&1"),
        21 => format!("network disconnect shop {name} 2>&1"),
        0..=4 => format!("run -d --restart {restart} {make} busybox sh -c {program} 2>&1"),
        5 => format!("run --rm {make} busybox sh -c 'echo $TOKEN; exit 7' 2>&1"),
        6 => format!("create {make} busybox sh -c {program} 2>&1"),
        7 => format!("start {name} 2>&1"),
        8 => format!("stop -t 1 {name} 2>&1"),
        9 => format!("kill {name} 2>&1"),
        10 => format!("restart -t 0 {name} 2>&1"),
        11..=13 => format!("exec {name} cat /token 2>&1"),
        14 => format!("rm -f {name} 2>&1"),
        15 => format!("rm -f -v {name} 2>&1"),
        16 => format!("pause {name} 2>&1"),
        17 => format!("unpause {name} 2>&1"),
        18 => format!("logs {name} 2>&1"),
        _ => format!("inspect -f '{{{{.Name}}}} {{{{.State.Status}}}}' {name} 2>&1"),
    };
    let output =
        host.sh(&format!("{fate} bulkhead {command} && echo code 0 || echo code $?")).timeout(120).run();
    COMMANDS.fetch_add(1, Ordering::Relaxed);
    if check_answer(&command, &name, !fate.is_empty(), &output.stdout()) {
        DONE.fetch_add(1, Ordering::Relaxed);
    }
}

/// A supervisor or a first program dies: whichever the containers' own files name.
fn kill_somebody(host: &Host, random: &mut Random) {
    std::thread::sleep(Duration::from_millis(random.below(400)));
    let who = ["supervisor", "first"][usize::try_from(random.below(2)).unwrap()];
    let which = random.below(CONTAINERS);
    let script = format!(
        r#"
        set -- /var/lib/bulkhead/containers/*/status.json
        test -e "$1" || exit 0
        shift $(({which} % $#))
        grep -q '"state":"\(running\|paused\)"' "$1" || exit 0
        pid=$(sed -n 's/.*"{who}":{{"pid":\([0-9]*\).*/\1/p' "$1")
        # The number may be another's by now: whose it is must be what it was.
        test -n "$pid" && grep -q bulkhead /proc/$pid/cgroup && kill -9 $pid
        true"#
    );
    // The file may go while it is read.
    host.sh(&script).run();
}
