//! Health checks: what they say, when they count, and where it shows.

use bulkhead_tests::Host;

fn until(host: &Host, name: &str, word: &str) {
    let script = format!(
        "for i in $(seq 2000); do test \"$(bulkhead inspect -f '{{{{.State.Health.Status}}}}' {name})\" = {word} && exit 0; sleep 0.01; done;
         bulkhead inspect -f '{{{{json .State.Health}}}}' {name}; exit 1"
    );
    host.sh(&script).run().succeeds();
}

#[test]
fn it_falls_ill_and_gets_well() {
    let host = Host::new("health").with_busybox();
    host.run_detached([
        "--name",
        "c1",
        "--health-cmd",
        "echo looked as $(id -u); test -e /well",
        "--health-interval",
        "20ms",
        "--health-retries",
        "2",
        "--user",
        "7",
        "-v",
        "/run/shared:/well.d",
        "busybox",
        "sleep",
        "1000",
    ]);
    until(&host, "c1", "unhealthy");
    host.bulkhead(["ps", "--format", "{{.Status}}"]).run().shows("(unhealthy)");
    host.bulkhead(["ps", "-q", "--filter", "health=healthy"]).prints("");
    let last = host.inspect("c1", "{{range .State.Health.Log}}{{.ExitCode}} {{.Output}}{{end}}");
    assert!(last.starts_with("1 looked as 7\n"), "{last}");
    host.bulkhead(["exec", "-u", "0", "c1", "touch", "/well"]).prints("");
    until(&host, "c1", "healthy");
    assert_eq!(host.inspect("c1", "{{.State.Health.FailingStreak}}"), "0");
    let results = host.inspect("c1", "{{len .State.Health.Log}}");
    assert!(results.parse::<u32>().unwrap() <= 5, "{results} are kept");
    host.bulkhead(["ps", "--format", "{{.Names}}", "--filter", "health=healthy"]).prints("c1");
    let told = host
        .bulkhead([
            "events",
            "--since",
            "1h",
            "--until",
            "0s",
            "--filter",
            "event=health_status",
            "--format",
            "{{.Action}}",
        ])
        .stdout();
    assert_eq!(told, "health_status: unhealthy\nhealth_status: healthy");
    // Another run begins as if nothing were known.
    host.bulkhead(["stop", "-t", "0", "c1"]).prints("c1");
    host.bulkhead(["rm", "c1"]).prints("c1");
    host.sh("rmdir /run/shared").run().succeeds();
    host.finish_clean();
}

#[test]
fn a_check_that_takes_too_long_or_cannot_be_run_has_failed() {
    let host = Host::new("health-late").with_busybox();
    let health = |name: &str, command: &str| {
        host.run_detached([
            "--name",
            name,
            "--health-cmd",
            command,
            "--health-interval",
            "20ms",
            "--health-timeout",
            "100ms",
            "--health-retries",
            "1",
            "busybox",
            "sleep",
            "1000",
        ]);
        until(&host, name, "unhealthy");
        host.inspect(name, "{{with index .State.Health.Log 0}}{{.ExitCode}} {{.Output}}{{end}}")
    };
    assert_eq!(health("late", "sleep 1000"), "-1 Health check exceeded timeout (100ms)");
    // What wrote for ever was ended too, and only a page of it is kept.
    assert!(health("flood", "yes").starts_with("-1 Health check exceeded"));
    assert_eq!(health("missing", "exec /nowhere"), "127 /bin/sh: exec: line 0: /nowhere: not found");
    host.sh("for i in $(seq 500); do test $(bulkhead top late | grep -c 'sleep 1000') -le 2 && exit 0; sleep 0.01; done; bulkhead top late; exit 1").run().succeeds();
    host.bulkhead(["rm", "-f", "late", "flood", "missing"]).run().succeeds();
    host.finish_clean();
}

