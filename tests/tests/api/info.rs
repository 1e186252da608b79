//! What the engine and the server tell of themselves.

use crate::{SOCKET, Served};

#[test]
fn info_is_whole_and_true() {
    let api = Served::new("api-info");
    api.host.run_detached(["--name", "one", "busybox", "sleep", "1000"]);
    api.host.bulkhead(["create", "busybox", "true"]).run().succeeds();
    let info = api.json("/info");
    assert_eq!(
        (&info["Containers"], &info["ContainersRunning"], &info["ContainersStopped"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!((&info["Images"], &info["Driver"]), (&1.into(), &"overlay2".into()));
    let kernel = api.host.sh("uname -r").stdout();
    assert_eq!((&info["KernelVersion"], &info["OSType"]), (&kernel.into(), &"linux".into()));
    assert_eq!(info["NCPU"].to_string(), api.host.sh("nproc").stdout());
    let forwards = api.host.sh("cat /proc/sys/net/ipv4/ip_forward").stdout() == "1";
    assert_eq!(info["IPv4Forwarding"], forwards);
    assert_eq!(info["Swarm"]["LocalNodeState"], "inactive");
    assert!(info["Runtimes"].get(info["DefaultRuntime"].as_str().unwrap()).is_some(), "{info}");
    for key in ["MemoryLimit", "SwapLimit", "CpuCfsQuota", "CPUSet", "PidsLimit", "LiveRestoreEnabled"] {
        assert!(info[key].is_boolean(), "{key}: {info}");
    }
    for warning in info["Warnings"].as_array().unwrap() {
        assert!(warning.as_str().unwrap().starts_with("WARNING: "), "{warning}");
    }
    let missing = |key: &str, words: &str| {
        let told = info["Warnings"].to_string().contains(words);
        assert_eq!(told, info[key] == false, "{words}: {info}");
    };
    missing("SwapLimit", "No swap limit support");
    missing("CPUSet", "No cpuset support");
    // Its ID stays.
    let id = info["ID"].as_str().unwrap().to_owned();
    assert_eq!((id.len(), id.matches('-').count()), (36, 4));
    api.kill();
    api.serve("");
    for docker in api.dockers() {
        api.by(&docker, "info --format '{{.ID}}'").prints(&id);
        let whole = api.by(&docker, "info").run();
        whole
            .shows(" Running: 1")
            .shows("Runtimes: bulkhead")
            .shows("Cgroup Driver: cgroupfs")
            .shows("Log: journald json-file local none syslog");
        // What old versions expect is what there is.
        whole.hides("expected");
        api.by(&docker, "version --format '{{.Server.Version}} {{.Server.MinAPIVersion}} {{.Server.Os}}'")
            .run()
            .shows(" 1.24 linux");
    }
    // The command says each warning once.
    api.host.bulkhead(["info"]).run().shows("Running: 1");
    let ours = api.host.sh("bulkhead info 2>&1 >/dev/null | sort").stdout();
    let mut told: Vec<&str> =
        info["Warnings"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(ours.lines().collect::<std::collections::BTreeSet<_>>(), told.into_iter().collect());
    api.finish();
}

#[test]
fn registries_of_the_settings_are_told() {
    let api = Served::new("api-info-registries");
    let settings = r#"{"registry-mirrors":["http://127.0.0.1:5555"],"insecure-registries":["10.0.0.0/8","old.example:5000"]}"#;
    api.host.sh("mkdir -p /etc/bulkhead; cat > /etc/bulkhead/daemon.json").stdin(settings).prints("");
    let registries = &api.json("/info")["RegistryConfig"];
    assert_eq!(registries["Mirrors"][0], "http://127.0.0.1:5555");
    assert_eq!(registries["IndexConfigs"]["docker.io"]["Official"], true);
    assert_eq!(registries["IndexConfigs"]["old.example:5000"]["Secure"], false);
    assert!(registries["InsecureRegistryCIDRs"].to_string().contains("10.0.0.0/8"), "{registries}");
    api.finish();
}

#[test]
fn a_ping_tells_what_clients_look_for() {
    let api = Served::new("api-ping");
    for flags in ["--head", "-i"] {
        let head = api.host.sh(&format!("curl -sS {flags} --unix-socket {SOCKET} http://d/_ping")).run();
        for line in [
            "HTTP/1.1 200 OK",
            "api-version: 1.53",
            "ostype: linux",
            "docker-experimental: false",
            "server: Bulkhead/",
            "cache-control: no-cache, no-store, must-revalidate",
            "pragma: no-cache",
            "swarm: inactive",
            "content-type: text/plain; charset=utf-8",
        ] {
            head.shows(line);
        }
    }
    api.finish();
}
