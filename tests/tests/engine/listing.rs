//! `ps`, `inspect`, `info`, `version`: what people and scripts read.

use bulkhead_tests::Host;
use serde_json::Value;

#[test]
fn ps_has_dockers_columns() {
    let host = Host::new("listing-ps").with_busybox();
    let id = host.run_detached(["--name", "up", "--label", "kind=a", "busybox", "sleep", "1000"]);
    host.bulkhead(["run", "--name", "over", "--label", "kind=b", "busybox", "false"]).run().ends_with(1);
    let table = host.bulkhead(["ps", "-a"]).stdout();
    let mut lines = table.lines();
    let head: Vec<&str> =
        lines.next().unwrap().split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    assert_eq!(head, ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]);
    let (over, up) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(over.contains("Exited (1) ") && over.ends_with("over"), "{table}");
    assert!(up.starts_with(&id[..12]) && up.contains("\"sleep 1000\"") && up.contains("Up "), "{table}");
    host.bulkhead(["ps", "--format", "{{.Names}} {{.Image}} {{.State}}"]).prints("up busybox running");
    let filtered =
        |filter: &str| host.bulkhead(["ps", "-a", "--format={{.Names}}", "--filter", filter]).stdout();
    assert_eq!(filtered("status=exited"), "over");
    assert_eq!(filtered("name=u"), "up");
    assert_eq!(filtered("label=kind=b"), "over");
    assert_eq!(filtered("label=kind"), "over\nup");
    assert_eq!(filtered("exited=1"), "over");
    assert_eq!(filtered(&format!("id={}", &id[..6])), "up");
    assert_eq!(filtered("ancestor=busybox"), "over\nup");
    host.bulkhead(["ps", "--filter", "nosuch=x"]).fails(1, "nosuch");
    host.bulkhead(["ps", "-l", "--format={{.Names}}", "-a"]).prints("over");
    host.bulkhead(["ps", "-n", "1", "--format={{.Names}}"]).prints("over");
    let row: Value = serde_json::from_str(&host.bulkhead(["ps", "--format", "json"]).stdout()).unwrap();
    assert_eq!(row["Names"], "up");
    host.bulkhead(["ps", "--format", "{{.Nosuch}}"]).run().says("Nosuch");
    host.bulkhead(["ps", "--format", "{{.Names"]).run().says("template");
    host.finish();
}

#[test]
fn inspect_is_dockers_json() {
    let host = Host::new("listing-inspect").with_busybox();
    let id = host.run_detached([
        "--name", "c1", "-e", "A=b", "-m", "64m", "--label", "k=v", "busybox", "sleep", "1000",
    ]);
    let all: Value = serde_json::from_str(&host.bulkhead(["inspect", "c1"]).stdout()).unwrap();
    let one = &all[0];
    assert_eq!(one["Id"], id);
    assert_eq!(one["Name"], "/c1");
    assert_eq!(one["Path"], "sleep");
    assert_eq!(one["Args"][0], "1000");
    assert_eq!(one["State"]["Status"], "running");
    assert_eq!(one["HostConfig"]["Memory"], 64 << 20);
    assert_eq!(one["Config"]["Labels"]["k"], "v");
    assert!(one["Config"]["Env"].as_array().unwrap().contains(&Value::from("A=b")));
    let pid = one["State"]["Pid"].as_u64().unwrap();
    host.sh(&format!("tr '\\0' ' ' < /proc/{pid}/cmdline")).prints("sleep 1000 ");
    assert_eq!(host.inspect("c1", "{{json .Config.Cmd}}"), r#"["sleep","1000"]"#);
    assert_eq!(host.inspect("c1", "{{len .Config.Cmd}} {{index .Config.Labels \"k\"}}"), "2 v");
    assert_eq!(host.inspect("c1", "{{if .State.Running}}yes{{else}}no{{end}}"), "yes");
    assert_eq!(host.inspect("busybox", "{{index .RepoTags 0}} {{.Os}}"), "busybox:latest linux");
    // What is not there is told, and what is, is printed all the same.
    let both = host.bulkhead(["inspect", "c1", "nobody"]).run();
    both.ends_with(1).says("nobody").shows(&id);
    host.finish();
}

#[test]
fn help_info_and_version() {
    let host = Host::new("listing-help");
    for words in
        [&["--help"][..], &["run", "--help"], &["ps", "--help"], &["info"], &["version"], &["--version"]]
    {
        let output = host.bulkhead(words).run();
        output.succeeds();
        // What this machine cannot do, `info` warns of.
        assert!(output.stderr().lines().all(|line| line.starts_with("WARNING: ")), "{output}");
        assert!(!output.stdout().is_empty());
    }
    host.bulkhead(["run", "--help"]).run().shows("--name").shows("--memory").shows("Usage");
    host.bulkhead(["info", "--format", "{{.Containers}}"]).prints("0");
    host.finish_clean();
}
