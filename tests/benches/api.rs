//! `make bench`: Docker's own command against our server and against Docker's daemon, alternately on one host; then what large
//! images cost. Stores are on tmpfs everywhere.

#![allow(clippy::unwrap_used, clippy::panic)]

use bulkhead_tests::Host;
use bulkhead_tests::archive::docker_archive;
use bulkhead_tests::engines::{Engine, wanted};
use bulkhead_tests::images::{self, Image};
use bulkhead_tests::measure::{alternately, figure, median, print_row};
use bulkhead_tests::registry;
use bulkhead_tests::served::SOCKET;
use serde_json::json;

/// The image's name in the registry.
const LARGE: &str = "127.0.0.1:5000/large:1";

fn main() {
    let host = Host::new("bench-api").with_busybox();
    host.sh(&format!(
        "setsid bulkhead serve < /dev/null > /tmp/served 2>&1 & echo $! > /tmp/server
         for i in $(seq 200); do [ -S {SOCKET} ] && break; sleep 0.05; done"
    ))
    .run()
    .succeeds();
    let engines: Vec<&Engine> = wanted().into_iter().filter(|engine| engine.start(&host)).collect();
    for engine in engines.iter().skip(1) {
        engine.load(&host, Image::Busybox);
    }
    // By the docker command: ours, and Docker's own.
    let served: Vec<&Engine> = engines.iter().copied().filter(|engine| engine.name != "podman").collect();
    let sockets = |engine: &Engine| if engine.name == "docker" { "/var/run/docker.sock" } else { SOCKET };
    print!("{:<44}", "medians, by the docker command");
    for engine in &served {
        print!("{:>12}{:>9}", engine.name, "");
    }
    println!();
    let row = |what: &str, rounds: usize, pause: f64, script: &dyn Fn(&str) -> String| {
        let commands: Vec<String> = served.iter().map(|engine| script(sockets(engine))).collect();
        print_row(what, &alternately(&host, &commands, rounds, pause), "ms");
    };
    for (label, pause) in [("", 0.3), (", back to back", 0.0)] {
        row(&format!("docker version{label}"), 15, pause, &|socket| {
            format!("docker -H unix://{socket} version -f x")
        });
        for network in ["bridge", "none"] {
            row(&format!("docker run --rm --network {network} true{label}"), 15, pause, &|socket| {
                format!("docker -H unix://{socket} run --rm --network {network} busybox true")
            });
        }
    }
    two_hundred(&host, &served, &sockets);
    memory(&host, &served, &sockets);
    large(&host, &engines);
    for engine in engines {
        engine.end(&host);
    }
    host.sh("kill $(cat /tmp/server)").run().succeeds();
    // What peers leave on the host goes with it.
    host.abandon();
}

/// The list of 200 containers.
fn two_hundred(host: &Host, served: &[&Engine], sockets: &dyn Fn(&Engine) -> &'static str) {
    for engine in served {
        let script = format!(
            "for i in $(seq 200); do docker -H unix://{} create --name list$i busybox true >/dev/null; done",
            sockets(engine)
        );
        host.sh(&script).timeout(300).run().succeeds();
    }
    let commands: Vec<String> = served
        .iter()
        .map(|engine| {
            format!("curl -sS -o /dev/null --unix-socket {} http://d/containers/json?all=1", sockets(engine))
        })
        .collect();
    print_row("GET /containers/json of 200", &alternately(host, &commands, 21, 0.3), "ms");
    for engine in served {
        let script =
            format!("docker -H unix://{0} rm $(docker -H unix://{0} ps -aq) >/dev/null", sockets(engine));
        host.sh(&script).timeout(300).run().succeeds();
    }
}

/// The memory of all processes of an engine, with 100 containers that run.
fn memory(host: &Host, served: &[&Engine], sockets: &dyn Fn(&Engine) -> &'static str) {
    let mut figures = Vec::new();
    for engine in served {
        let socket = sockets(engine);
        let script = format!(
            "for i in $(seq 100); do docker -H unix://{socket} run -d --network none busybox sleep 10000 >/dev/null; done"
        );
        host.sh(&script).timeout(600).run().succeeds();
        figures.push(engine.memory(host) / 1024.0);
        host.sh(&format!("docker -H unix://{socket} rm -f $(docker -H unix://{socket} ps -q) >/dev/null"))
            .timeout(300)
            .run()
            .succeeds();
    }
    print_row("memory of ours, 100 containers", &figures, "MiB");
}

/// An image of 1 GiB in 60,000 files: loaded, and pulled from a registry of this host; by each engine's own command.
fn large(host: &Host, engines: &[&Engine]) {
    let archive = docker_archive(LARGE, &json!({}), &images::large());
    host.sh("mount -t tmpfs none /mnt; cat > /mnt/large.tar").stdin(archive).timeout(300).run().succeeds();
    registry::serve(host, "");
    let stopwatch = "/run/host/test-host time 0.3 --";
    print!("{:<44}", "1 GiB in 60,000 files");
    for engine in engines {
        print!("{:>12}{:>9}", engine.name, "");
    }
    println!();
    let remove =
        |engine: &Engine| host.sh(&format!("{} rmi {LARGE} >/dev/null", engine.command)).timeout(300).run();
    let mut loads = vec![Vec::new(); engines.len()];
    for _ in 0..3 {
        for (engine, loads) in engines.iter().zip(&mut loads) {
            loads.push(
                figure(host, &format!("{stopwatch} {} load -q -i /mnt/large.tar", engine.command)) / 1000.0,
            );
            remove(engine).succeeds();
        }
    }
    print_row("load", &loads.into_iter().map(median).collect::<Vec<_>>(), "ms");
    host.sh(&format!("bulkhead load -q -i /mnt/large.tar; bulkhead push -q {LARGE}; bulkhead rmi {LARGE}; rm /mnt/large.tar"))
        .timeout(300)
        .run()
        .succeeds();
    host.sh("mkdir -p /etc/containers; printf '[[registry]]\\nlocation=\"127.0.0.1:5000\"\\ninsecure=true\\n' > /etc/containers/registries.conf")
        .run()
        .succeeds();
    let mut pulls = vec![Vec::new(); engines.len()];
    for _ in 0..3 {
        for (engine, pulls) in engines.iter().zip(&mut pulls) {
            pulls.push(figure(host, &format!("{stopwatch} {} pull -q {LARGE}", engine.command)) / 1000.0);
            remove(engine).succeeds();
        }
    }
    print_row("pull from a registry of this host", &pulls.into_iter().map(median).collect::<Vec<_>>(), "ms");
    // Of one process: nobody else of ours has a part in it.
    let watched = format!(
        "bulkhead pull -q {LARGE} >/dev/null & pid=$!; peak=0
         while now=$(grep -s VmHWM /proc/$pid/status | tr -dc 0-9) && [ -n \"$now\" ]; do peak=$now; sleep 0.02; done; echo $peak"
    );
    let peak = figure(host, &watched) / 1024.0;
    println!("{:<44}{:>12}", "the most memory of a pull", format!("{peak:.1} MiB"));
}
