//! Where output goes: the log drivers, their options, and receivers that are missing, slow or gone.

use bulkhead_tests::command::Running;
use bulkhead_tests::{Host, wait};

/// A receiver on the host that prints what it gets.
fn listen(host: &Host, kind: &str, address: &str) -> Running {
    let listener = host.sh(&format!("exec /run/host/test-host listen {kind} {address}")).start();
    listener.expect("ready");
    listener
}

#[test]
fn what_cannot_be_held_is_refused_at_create() {
    let host = Host::new("drivers-refused").with_busybox();
    for (words, needle) in [
        (&["--log-driver=nosuch"][..], "logger: no log driver named 'nosuch' is registered"),
        (&["--log-driver=gelf"], "does not have the log driver gelf"),
        (&["--log-driver=fluentd"], "does not have the log driver fluentd"),
        (&["--log-driver=awslogs"], "awslogs"),
        (&["--log-driver=splunk"], "splunk"),
        (&["--log-driver=etwlogs"], "etwlogs"),
        (&["--log-driver=gcplogs"], "gcplogs"),
        (&["--log-opt=nosuch=1"], "unknown log opt 'nosuch' for json-file log driver"),
        (&["--log-opt", "bare"], "unknown log opt 'bare'"),
        (&["--log-opt=max-size=lots"], "invalid size: 'lots'"),
        (&["--log-opt=max-file=0"], "max-file cannot be less than 1"),
        (&["--log-opt=compress=true"], "uncompressed"),
        (&["--log-opt=mode=non-blocking"], "writes a file"),
        (&["--log-opt=tag={{.Nosuch}}"], "{{.Nosuch}} cannot be used"),
        (&["--log-opt=labels-regex=("], "labels-regex"),
        (&["--log-driver=local", "--log-opt=labels=a"], "unknown log opt 'labels' for log driver local"),
        (&["--log-driver=none", "--log-opt=max-size=1m"], "invalid logging opts for driver none"),
        (&["--log-driver=syslog", "--log-opt=syslog-address=ftp://x"], "unsupported scheme: 'ftp'"),
        (&["--log-driver=syslog", "--log-opt=syslog-address=tcp+tls://127.0.0.1"], "without TLS"),
        (&["--log-driver=syslog", "--log-opt=syslog-facility=nosuch"], "facility"),
        (&["--log-driver=journald", "--log-opt=max-size=1m"], "unknown log opt 'max-size' for journald"),
    ] {
        let with = |first: &[&'static str]| {
            first.iter().chain(words).copied().chain(["busybox", "true"]).collect::<Vec<_>>()
        };
        host.bulkhead(with(&["run", "--rm"])).fails(125, needle);
        host.bulkhead(with(&["create"])).run().says(needle);
        host.bulkhead(["ps", "-aq"]).prints("");
    }
    host.finish_clean();
}

#[test]
fn none_keeps_nothing() {
    let host = Host::new("drivers-none").with_busybox();
    host.bulkhead(["run", "--name", "c1", "--log-driver=none", "busybox", "echo", "words"]).prints("words");
    host.bulkhead(["logs", "c1"]).fails(1, "configured logging driver does not support reading");
    host.bulkhead(["logs", "-f", "c1"]).fails(1, "does not support reading");
    host.sh("ls /var/lib/bulkhead/containers/*/ | grep log || true").prints("");
    assert_eq!(host.inspect("c1", "{{.HostConfig.LogConfig.Type}} {{.LogPath}}"), "none ");
    host.finish();
}

