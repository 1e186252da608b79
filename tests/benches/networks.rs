//! `make bench`: what networks cost, beside the engines that are installed: published ports, how that grows with their number,
//! traffic, names, connecting.
//!
//! Each engine is on a host of its own (the rules of one firewall would hold for another's packets), and they are measured
//! in turn in one run. Medians, and the ratio to ours; of rates, where more is better, the best, since whatever else the machine
//! does takes from them.

#![allow(clippy::unwrap_used, clippy::panic)]

use bulkhead_tests::Host;
use bulkhead_tests::engines::{Engine, wanted};
use bulkhead_tests::images::Image;
use bulkhead_tests::measure::{best, figure, in_turn, median, print_row, time};

/// A host with one engine on it, and another machine on its network, in the network namespace `/run/netns/outside`.
struct Side {
    engine: &'static Engine,
    host: Host,
}

/// The host's address on the network that it shares with the other machine.
const HERE: &str = "192.0.2.1";
/// What is put before a command to run it on the other machine.
const OUTSIDE: &str = "nsenter --net=/run/netns/outside";
/// The helper, as the host and containers see it.
const TOOL: &str = "/run/host/test-host";
/// Flags that let a container have the helper.
const WITH_TOOL: &str = "-v /run/host/test-host:/run/host/test-host:ro";

impl Side {
    /// None if the engine does not come up.
    fn new(engine: &'static Engine) -> Option<Self> {
        let host = Host::new("bench-net");
        if !engine.start(&host) {
            host.abandon();
            return None;
        }
        engine.load(&host, Image::Busybox);
        host.sh(
            "ip netns add outside; ip link add test-a type veth peer name test-b netns outside
             ip addr add 192.0.2.1/24 dev test-a; ip link set test-a up
             nsenter --net=/run/netns/outside sh -ec 'ip addr add 192.0.2.2/24 dev test-b; ip link set test-b up; ip link set lo up'",
        )
        .prints("");
        Some(Self { engine, host })
    }

    /// Runs a command of the engine's that prints nothing of interest.
    fn run(&self, words: &str) {
        self.host.sh(&format!("{} {words} >/dev/null", self.engine.command)).timeout(300).run().succeeds();
    }

    /// A container's address on the default network.
    fn address(&self, name: &str) -> String {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        self.host.sh(&format!("{} inspect -f '{format}' {name}", self.engine.command)).stdout()
    }

    fn end(self) {
        // With its daemon alive, the containers' cgroups go by the command that made them.
        let command = self.engine.command;
        self.host
            .sh(&format!("ids=$({command} ps -aq); [ -z \"$ids\" ] || {command} rm -f $ids >/dev/null"))
            .timeout(300)
            .run();
        self.engine.end(&self.host);
        self.host.abandon();
    }
}

fn main() {
    let sides: Vec<Side> = wanted().into_iter().filter_map(Side::new).collect();
    print!("{:<44}", "medians");
    for side in &sides {
        print!("{:>12}{:>9}", side.engine.name, "");
    }
    println!();
    publishing(&sides);
    memory(&sides);
    traffic(&sides);
    names(&sides);
    connecting(&sides);
    for side in sides {
        side.end();
    }
    growth();
}

/// Prints a row of figures that are taken from each side in turn.
fn row(sides: &[Side], what: &str, unit: &str, rounds: usize, take: impl Fn(&Side) -> f64) {
    print_row(what, &in_turn(sides.len(), rounds, median, |which| take(&sides[which])), unit);
}

/// What `-p` adds to a container that does nothing.
fn publishing(sides: &[Side]) {
    for (label, pause) in [("", 0.3), (", back to back", 0.0)] {
        let commands: Vec<(&Side, String)> = sides
            .iter()
            .flat_map(|side| {
                ["", "-p 8080:80 "]
                    .map(|flag| (side, format!("{} run --rm {flag}busybox true", side.engine.command)))
            })
            .collect();
        let figures = in_turn(commands.len(), 11, median, |which| {
            time(&commands[which].0.host, &commands[which].1, pause)
        });
        let (without, with): (Vec<f64>, Vec<f64>) = figures.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
        let more: Vec<f64> = with.iter().zip(&without).map(|(with, without)| with - without).collect();
        print_row(&format!("run --rm true{label}"), &without, "ms");
        print_row(&format!("run --rm -p 8080:80 true{label}"), &with, "ms");
        print_row(&format!("what -p adds{label}"), &more, "ms");
    }
}

/// The memory of the engine's processes for one container more, without and with a published port. One is there before, with
/// which it shares what can be shared.
fn memory(sides: &[Side]) {
    const MORE: u32 = 10;
    let [without, with] = ["", "-p 127.0.0.1::80"].map(|flag| {
        let take = |side: &Side| {
            let run = |number: u32| {
                side.run(&format!("run -d --stop-signal KILL --name m{number} {flag} busybox sleep 10000"))
            };
            run(0);
            let before = side.engine.memory(&side.host);
            (1..=MORE).for_each(run);
            let more = side.engine.memory(&side.host) - before;
            let all: Vec<String> = (0..=MORE).map(|number| format!("m{number}")).collect();
            side.run(&format!("rm -f {}", all.join(" ")));
            more / f64::from(MORE)
        };
        sides.iter().map(take).collect::<Vec<f64>>()
    });
    print_row("memory for a container", &without, "KiB");
    print_row("memory for one with a published port", &with, "KiB");
}

