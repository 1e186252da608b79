//! `stats`: what a container uses, as it sees it itself.

use bulkhead_tests::Host;

const FIELDS: &str = "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.MemPerc}}|{{.NetIO}}|{{.BlockIO}}|{{.PIDs}}";

fn one(host: &Host, name: &str) -> Vec<String> {
    let line = host.bulkhead(["stats", "--no-stream", "--format", FIELDS, name]).stdout();
    line.split('|').map(str::to_owned).collect()
}

#[test]
fn it_tells_what_is_used() {
    let host = Host::new("stats").with_busybox();
    let id = host.run_detached([
        "--name",
        "idle",
        "-m",
        "64m",
        "busybox",
        "sh",
        "-c",
        "sleep 1001 & exec sleep 1000",
    ]);
    host.run_detached(["--name", "busy", "busybox", "sh", "-c", "while :; do :; done"]);
    host.bulkhead(["exec", "idle", "sh", "-c", "until ps | grep -q '[s]leep 1001'; do sleep 0.01; done"])
        .prints("");
    let idle = one(&host, "idle");
    assert_eq!(idle[0], "idle");
    let percent = |text: &str| text.trim_end_matches('%').parse::<f64>().unwrap();
    assert!(percent(&idle[1]) < 20.0, "{idle:?}");
    assert!(idle[2].ends_with(" / 64MiB") && percent(&idle[3]) > 0.0 && percent(&idle[3]) < 50.0, "{idle:?}");
    assert_eq!(idle[6], "2");
    assert!(percent(&one(&host, "busy")[1]) > percent(&idle[1]));
    // What goes through its own link counts, whoever else is there.
    let shown = "cat /sys/class/net/eth0/statistics/rx_bytes";
    let sent = "for i in 1 2 3 4 5 6 7 8; do head -c 60000 /dev/zero | nc -u -w1 172.17.0.1 9 & done; wait";
    host.bulkhead(["exec", "idle", "sh", "-c", &format!("{sent} 2>/dev/null; true")]).run().succeeds();
    host.bulkhead(["exec", "idle", "sh", "-c", shown]).run().succeeds();
    assert!(!one(&host, "idle")[4].starts_with("0B / 0B"), "{:?}", one(&host, "idle"));
    assert!(
        host.bulkhead(["run", "-d", "--name", "none", "--network=none", "busybox", "sleep", "1000"])
            .run()
            .code()
            == 0
    );
    host.run_detached(["--name", "host", "--network=host", "--userns=host", "busybox", "sleep", "1000"]);
    for name in ["none", "host"] {
        assert_eq!(one(&host, name)[4], "0B / 0B", "{name}");
    }
    // The table; all of them; whole IDs.
    let table = host.bulkhead(["stats", "--no-stream"]).stdout();
    let heading = "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT";
    assert!(table.starts_with(heading) && table.lines().count() == 5, "{table}");
    host.bulkhead(["create", "--name", "made", "busybox", "true"]).run().succeeds();
    let line = "0.00%|0B / 0B|0.00%|0B / 0B|0B / 0B|0";
    host.bulkhead(["stats", "-a", "--no-stream", "--format", FIELDS]).run().shows(&format!("made|{line}"));
    host.bulkhead(["stats", "--no-stream", "--no-trunc", "--format", "{{.ID}} {{.Container}}", "idle"])
        .prints(&format!("{id} idle"));
    host.finish();
}

#[test]
fn it_goes_on_until_nothing_is_left() {
    let host = Host::new("stats-live").with_busybox();
    host.run_detached(["--name", "c1", "--rm", "busybox", "sleep", "1000"]);
    let mut live = host.bulkhead(["container", "stats", "--format", "{{.Name}} has {{.PIDs}}", "c1"]).start();
    live.expect("c1 has 1\nc1 has 1\n");
    host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    live.finish().succeeds();
    host.bulkhead(["stats", "--no-stream", "nobody"]).fails(1, "No such container: nobody");
    host.bulkhead(["stats", "--no-stream", "--format", "{{.What}}"]).prints("");
    host.bulkhead(["stats", "--no-stream", "--format", "{{"]).fails(1, "template");
    host.finish_clean();
}

/// On a terminal it is drawn over and over at one place.
#[test]
fn on_a_terminal() {
    let host = Host::new("stats-tty").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    let mut terminal = host.pty(["stats"]);
    terminal.expect("\u{1b}[HCONTAINER ID");
    terminal.expect("c1");
    terminal.send("\u{3}");
    terminal.ends_with(130);
    host.finish();
}
