//! What an image says of itself is what its containers start with, and what the command line says wins.

use bulkhead_tests::archive::docker_archive;
use bulkhead_tests::{Host, images};
use serde_json::{Value, json};

fn host_with(name: &str, config: &Value) -> Host {
    let host = Host::new(name);
    let layer = images::busybox().dir("data", 0o755).file("data/x", 0o644, "from image\n").done();
    host.bulkhead(["load", "-q"]).stdin(docker_archive("image:1", config, &[layer])).run().succeeds();
    host
}

#[test]
fn everything_is_honoured() {
    let config = json!({
        "Entrypoint": ["sh", "-c"], "Cmd": ["pwd; id -u; echo $A; cat /data/x"], "Env": ["PATH=/bin", "A=image"],
        "WorkingDir": "/made/for/it", "User": "nobody", "Volumes": { "/data": {} }, "StopSignal": "SIGUSR1",
        "Labels": { "k": "image", "l": "image" },
    });
    let host = host_with("config", &config);
    host.bulkhead(["run", "--rm", "image:1"]).prints("/made/for/it\n65534\nimage\nfrom image");
    host.bulkhead(["run", "--rm", "-e", "A=run", "-w", "/tmp", "-u", "33", "image:1"])
        .prints("/tmp\n33\nrun\nfrom image");
    host.bulkhead(["run", "--rm", "image:1", "echo other"]).prints("other");
    host.bulkhead(["run", "--rm", "--entrypoint", "echo", "image:1"]).prints("");
    host.bulkhead(["run", "--rm", "--entrypoint", "echo", "image:1", "a", "b"]).prints("a b");
    host.bulkhead(["create", "--name", "c1", "--label", "k=run", "image:1"]).run().succeeds();
    assert_eq!(host.inspect("c1", "{{.Config.Labels.k}} {{.Config.Labels.l}}"), "run image");
    assert_eq!(host.inspect("c1", "{{.Config.StopSignal}} {{len .Mounts}}"), "SIGUSR1 1");
    assert_eq!(host.inspect("c1", "{{range .Mounts}}{{.Type}} {{.Destination}}{{end}}"), "volume /data");
    host.finish();
}

#[test]
fn environment() {
    let host = Host::new("config-env").with_busybox();
    let env = host.bulkhead(["run", "--rm", "--hostname=h", "busybox", "env"]).stdout();
    let mut lines: Vec<&str> = env.lines().collect();
    lines.sort_unstable();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(lines, ["HOME=/root", "HOSTNAME=h", path], "{env}");
    // With a terminal there is TERM; a name alone takes the caller's value, if there is one.
    assert!(host.bulkhead(["run", "--rm", "-t", "busybox", "env"]).stdout().contains("TERM=xterm"));
    let echo = [
        "run",
        "--rm",
        "-e",
        "GIVEN",
        "-e",
        "NOT_GIVEN",
        "busybox",
        "sh",
        "-c",
        "echo ${GIVEN-unset} ${NOT_GIVEN-unset}",
    ];
    host.bulkhead(echo).env("GIVEN", "value").prints("value unset");
    host.sh("printf 'A=1\\n#B=2\\nC=x=y z\\n' > /tmp/env").prints("");
    let file = ["run", "--rm", "--env-file=/tmp/env", "busybox", "sh", "-c", "echo $A:$B:$C"];
    host.bulkhead(file).prints("1::x=y z");
    host.bulkhead(["run", "--rm", "-u", "nobody", "busybox", "sh", "-c", "echo $HOME"]).prints("/home");
    host.finish_clean();
}

#[test]
fn users_and_groups() {
    let host = Host::new("config-users").with_busybox();
    let id = |flags: &[&str]| {
        let run = ["run", "--rm"].into_iter().chain(flags.iter().copied());
        host.bulkhead(run.chain(["busybox", "sh", "-c", "echo $(id -u) $(id -g) $(id -G)"])).stdout()
    };
    assert_eq!(id(&[]), "0 0 0");
    assert_eq!(id(&["-u", "nobody"]), "65534 65534 65534 100");
    assert_eq!(id(&["-u", "nobody:www-data"]), "65534 33 33");
    assert_eq!(id(&["-u", "1234"]), "1234 0 0");
    assert_eq!(
        id(&["-u", "1234:5678", "--group-add", "users", "--group-add=7"]),
        "1234 5678 5678 7 100".to_owned()
    );
    host.bulkhead(["run", "--rm", "-u", "nosuch", "busybox", "true"])
        .fails(125, "unable to find user nosuch");
    host.bulkhead(["run", "--rm", "-u", "0:nosuch", "busybox", "true"])
        .fails(125, "unable to find group nosuch");
    host.bulkhead(["run", "--rm", "-w", "relative", "busybox", "true"])
        .fails(125, "it needs to be an absolute path");
    host.finish_clean();
}
