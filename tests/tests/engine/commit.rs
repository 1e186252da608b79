//! `commit`: an image of what a container changed, which is another one's base like any other.

use bulkhead_tests::archive::docker_archive;
use bulkhead_tests::{Host, images};
use serde_json::json;

/// CAP_NET_BIND_SERVICE, permitted and effective, version 2.
const BIND: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn host(name: &str) -> Host {
    let host = Host::new(name);
    let mut layer = images::busybox()
        .pax(&[("SCHILY.xattr.security.capability", BIND)])
        .file("capable", 0o755, "x")
        .dir("tree", 0o755)
        .file("tree/file", 0o644, "x");
    for folder in ["gone", "other", "moved", "kept"] {
        layer = layer.dir(&format!("tree/{folder}"), 0o755).file(&format!("tree/{folder}/f"), 0o644, "x");
    }
    let config = json!({
        "Cmd": ["sh"], "Env": ["PATH=/bin", "A=1"], "Labels": { "of": "base" }, "Volumes": { "/declared": {} },
        "ExposedPorts": { "80/tcp": {} }, "OnBuild": ["RUN x"],
    });
    host.bulkhead(["load", "-q"]).stdin(docker_archive("base:1", &config, &[layer.done()])).run().succeeds();
    host
}

const MAKE: &str = "mkdir /w; echo mine >/w/f; chown 7:8 /w/f; chmod 4750 /w/f; mkfifo /w/p; ln /w/f /w/same; ln -s f /w/l; \
    printf end | dd of=/w/holes bs=1M seek=20 2>/dev/null; rm /etc/passwd; rm -r /tree/gone; \
    rm -r /tree/other; mkdir /tree/other; echo own >/tree/other/own; mv /tree/moved /tree/here; rm /tree/file; mkdir /tree/file; \
    chmod 700 /tree/kept; chown 5 /capable; mkdir /n; echo x >/n/$(printf 'n%.0s' $(seq 240))";

/// Sorted, with everything that can be said about a file but its device and its number.
const LOOK: &str = "cd /; find . -xdev ! -path . ! -path './bin/*' ! -path ./declared ! -path './dev*' ! -path './proc*' ! -path './sys*' ! -path './etc/hosts' ! -path './etc/hostname' \
    ! -path './etc/resolv.conf' ! -path './etc' | sort | while read -r f; do stat -c '%n %u:%g %a %F %Y' \"$f\"; \
    [ -f \"$f\" ] && stat -c '%s %h' \"$f\" && md5sum <\"$f\"; done; readlink /w/l";

/// The lines that only one of them has.
fn difference(one: &str, other: &str) -> String {
    let lines = |of: &str, not_of: &str| {
        of.lines().filter(|line| !not_of.lines().any(|other| other == *line)).collect::<Vec<_>>().join("\n")
    };
    format!("{}\n---\n{}", lines(one, other), lines(other, one))
}

#[test]
fn the_image_has_what_the_container_had() {
    let host = host("commit");
    for (name, flags, running) in
        [("c1", "--userns=auto", true), ("c2", "--userns=auto", false), ("c3", "--userns=host", false)]
    {
        let end = if running { "exec sleep 1000" } else { "true" };
        host.run_detached([
            "--name",
            name,
            flags,
            "base:1",
            "sh",
            "-c",
            &format!("{MAKE}; {LOOK}; echo done; {end}"),
        ]);
        bulkhead_tests::wait::until("it has made its files", || {
            host.bulkhead(["logs", name]).stdout().ends_with("done")
        });
        if !running {
            host.bulkhead(["wait", name]).prints("0");
        }
        let before = host.bulkhead(["logs", name]).stdout();
        let before = before.trim_end_matches("done");
        let id = host.bulkhead(["commit", name, &format!("of-{name}:1")]).stdout();
        assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
        if running {
            assert_eq!(host.inspect(name, "{{.State.Status}}"), "running");
        }
        for again in ["--userns=auto", "--userns=host"] {
            let look =
                host.bulkhead(["run", "--rm", again, &format!("of-{name}:1"), "sh", "-c", LOOK]).stdout();
            assert!(look == before.trim_end(), "{name} {again}: {}", difference(&look, before));
        }
        // Nothing of the engine's own is in it, and holes are holes.
        let layer = host.sh(&format!("bulkhead inspect -f '{{{{range .RootFS.Layers}}}}{{{{println .}}}}{{{{end}}}}' of-{name}:1 | tail -n2 | grep . | sed s/sha256://")).stdout();
        host.sh(&format!("cd /var/lib/bulkhead/images/layers/{layer}/diff; ls -A etc dev proc sys declared 2>/dev/null | xargs; test $(stat -c %b w/holes) -lt 100; stat -c '%u %a' w/f"))
            .prints("declared: etc: passwd\n7 4750");
    }
    // Another one on top.
    host.bulkhead(["run", "--name", "c4", "of-c1:1", "sh", "-c", "rm /w/f; echo more >/more"]).prints("");
    host.bulkhead(["container", "commit", "c4", "twice"]).run().succeeds();
    host.bulkhead(["run", "--rm", "twice", "sh", "-c", "cat /more /w/same; ls /w"])
        .prints("more\nmine\nholes\nl\np\nsame");
    host.finish();
}

