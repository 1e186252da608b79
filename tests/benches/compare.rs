//! `make bench`: our times beside those of the engines that are installed, on one host, in one table.
//!
//! Each pair is measured alternately in one run, with 300 ms between runs, as people and CI run things: back to back,
//! waits for the kernel's RCU grace periods hide in the next run. Medians, and the ratio to ours.

#![allow(clippy::unwrap_used, clippy::panic)]

use bulkhead_tests::Host;
use bulkhead_tests::engines::{Engine, wanted};
use bulkhead_tests::images::Image;
use bulkhead_tests::measure::{alternately, median, print_row};

/// Runs what `script` makes of each engine's command alternately, `rounds` times, and prints the medians.
fn row(
    host: &Host,
    engines: &[&Engine],
    what: &str,
    rounds: usize,
    pause: f64,
    script: impl Fn(&Engine) -> String,
) {
    let commands: Vec<String> = engines.iter().map(|engine| script(engine)).collect();
    print_row(what, &alternately(host, &commands, rounds, pause), "ms");
}

fn main() {
    let host = Host::new("bench").with_busybox();
    let engines: Vec<&Engine> = wanted().into_iter().filter(|engine| engine.start(&host)).collect();
    for engine in engines.iter().skip(1) {
        engine.load(&host, Image::Busybox);
    }
    print!("{:<44}", "medians");
    for engine in &engines {
        print!("{:>12}{:>9}", engine.name, "");
    }
    println!();

    for (label, pause) in [("", 0.3), (", back to back", 0.0)] {
        for network in ["bridge", "none"] {
            let what = format!("run --rm --network {network} true{label}");
            row(&host, &engines, &what, 15, pause, |engine| {
                format!("{} run --rm --network {network} busybox true", engine.command)
            });
        }
        for engine in &engines {
            host.sh(&format!("{} run -d --name idle busybox sleep 10000 >/dev/null", engine.command))
                .run()
                .succeeds();
        }
        let what = format!("exec true{label}");
        row(&host, &engines, &what, 15, pause, |engine| format!("{} exec idle true", engine.command));
        for engine in &engines {
            host.sh(&format!("{} rm -f idle >/dev/null", engine.command)).run().succeeds();
        }
    }

    let made = |command: &str| {
        format!(
            "for p in 1 2 3 4 5 6 7 8; do (for i in $(seq $p 8 50); do {command} run -d --label bench busybox sleep 10000 >/dev/null; done) & done; wait"
        )
    };
    let (mut making, mut removing, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for engine in &engines {
        let timed = |script: &str| -> f64 {
            let measured = host.sh("cat > /tmp/bench.sh; /run/host/test-host time 1 -- sh /tmp/bench.sh");
            measured.stdin(script).timeout(300).stdout().parse::<f64>().unwrap() / 1000.0
        };
        let before = engine.memory(&host);
        making.push(timed(&made(engine.command)));
        idle.push((engine.memory(&host) - before) / 50.0);
        let all = format!("{0} ps -q --filter label=bench", engine.command);
        assert_eq!(host.sh(&all).stdout().lines().count(), 50);
        removing.push(timed(&format!("{0} rm -f $({all})", engine.command)));
    }
    print_row("50 detached containers by 8 processes", &making, "ms");
    print_row("their removal", &removing, "ms");
    print_row("memory of ours for an idle container", &idle, "KiB");

    files(&host, &engines);
    load(&host);
    for engine in engines {
        engine.end(&host);
    }
    // What peers leave on the host goes with it.
    host.abandon();
}

/// Logs of a million lines, files in and out, an image of what was changed.
fn files(host: &Host, engines: &[&Engine]) {
    host.sh("head -c 1000000000 /dev/urandom > /tmp/big").timeout(300).run().succeeds();
    for engine in engines {
        let command = engine.command;
        let tree = "mkdir /tree; cd /tree; head -c 33000 /dev/urandom > seed; for d in $(seq 150); do mkdir $d; for f in $(seq 100); do cp seed $d/$f; done; done";
        let script = format!(
            "{command} run --name lines busybox seq 1000000 >/dev/null; {command} run --name tree busybox sh -c '{tree}'
             {command} run -d --name files busybox sleep 10000 >/dev/null"
        );
        host.sh(&script).timeout(300).run().succeeds();
    }
    row(host, engines, "logs of 1,000,000 lines", 3, 0.3, |engine| {
        format!("sh -c '{} logs lines >/dev/null'", engine.command)
    });
    row(host, engines, "cp of 1 GB into a running container", 3, 0.3, |engine| {
        format!("{} cp -q /tmp/big files:/big", engine.command)
    });
    row(host, engines, "cp of 1 GB out of it", 3, 0.3, |engine| {
        format!("{} cp -q files:/big /tmp/out", engine.command)
    });
    row(host, engines, "commit of 500 MB in 15,000 new files", 3, 0.3, |engine| {
        format!("{} commit tree made:1", engine.command)
    });
    for engine in engines {
        host.sh(&format!("{} rm -f lines tree files >/dev/null; rm -f /tmp/out", engine.command))
            .run()
            .succeeds();
    }
    host.sh("rm /tmp/big").run().succeeds();
}

/// `load` of a tree of 500 MB in 15,000 files, beside `tar x` of the same.
fn load(host: &Host) {
    let make = "mount -t tmpfs none /mnt; mkdir /mnt/tree; cd /mnt/tree; head -c 33000 /dev/urandom > seed
        for d in $(seq 150); do mkdir $d; for f in $(seq 100); do cp seed $d/$f; done; done; rm seed
        tar cf /mnt/tree.tar .; rm -rf /mnt/tree; bulkhead import /mnt/tree.tar tree:1 >/dev/null; bulkhead rmi tree:1 >/dev/null";
    host.sh(make).timeout(300).run().succeeds();
    let (mut ours, mut tars) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let one = |script: &str| -> f64 {
            host.sh(script).timeout(300).stdout().lines().next().unwrap().parse::<f64>().unwrap() / 1000.0
        };
        ours.push(one("/run/host/test-host time 0.3 -- bulkhead import /mnt/tree.tar tree:1; bulkhead rmi tree:1 >/dev/null"));
        tars.push(one(
            "mkdir /mnt/x; /run/host/test-host time 0.3 -- tar xf /mnt/tree.tar -C /mnt/x; rm -rf /mnt/x",
        ));
    }
    print_row("load of 500 MB in 15,000 files; tar x beside", &[median(ours), median(tars)], "ms");
}
