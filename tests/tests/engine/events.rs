//! `events`: what is told, to whom, and by which filters.

use bulkhead_tests::Host;

/// The events so far, one `TYPE ACTION` a line.
fn told(host: &Host, filters: &[&str]) -> String {
    let mut args = vec!["events", "--since", "1h", "--until", "0s", "--format", "{{.Type}} {{.Action}}"];
    for filter in filters {
        args.extend(["--filter", filter]);
    }
    host.bulkhead(&args).stdout()
}

#[test]
fn a_container_s_life_is_told() {
    let host = Host::new("events").with_busybox();
    host.run_detached(["--name", "c1", "--label", "colour=red", "busybox", "sleep", "1000"]);
    host.bulkhead(["exec", "c1", "true"]).prints("");
    host.bulkhead(["pause", "c1"]).prints("c1");
    host.bulkhead(["unpause", "c1"]).prints("c1");
    host.bulkhead(["rename", "c1", "c2"]).prints("");
    host.bulkhead(["restart", "-t", "0", "c2"]).prints("c2");
    host.bulkhead(["stop", "-t", "0", "c2"]).prints("c2");
    host.bulkhead(["rm", "c2"]).prints("c2");
    let life = "create start exec_create exec_start exec_die pause unpause rename kill die stop start restart kill die stop destroy";
    let actions: Vec<String> = told(&host, &["type=container"])
        .lines()
        .map(|line| line.trim_start_matches("container ").split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(actions.join(" "), life);
    host.bulkhead(["volume", "create", "v1"]).prints("v1");
    host.bulkhead(["volume", "rm", "v1"]).prints("v1");
    host.bulkhead(["tag", "busybox", "other:1"]).prints("");
    host.bulkhead(["rmi", "other:1"]).run().succeeds();
    assert_eq!(told(&host, &["type=volume"]), "volume create\nvolume destroy");
    assert_eq!(told(&host, &["type=image"]), "image load\nimage tag\nimage untag");
    assert_eq!(told(&host, &["container=c2", "event=destroy"]), "container destroy");
    assert_eq!(told(&host, &["label=colour=red", "event=start", "event=die"]).lines().count(), 4);
    assert_eq!(told(&host, &["label=colour=blue"]), "");
    assert_eq!(told(&host, &["image=busybox:latest", "type=image"]), "image load");
    assert_eq!(told(&host, &["event=exec_start: true"]), "container exec_start: true");
    host.bulkhead(["events", "--since", "2100-01-01", "--until", "0s"]).prints("");
    host.finish_clean();
}

#[test]
fn docker_s_forms() {
    let host = Host::new("events-forms").with_busybox();
    let id = host.bulkhead(["create", "--name", "c1", "busybox"]).stdout();
    let id = id.trim();
    let args = ["events", "--since", "1h", "--until", "0s", "--filter", "event=create"];
    let line = host.bulkhead(args).stdout();
    let (moment, rest) = line.trim_end().split_once(' ').unwrap();
    assert_eq!(rest, format!("container create {id} (image=busybox, name=c1)"));
    assert!(moment.len() == 30 && moment.ends_with('Z'), "{moment} has nine digits behind the point");
    let json = host.bulkhead([&args[..], &["--format", "json"]].concat()).stdout();
    let event: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((event["Type"].as_str(), event["Action"].as_str()), (Some("container"), Some("create")));
    assert_eq!((event["status"].as_str(), event["from"].as_str()), (Some("create"), Some("busybox")));
    assert_eq!(event["Actor"]["ID"].as_str(), Some(id));
    assert_eq!(event["Actor"]["Attributes"]["name"].as_str(), Some("c1"));
    assert_eq!(event["time"].as_i64(), event["timeNano"].as_i64().map(|nanos| nanos / 1_000_000_000));
    host.bulkhead(["events", "--filter", "colour=red"]).fails(1, "invalid filter 'colour'");
    host.bulkhead(["events", "--since", "soon"]).fails(1, "invalid value for \"since\"");
    host.bulkhead(["rm", "c1"]).prints("c1");
    host.finish_clean();
}

/// Whoever follows misses nothing, though the file is begun anew again and again meanwhile.
#[test]
fn followed_across_files() {
    let host = Host::new("events-follow").with_busybox();
    let script = r#"
        bulkhead events --filter event=create --format '{{.Actor.Attributes.name}}' >/run/told &
        reader=$!
        # It listens when the first is told.
        for i in $(seq 1000); do
            bulkhead create --name first$i busybox >/dev/null
            test -s /run/told && break
            sleep 0.01
        done
        label=$(head -c 60000 /dev/zero | tr '\0' y)
        for i in $(seq 40); do bulkhead create --label x=$label --name c$i busybox >/dev/null; done
        test -s /run/bulkhead/events.1
        for i in $(seq 1000); do grep -q '^c40$' /run/told && break; sleep 0.01; done
        kill $reader
        grep ^c /run/told
        bulkhead container prune -f >/dev/null
        rm /run/told"#;
    let expected: Vec<String> = (1..=40).map(|number| format!("c{number}")).collect();
    host.sh(script).prints(&expected.join("\n"));
    host.finish();
}

/// A full /run costs events, and nothing else.
#[test]
fn what_cannot_be_told_is_done_all_the_same() {
    let host = Host::new("events-full").with_busybox();
    host.sh("mkdir -p /run/bulkhead && mkdir /run/bulkhead/events").run();
    host.sh("rm -f /run/bulkhead/events; mkdir -p /run/bulkhead/events").run().succeeds();
    host.bulkhead(["run", "--rm", "busybox", "echo", "done"]).prints("done");
    host.sh("rmdir /run/bulkhead/events").run().succeeds();
    host.finish_clean();
}