#[test]
fn its_configuration_is_the_container_s_and_what_was_changed() {
    let host = host("commit-config");
    host.bulkhead([
        "create",
        "--name",
        "c1",
        "-e",
        "B=2",
        "-l",
        "own=yes",
        "-w",
        "/w",
        "-u",
        "7:8",
        "-v",
        "/anonymous",
        "-v",
        "named:/named",
        "--stop-signal",
        "SIGQUIT",
        "--entrypoint",
        "echo",
        "base:1",
        "hello",
    ])
    .run()
    .succeeds();
    let id = host
        .bulkhead([
            "commit",
            "-a",
            "Ada <a@example.org>",
            "-m",
            "a message",
            "-c",
            "ENV C=3",
            "--change",
            "LABEL more=1",
            "-c",
            "EXPOSE 91",
            "c1",
            "new:2",
        ])
        .stdout();
    let shown = "{{.Id}} {{.Author}} {{.Comment}} {{json .Config.Env}} {{json .Config.Cmd}} {{json .Config.Entrypoint}} {{.Config.User}} \
        {{.Config.WorkingDir}} {{json .Config.Labels}} {{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{.Config.StopSignal}}";
    let seen = host.bulkhead(["image", "inspect", "-f", shown, "new:2"]).stdout();
    assert_eq!(
        seen,
        format!(
            "{id} Ada <a@example.org> a message [\"PATH=/bin\",\"A=1\",\"B=2\",\"C=3\"] [\"hello\"] [\"echo\"] 7:8 /w \
             {{\"more\":\"1\",\"of\":\"base\",\"own\":\"yes\"}} {{\"80/tcp\":{{}},\"91/tcp\":{{}}}} \
             {{\"/anonymous\":{{}},\"/declared\":{{}}}} SIGQUIT"
        )
    );
    host.bulkhead(["run", "--rm", "new:2"]).prints("hello");
    // Nothing was changed: a layer all the same, as with Docker. Without a name it is known by its ID.
    let nameless = host.bulkhead(["commit", "-p=false", "c1"]).stdout();
    host.bulkhead(["images", "-q", "--no-trunc", "-f", "dangling=true"]).prints(&nameless);
    host.finish();
}

#[test]
fn what_makes_no_sense_is_refused_and_leaves_nothing() {
    let host = host("commit-refused");
    host.bulkhead(["create", "--name", "c1", "base:1", "true"]).run().succeeds();
    host.bulkhead(["create", "--name", "c2", "host", "true"]).run().succeeds();
    let before = host.sh("find /var/lib/bulkhead/images | sort | md5sum").stdout();
    host.bulkhead(["commit", "c1", "UPPER"]).fails(1, "must be lowercase");
    host.bulkhead(["commit", "c1", "host"]).fails(1, "built-in image");
    host.bulkhead(["commit", "-c", "FROM x", "c1"]).fails(1, "FROM is not a valid change");
    host.bulkhead(["commit", "nobody"]).fails(1, "No such container: nobody");
    host.bulkhead(["commit", "c2"]).fails(1, "was made from the image host");
    // A name that a layer keeps for removals.
    host.bulkhead(["run", "--name", "c3", "base:1", "touch", "/.wh.x"]).prints("");
    host.bulkhead(["commit", "c3"]).fails(1, ".wh. for removals");
    assert_eq!(host.sh("find /var/lib/bulkhead/images | sort | md5sum").stdout(), before);
    host.finish();
}

#[test]
fn a_killed_commit_leaves_no_half_image() {
    let host = host("commit-killed");
    host.bulkhead([
        "run",
        "--name",
        "c1",
        "base:1",
        "sh",
        "-c",
        "head -c 40000000 /dev/urandom >/big; mkdir /d; for i in $(seq 500); do echo $i >/d/$i; done",
    ])
    .prints("");
    host.run_detached([
        "--name",
        "c2",
        "base:1",
        "sh",
        "-c",
        "head -c 40000000 /dev/urandom >/big; echo done; exec sleep 1000",
    ]);
    bulkhead_tests::wait::until("it is ready", || host.bulkhead(["logs", "c2"]).stdout() == "done");
    for step in 0..16 {
        let (name, pause) = (["c1", "c2"][step % 2], format!("0.{:03}", step * 15));
        host.sh(&format!("bulkhead commit {name} killed:1 >/dev/null 2>&1 & pid=$!; sleep {pause}; kill -KILL $pid 2>/dev/null || true; wait $pid || true"))
            .prints("");
        // Whatever there is works.
        host.sh("for id in $(bulkhead images -q); do bulkhead run --rm $id true; done").prints("");
        // One that was frozen for it can be let go on.
        host.sh("bulkhead unpause c2 >/dev/null 2>&1 || true; test $(bulkhead inspect -f '{{.State.Status}}' c2) = running").prints("");
    }
    host.bulkhead(["rm", "-f", "c1", "c2"]).run().succeeds();
    host.sh("for id in $(bulkhead images -q); do bulkhead rmi -f $id >/dev/null; done; bulkhead load -q </dev/null 2>/dev/null || true").prints("");
    let left = host.sh("ls /var/lib/bulkhead/images/tmp; bulkhead ps -a >/dev/null; ls /var/lib/bulkhead/images/tmp | wc -l").stdout();
    assert_eq!(left.lines().last(), Some("0"), "{left}");
    host.finish();
}