#[test]
fn the_machines_settings_are_for_those_who_do_not_say() {
    let host = Host::new("drivers-daemon").with_busybox();
    let write = |text: &str| {
        host.sh(&format!("mkdir -p /etc/bulkhead; echo '{text}' > /etc/bulkhead/daemon.json")).prints("");
    };
    write(r#"{"log-driver": "json-file", "log-opts": {"max-size": "5k", "max-file": "2"}}"#);
    let shown = |name: &str| host.inspect(name, "{{json .HostConfig.LogConfig}}");
    host.bulkhead(["create", "--name", "c1", "busybox"]).run().succeeds();
    assert_eq!(shown("c1"), r#"{"Config":{"max-file":"2","max-size":"5k"},"Type":"json-file"}"#);
    host.bulkhead(["create", "--name", "c2", "--log-opt", "max-size=1m", "busybox"]).run().succeeds();
    assert_eq!(shown("c2"), r#"{"Config":{"max-file":"2","max-size":"1m"},"Type":"json-file"}"#);
    host.bulkhead(["create", "--name", "c3", "--log-driver", "local", "busybox"]).run().succeeds();
    assert_eq!(shown("c3"), r#"{"Config":{},"Type":"local"}"#);
    assert_eq!(host.bulkhead(["info", "--format", "{{.LoggingDriver}}"]).stdout(), "json-file");
    write(r#"{"log-driver": "nosuch"}"#);
    host.bulkhead(["create", "busybox"]).run().says("no log driver named 'nosuch'");
    // What was made before goes on.
    host.bulkhead(["start", "-a", "c1"]).run().succeeds();
    write("{}");
    host.finish();
}

#[test]
fn syslog_gets_every_line_by_every_way() {
    let host = Host::new("drivers-syslog").with_busybox();
    for (kind, address, url, ends) in [
        ("unixgram", "/run/s1", "unixgram:///run/s1", "\\n"),
        ("unixgram", "/run/s2", "unix:///run/s2", "\\n"),
        ("unix", "/run/s3", "unix:///run/s3", "\\n"),
        ("udp", "127.0.0.1:5514", "udp://127.0.0.1:5514", "\\n"),
        ("tcp", "127.0.0.1:5514", "tcp://localhost:5514", "\\n"),
        ("tcp", "[::1]:5514", "tcp://[::1]:5514", "\\n"),
    ] {
        let mut listener = listen(&host, kind, address);
        let address = format!("syslog-address={url}");
        let options = ["--log-driver=syslog", "--log-opt", &address, "--log-opt", "tag=t-{{.Name}}"];
        let script = "echo out; sleep 0.2; echo err >&2; sleep 0.2; printf 'more'";
        host.run_detached(options.into_iter().chain(["--name", "c1", "busybox", "sh", "-c", script]));
        host.bulkhead(["wait", "c1"]).prints("0");
        listener.expect("more");
        let got = listener.finish().stdout();
        let lines: Vec<&str> = got.lines().skip(1).collect();
        let expected = [("<30>", "out"), ("<27>", "err"), ("<30>", "more")];
        assert_eq!(lines.len(), 3, "{url}: {got}");
        for (line, (priority, text)) in lines.iter().zip(expected) {
            let form = line.starts_with(priority) && line.contains(" t-c1[");
            assert!(form && line.ends_with(&format!("]: {text}{ends}")), "{url}: {line}");
        }
        // `logs` reads what is kept beside.
        let output = host.bulkhead(["logs", "c1"]).run();
        assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("out\nmore", "err\n"));
        host.bulkhead(["rm", "c1"]).prints("c1");
    }
    host.finish();
}

#[test]
fn syslog_s_forms() {
    let host = Host::new("drivers-forms").with_busybox();
    let id = |name: &str| host.inspect(name, "{{.Id}}")[..12].to_owned();
    let hostname = host.name().to_owned();
    for (format, facility, begins) in
        [("rfc3164", "local0", "<134>"), ("rfc5424", "mail", "<22>1 "), ("rfc5424micro", "1", "<14>1 ")]
    {
        let mut listener = listen(&host, "unixgram", "/run/s1");
        let options = [
            "--log-driver=syslog",
            "--log-opt=syslog-address=unixgram:///run/s1",
            &format!("--log-opt=syslog-format={format}"),
            &format!("--log-opt=syslog-facility={facility}"),
        ]
        .map(str::to_owned);
        let words = options.iter().map(String::as_str).chain(["--name", "c1", "busybox", "echo", "words"]);
        host.run_detached(words);
        listener.expect("words");
        let got = listener.finish().stdout();
        let line = got.lines().nth(1).unwrap();
        assert!(line.starts_with(begins) && line.ends_with("words\\n"), "{format}: {line}");
        assert!(line.contains(&format!(" {hostname} {}", id("c1"))), "{format}: {line}");
        host.bulkhead(["wait", "c1"]).prints("0");
        host.bulkhead(["rm", "c1"]).prints("c1");
    }
    host.finish();
}

#[test]
fn the_journal_gets_dockers_fields() {
    let host = Host::new("drivers-journal").with_busybox();
    host.sh("mkdir -p /run/systemd/journal").prints("");
    let mut listener = listen(&host, "unixgram", "/run/systemd/journal/socket");
    let script = "echo out; echo err >&2; head -c 20000 /dev/zero | tr '\\0' x; echo";
    let options = ["--log-driver=journald", "--label=my.team=a b", "--log-opt=labels=my.team"];
    let id = host.run_detached(options.into_iter().chain(["--name", "c1", "busybox", "sh", "-c", script]));
    host.bulkhead(["wait", "c1"]).prints("0");
    wait::until("all has come", || host.bulkhead(["logs", "c1"]).stdout().len() > 20_000);
    listener.expect("MESSAGE=xxxx");
    let got = listener.finish().stdout();
    let entries: Vec<&str> = got.lines().skip(1).collect();
    assert_eq!(entries.len(), 4, "{got}");
    let short = &id[..12];
    for entry in &entries {
        for field in [
            format!("\\nCONTAINER_ID={short}\\n"),
            format!("\\nCONTAINER_ID_FULL={id}\\n"),
            "\\nCONTAINER_NAME=c1\\n".to_owned(),
            format!("\\nCONTAINER_TAG={short}\\n"),
            format!("\\nSYSLOG_IDENTIFIER={short}\\n"),
            "\\nIMAGE_NAME=busybox\\n".to_owned(),
            "\\nMY_TEAM=a b\\n".to_owned(),
        ] {
            assert!(entry.contains(&field), "{field} of {entry}");
        }
    }
    let entry = |text: &str| *entries.iter().find(|entry| entry.starts_with(text)).unwrap();
    assert!(entry("MESSAGE=out\\n").contains("\\nPRIORITY=6\\n"));
    assert!(entry("MESSAGE=err\\n").contains("\\nPRIORITY=3\\n"));
    let pieces: Vec<&&str> = entries.iter().filter(|entry| entry.contains("=xxx")).collect();
    let partial: Vec<bool> = pieces.iter().map(|e| e.contains("CONTAINER_PARTIAL_MESSAGE=true")).collect();
    assert_eq!(partial, [true, false]);
    host.finish();
}

#[test]
fn without_its_receiver_a_container_does_not_start() {
    let host = Host::new("drivers-missing").with_busybox();
    host.bulkhead(["run", "--rm", "--log-driver=journald", "busybox", "true"])
        .fails(125, "failed to initialize logging driver: journald is not enabled on this host");
    for address in ["unixgram:///run/no", "unix:///run/no", "tcp://127.0.0.1:9"] {
        let option = format!("syslog-address={address}");
        host.bulkhead(["run", "--rm", "--log-driver=syslog", "--log-opt", &option, "busybox", "true"])
            .fails(125, "failed to initialize logging driver: syslog does not answer");
    }
    host.bulkhead(["ps", "-aq"]).prints("");
    // One that was made before can be started when it is there.
    let option = "--log-opt=syslog-address=unixgram:///run/s1";
    host.bulkhead(["create", "--name", "c1", "--log-driver=syslog", option, "busybox", "echo", "words"])
        .run()
        .succeeds();
    host.bulkhead(["start", "c1"]).fails(1, "syslog does not answer (/run/s1: no such file or directory)");
    let mut listener = listen(&host, "unixgram", "/run/s1");
    host.bulkhead(["start", "c1"]).prints("c1");
    listener.expect("words");
    listener.finish();
    host.finish();
}

#[test]
fn one_that_does_not_keep_up_holds_back_or_loses_as_was_asked() {
    let host = Host::new("drivers-slow").with_busybox();
    for (kind, blocking) in [("unixgram", true), ("unix", true), ("unixgram", false), ("unix", false)] {
        let mut listener = host.sh(&format!("exec /run/host/test-host listen {kind} /run/s1 hold")).start();
        listener.expect("ready");
        let mode: &[&str] =
            if blocking { &[] } else { &["--log-opt=mode=non-blocking", "--log-opt=max-buffer-size=10k"] };
        let address = ["--log-driver=syslog", "--log-opt=syslog-address=unix:///run/s1"];
        let script = "seq 100000; touch /done; sleep 1000";
        let words = address.iter().chain(mode).copied();
        host.run_detached(words.chain(["--name", "c1", "busybox", "sh", "-c", script]));
        let done = || host.bulkhead(["exec", "c1", "test", "-e", "/done"]).run().code() == 0;
        if blocking {
            // Held back: it cannot have written everything, and nothing is lost.
            assert!(!done());
            listener.send("go\n");
            wait::until("it goes on", done);
            listener.expect("]: 100000\\n");
            let got = listener.finish().stdout();
            let numbers: Vec<usize> = got.lines().skip(1).map(number).collect();
            assert_eq!(numbers, (1..=100_000).collect::<Vec<_>>(), "{kind}");
        } else {
            wait::until("it goes on", done);
            listener.send("go\n");
            let told = || host.inspect("c1", "{{.State.Error}}").contains("the receiver does not keep up");
            wait::until("the loss is told", told);
            let got = listener.finish().stdout();
            assert!(got.lines().count() < 100_000, "{kind}");
        }
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    }
    host.finish();
}

#[test]
fn an_end_does_not_wait_for_one_that_takes_nothing() {
    let host = Host::new("drivers-stuck").with_busybox();
    let mut stuck = host.sh("exec /run/host/test-host listen unix /run/s1 hold").start();
    stuck.expect("ready");
    let options = ["--log-driver=syslog", "--log-opt=syslog-address=unix:///run/s1"];
    host.run_detached(options.into_iter().chain(["--name", "c1", "busybox", "seq", "100000"]));
    wait::until("it has written", || !host.bulkhead(["logs", "-n1", "c1"]).stdout().is_empty());
    host.bulkhead(["kill", "c1"]).prints("c1");
    host.bulkhead(["wait", "c1"]).timeout(20).prints("137");
    assert!(host.inspect("c1", "{{.State.Error}}").contains("the receiver does not keep up"));
    stuck.send("go\n");
    stuck.finish();
    host.finish();
}

/// The number at the end of a line.
fn number(line: &str) -> usize {
    line.trim_end_matches("\\n").rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn one_that_has_gone_stops_nobody_and_is_told_what_it_missed() {
    let host = Host::new("drivers-gone").with_busybox();
    for (kind, url, address) in [
        ("unixgram", "unixgram:///run/s1", "/run/s1"),
        ("unix", "unix:///run/s1", "/run/s1"),
        ("tcp", "tcp://127.0.0.1:5514", "127.0.0.1:5514"),
    ] {
        let mut first = listen(&host, kind, address);
        let script = "trap 'seq 5000' USR1; trap 'echo back' USR2; echo one; while :; do sleep 0.02; done";
        let address_option = format!("syslog-address={url}");
        let options = ["--log-driver=syslog", "--log-opt", &address_option];
        host.run_detached(options.into_iter().chain(["--name", "c1", "busybox", "sh", "-c", script]));
        first.expect("]: one\\n");
        first.finish();
        host.bulkhead(["kill", "-s", "USR1", "c1"]).prints("c1");
        wait::until("it is not held back", || host.bulkhead(["logs", "-n1", "c1"]).stdout() == "5000");
        assert!(host.inspect("c1", "{{.State.Error}}").contains("cannot keep the log"), "{kind}");
        let mut second = listen(&host, kind, address);
        wait::until("it is found again", || {
            host.bulkhead(["kill", "-s", "USR2", "c1"]).prints("c1");
            host.inspect("c1", "{{.State.Error}}").contains("lines of the log were lost")
        });
        second.expect("]: back\\n");
        let got = second.finish().stdout();
        assert_eq!(got.matches("lines of this log are lost").count(), 1, "{kind}: {got}");
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    }
    host.finish();
}

#[test]
fn without_a_cache_nothing_is_read() {
    let host = Host::new("drivers-cache").with_busybox();
    let mut listener = listen(&host, "unixgram", "/run/s1");
    let options =
        ["--log-driver=syslog", "--log-opt=syslog-address=unix:///run/s1", "--log-opt=cache-disabled=true"];
    host.run_detached(options.into_iter().chain(["--name", "c1", "busybox", "echo", "words"]));
    listener.expect("words");
    host.bulkhead(["logs", "c1"]).fails(1, "configured logging driver does not support reading");
    listener.finish();
    host.finish();
}
