//! What containers use: once, at once, and again and again until one is removed.

use crate::{SOCKET, Served};

const FIELDS: &str = "'{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.PIDs}}'";

#[test]
fn the_docker_command_shows_what_is_used() {
    let api = Served::new("api-stats");
    api.host.run_detached(["--name", "busy", "-m", "64m", "busybox", "sh", "-c", "while :; do :; done"]);
    api.host.bulkhead(["create", "--name", "made", "busybox", "true"]).run().succeeds();
    for docker in api.dockers() {
        let line = api.by(&docker, &format!("stats --no-stream --format {FIELDS} busy")).stdout();
        let fields: Vec<&str> = line.split('|').collect();
        assert_eq!((fields[0], fields[3]), ("busy", "1"), "{line}");
        assert!(fields[1].trim_end_matches('%').parse::<f64>().unwrap() > 1.0, "{line}");
        assert!(fields[2].ends_with(" / 64MiB") && !fields[2].starts_with("0B"), "{line}");
        // All that run; with -a, the others with zeros.
        api.by(&docker, &format!("stats --no-stream --format {FIELDS}")).run().shows("busy|").hides("made");
        api.by(&docker, &format!("stats --no-stream -a --format {FIELDS}"))
            .run()
            .shows("made|0.00%|0B / 0B|0");
    }
    api.finish();
}

#[test]
fn a_sample_is_dockers_structure() {
    let api = Served::new("api-stats-once");
    let id = api.host.run_detached(["--name", "one", "busybox", "sleep", "1000"]);
    let rate = api.json("/containers/one/stats?stream=false");
    assert_eq!((&rate["id"], &rate["name"]), (&id.into(), &"/one".into()));
    let number = |path: &str| {
        rate.pointer(path).and_then(serde_json::Value::as_u64).unwrap_or_else(|| panic!("{path}: {rate}"))
    };
    for (now, before) in [
        ("/cpu_stats/cpu_usage/total_usage", "/precpu_stats/cpu_usage/total_usage"),
        ("/cpu_stats/system_cpu_usage", "/precpu_stats/system_cpu_usage"),
    ] {
        assert!(number(now) >= number(before) && number(before) > 0, "{now}");
    }
    assert!(number("/cpu_stats/online_cpus") > 0 && number("/memory_stats/usage") > 0);
    assert!(number("/memory_stats/limit") > number("/memory_stats/usage"));
    assert!(rate["memory_stats"]["stats"]["pgfault"].is_u64(), "{rate}");
    assert_eq!(number("/pids_stats/current"), 1);
    for path in ["/networks/eth0/rx_bytes", "/networks/eth0/tx_packets", "/cpu_stats/throttling_data/periods"]
    {
        let _ = number(path);
    }
    assert!(rate["blkio_stats"]["io_service_bytes_recursive"].is_array(), "{rate}");
    let (read, before) = (rate["read"].as_str().unwrap(), rate["preread"].as_str().unwrap());
    assert!(before < read && !before.starts_with("0001-"), "{rate}");
    // At once, nothing is known of before.
    let shot = api.json("/containers/one/stats?stream=0&one-shot=1");
    assert_eq!(shot["precpu_stats"]["cpu_usage"]["total_usage"], 0);
    assert!(shot["preread"].as_str().unwrap().starts_with("0001-01-01T00:00:00"), "{shot}");
    // One that does not run has zeros.
    api.host.bulkhead(["stop", "-t", "0", "one"]).prints("one");
    let none = api.json("/containers/one/stats?stream=0");
    assert_eq!(none["cpu_stats"]["cpu_usage"]["total_usage"], 0);
    assert!(none["memory_stats"].is_object() && none["pids_stats"].is_object(), "{none}");
    assert!(none["read"].as_str().unwrap().starts_with("0001-01-01T00:00:00"), "{none}");
    api.http("GET", "/containers/one/stats?stream=1&one-shot=1", "")
        .run()
        .shows("400")
        .shows("one-shot=true");
    api.http("GET", "/containers/one/stats?one-shot=1", "").run().shows("400");
    api.http("GET", "/containers/none/stats", "").prints("404\n{\"message\":\"No such container: none\"}");
    api.finish();
}

#[test]
fn a_stream_ends_when_its_container_is_removed() {
    let api = Served::new("api-stats-stream");
    api.host.run_detached(["--name", "one", "busybox", "sleep", "1000"]);
    let curl = format!("curl -sS -N --unix-socket {SOCKET} http://d/containers/one/stats");
    let mut stream = api.host.sh(&curl).start();
    stream.expect("\n{");
    // It goes on over an end.
    api.host.bulkhead(["stop", "-t", "0", "one"]).prints("one");
    stream.expect("\"pids_stats\":{}");
    api.host.bulkhead(["start", "one"]).prints("one");
    // Another one of the same name is another one.
    api.host.sh("bulkhead rm -f one; bulkhead create --name one busybox true > /dev/null").prints("one");
    let output = stream.finish();
    let lines: Vec<serde_json::Value> =
        output.succeeds().stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [first, second, ..] = &lines[..] else { panic!("{output}") };
    assert_eq!(first["precpu_stats"]["cpu_usage"]["total_usage"], 0);
    assert_eq!(second["precpu_stats"], first["cpu_stats"]);
    assert_eq!(second["preread"], first["read"]);
    api.finish();
}