/// While it starts, failures do not count; while it is frozen, nobody looks.
#[test]
fn times_that_do_not_count() {
    let host = Host::new("health-start").with_busybox();
    host.run_detached([
        "--name",
        "c1",
        "--health-cmd",
        "echo x >> /seen; test -e /well",
        "--health-start-period",
        "1h",
        "--health-start-interval",
        "10ms",
        "--health-interval",
        "10ms",
        "--health-retries",
        "1",
        "busybox",
        "sleep",
        "1000",
    ]);
    host.bulkhead(["exec", "c1", "sh", "-c", "until test $(wc -l < /seen) -ge 5; do sleep 0.01; done"])
        .prints("");
    assert_eq!(host.inspect("c1", "{{.State.Health.Status}} {{.State.Health.FailingStreak}}"), "starting 0");
    host.bulkhead(["pause", "c1"]).prints("c1");
    host.bulkhead(["ps", "--format", "{{.Status}}"]).run().shows("(Paused)");
    host.bulkhead(["unpause", "c1"]).prints("c1");
    host.bulkhead(["exec", "c1", "touch", "/well"]).prints("");
    until(&host, "c1", "healthy");
    // From the first success on, they count.
    host.bulkhead(["exec", "c1", "rm", "/well"]).prints("");
    until(&host, "c1", "unhealthy");
    host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    host.finish_clean();
}

#[test]
fn an_image_s_check_and_how_it_is_changed() {
    let host = Host::new("health-image").with_busybox();
    host.sh("mkdir /run/i && cd /run/i && tar -xf /run/host/images/busybox.3.tar 2>/dev/null; true").run();
    host.sh(
        "tar -cf - -C / etc/hostname | bulkhead import -c 'HEALTHCHECK --interval=7s CMD probe' - checked:1",
    )
    .run()
    .succeeds();
    let health = |args: &[&str]| {
        let mut all = vec!["create", "--name", "c1"];
        all.extend(args);
        all.extend(["checked:1", "x"]);
        host.bulkhead(&all).run().succeeds();
        let found = host.inspect("c1", "{{json .Config.Healthcheck}}");
        host.bulkhead(["rm", "c1"]).prints("c1");
        found
    };
    assert_eq!(health(&[]), r#"{"Interval":7000000000,"Test":["CMD-SHELL","probe"]}"#);
    let changed = health(&["--health-retries", "9"]);
    assert!(changed.contains("\"Retries\":9") && changed.contains("probe"), "{changed}");
    assert_eq!(health(&["--no-healthcheck"]), r#"{"Interval":7000000000,"Test":["NONE"]}"#);
    host.bulkhead(["rmi", "checked:1"]).run().succeeds();
    host.finish();
}

#[test]
fn checks_that_cannot_be() {
    let host = Host::new("health-bad").with_busybox();
    let refused = |args: &[&str], why: &str| {
        let mut all = vec!["create"];
        all.extend(args);
        all.extend(["busybox", "true"]);
        let output = host.bulkhead(&all).run();
        output.says(why);
        assert_ne!(output.code(), 0, "{args:?}");
    };
    refused(&["--health-interval", "soon"], "expected a time such as 30s");
    refused(&["--health-interval", "10us"], "Interval in Healthcheck cannot be less than 1ms");
    refused(&["--health-timeout=-1s"], "--health-timeout cannot be negative");
    refused(&["--health-retries", "-1"], "--health-retries cannot be negative");
    refused(&["--no-healthcheck", "--health-cmd", "x"], "--no-healthcheck conflicts with --health-* options");
    host.bulkhead(["ps", "-aq"]).prints("");
    host.finish_clean();
}

/// Time in which the container is frozen counts for nothing, not even while a check runs.
#[test]
fn frozen_in_the_middle_of_a_check() {
    let host = Host::new("health-frozen").with_busybox();
    host.run_detached([
        "--name",
        "c1",
        "--health-cmd",
        "touch /begun; until test -e /go; do sleep 0.01; done",
        "--health-interval",
        "10ms",
        "--health-timeout",
        "2s",
        "--health-retries",
        "1",
        "busybox",
        "sleep",
        "1000",
    ]);
    host.bulkhead(["exec", "c1", "sh", "-c", "until test -e /begun; do sleep 0.01; done"]).prints("");
    host.bulkhead(["pause", "c1"]).prints("c1");
    host.sh("sleep 2.5").prints("");
    host.bulkhead(["unpause", "c1"]).prints("c1");
    host.bulkhead(["exec", "c1", "touch", "/go"]).prints("");
    until(&host, "c1", "healthy");
    let told = host.bulkhead([
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "event=health_status",
        "--format",
        "{{.Action}}",
    ]);
    told.prints("health_status: healthy");
    host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    host.finish_clean();
}