/// Gigabits per second over one connection, and requests per second over four, by each way to a container.
fn traffic(sides: &[Side]) {
    for side in sides {
        side.run(&format!(
            "run -d --stop-signal KILL --name server -p 8080:80 {WITH_TOOL} busybox {TOOL} serve 80"
        ));
        side.run(&format!("run -d --stop-signal KILL --name client {WITH_TOOL} busybox sleep 10000"));
    }
    let direct: Vec<String> = sides.iter().map(|side| side.address("server") + ":80").collect();
    let published = |address: &str| vec![format!("{address}:8080"); sides.len()];
    let at = |prefix: &str| vec![prefix.to_owned(); sides.len()];
    let inside = sides.iter().map(|side| format!("{} exec client", side.engine.command)).collect();
    for (what, before, addresses) in [
        ("host to container", at(""), direct.clone()),
        ("container to container", inside, direct),
        ("to a port, from another machine", at(OUTSIDE), published(HERE)),
        ("to a port, at 127.0.0.1", at(""), published("127.0.0.1")),
    ] {
        let take = |verb: &str, more: &str| {
            in_turn(sides.len(), 10, best, |which| {
                let script = format!("{} {TOOL} {verb} {} {more}", before[which], addresses[which]);
                figure(&sides[which].host, &script)
            })
        };
        print_row(what, &take("flood", "0.2"), "Gb/s");
        let thousands: Vec<f64> = take("ask", "0.2 4").into_iter().map(|rate| rate / 1000.0).collect();
        print_row(&format!("{what}, requests"), &thousands, "k/s");
    }
    sides.iter().for_each(|side| side.run("rm -f server client"));
}

/// Look-ups of one container's name by another, while nobody else asks, and while a third asks 1,000 times a second.
fn names(sides: &[Side]) {
    for side in sides {
        side.run("network create shop");
        for name in ["db", "app", "busy"] {
            side.run(&format!(
                "run -d --stop-signal KILL --name {name} --network shop {WITH_TOOL} busybox sleep 10000"
            ));
        }
    }
    let ask = |side: &Side| {
        figure(&side.host, &format!("{} exec app {TOOL} resolve db 200 2000", side.engine.command))
    };
    row(sides, "look-up of a container's name", "µs", 5, ask);
    row(sides, "the same, another asks 1,000 times a second", "µs", 5, |side| {
        let command = side.engine.command;
        let mut other =
            side.host.sh(&format!("exec {command} exec busy {TOOL} resolve db 1000 1000")).start();
        std::thread::sleep(std::time::Duration::from_millis(200));
        let took = ask(side);
        other.finish().succeeds();
        took
    });
    sides.iter().for_each(|side| side.run("rm -f db app busy"));
}

/// A network is connected to a running container, and disconnected.
fn connecting(sides: &[Side]) {
    for side in sides {
        side.run("network create second");
        side.run("run -d --stop-signal KILL --name peer busybox sleep 10000");
    }
    for (label, pause) in [("", 0.3), (", back to back", 0.0)] {
        row(sides, &format!("network connect and disconnect{label}"), "ms", 9, |side| {
            let command = side.engine.command;
            time(
                &side.host,
                &format!(
                    "sh -c '{command} network connect second peer; {command} network disconnect second peer'"
                ),
                pause,
            )
        });
    }
    sides.iter().for_each(|side| side.run("rm -f peer"));
}

/// What the N-th port costs when N - 1 are published: a host for each N, so that all can be measured in turn. The others are a
/// range of one container.
fn growth() {
    const COUNTS: [usize; 4] = [1, 100, 300, 1000];
    print!("\n{:<44}", "the N-th port, and the ratio to the first");
    COUNTS.iter().for_each(|count| print!("{count:>12}{:>9}", ""));
    println!();
    for engine in wanted() {
        // A thousand of Docker's are two thousand processes.
        let counts = if engine.name == "bulkhead" { &COUNTS[..] } else { &COUNTS[..3] };
        let sides: Vec<Side> = counts.iter().filter_map(|_| Side::new(engine)).collect();
        if sides.len() < counts.len() {
            sides.into_iter().for_each(Side::end);
            continue;
        }
        for (side, count) in sides.iter().zip(counts).filter(|(_, count)| **count > 1) {
            let last = 10_000 + count - 2;
            side.run(&format!(
                "run -d --stop-signal KILL --name others -p 10000-{last}:10000-{last} busybox sleep 10000"
            ));
        }
        let name = engine.name;
        let publish = in_turn(sides.len(), 7, median, |which| {
            let side = &sides[which];
            let command = format!(
                "{name} run -d --stop-signal KILL --name newest -p 9000:80 {WITH_TOOL} busybox {TOOL} serve 80"
            );
            let took = time(&side.host, &command, 0.3);
            side.run("rm -f newest");
            took
        });
        print_row(&format!("{name}: run -d -p"), &publish, "ms");
        for side in &sides {
            side.run(&format!(
                "run -d --stop-signal KILL --name newest -p 9000:80 {WITH_TOOL} busybox {TOOL} serve 80"
            ));
        }
        for (what, command) in [
            ("a connection from another machine", format!("{OUTSIDE} {TOOL} connect {HERE}:9000 300")),
            ("a connection at 127.0.0.1", format!("{TOOL} connect 127.0.0.1:9000 300")),
        ] {
            let took = in_turn(sides.len(), 9, median, |which| figure(&sides[which].host, &command));
            print_row(&format!("{name}: {what}"), &took, "µs");
        }
        sides.into_iter().for_each(Side::end);
    }
}
