//! TCP: served to clients with a certificate of the given authority, and to nobody else.

use bulkhead_tests::Host;
use bulkhead_tests::wait::until;

use crate::doors::start;
use crate::{SOCKET, Served};

const AT: &str = "127.0.0.1:2376";

/// Two authorities, each with a client's certificate and one for a server at 127.0.0.1: /tmp/good and /tmp/other.
fn certificates(host: &Host) {
    let script = r#"for one in good other; do mkdir -p /tmp/$one; cd /tmp/$one
        new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$one $1" "$@" 2> /dev/null; }
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$one" -keyout ca.key -out ca.pem -days 2 2> /dev/null
        for who in server client; do
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$who" -keyout $who.key -out $who.csr 2> /dev/null
            echo "subjectAltName=IP:127.0.0.1
                  extendedKeyUsage=${who}Auth" > $who.ext
            openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile $who.ext -days 2 -out $who.pem 2> /dev/null
        done; done"#;
    host.sh(script).run().succeeds();
}

fn served(name: &str) -> Served {
    let api = Served { host: Host::new(name).with_busybox() };
    certificates(&api.host);
    let flags = format!(
        "-H unix://{SOCKET} -H tcp://{AT} --tlsverify --tlscacert /tmp/good/ca.pem --tlscert /tmp/good/server.pem \
         --tlskey /tmp/good/server.key"
    );
    start(&api.host, "bulkhead", &flags, &format!("unix://{SOCKET}\ntcp://{AT}"));
    api
}

/// A docker command that shows a certificate.
fn by(docker: &str, words: &str) -> String {
    format!(
        "{docker} --tlsverify --tlscacert /tmp/good/ca.pem --tlscert /tmp/good/client.pem --tlskey /tmp/good/client.key \
         -H tcp://{AT} {words}"
    )
}

/// A ping by curl: the status, and what was heard.
fn ping(flags: &str) -> String {
    format!(
        "curl -sS --max-time 30 -w ' %{{http_code}}' --cacert /tmp/good/ca.pem {flags} https://{AT}/_ping"
    )
}

const CERTIFICATE: &str = "--cert /tmp/good/client.pem --key /tmp/good/client.key";

#[test]
fn docker_works_over_it() {
    let api = served("api-tls");
    for docker in api.dockers() {
        let docker = |words: &str| api.host.sh(&by(&docker, words));
        docker("run --rm busybox echo here").prints("here");
        // The end of what a client says reaches the program, whose last words reach the client.
        docker("run --rm -i busybox sh -c 'cat; echo end'").stdin("some\nwords\n").prints("some\nwords\nend");
        docker("run -d --name one busybox sleep 1000").run().succeeds();
        docker("exec -i one wc -c").stdin(vec![b'x'; 3_000_000]).prints("3000000");
        docker("exec one sh -c 'head -c 3000000 /dev/zero; echo bad >&2; exit 3'")
            .run()
            .ends_with(3)
            .says("bad");
        docker("ps --format '{{.Names}}'").prints("one");
        docker("rm -f one").prints("one");
        docker("logs nosuch").fails(1, "No such container");
    }
    let mut terminal = api.host.pty_of(["sh", "-c", &by("docker", "run --rm -it busybox sh")]);
    terminal.expect("# ");
    terminal.send("echo $((6*7))$(tty)\n");
    terminal.expect("42/dev/pts/");
    terminal.send("exit 5\n");
    terminal.ends_with(5);
    api.finish();
}

#[test]
fn nobody_else_gets_anything() {
    let api = served("api-tls-closed");
    let host = &api.host;
    let nothing = |what: &str, script: &str| {
        let output = host.sh(script).run();
        assert_ne!(output.code(), 0, "{what}: {output}");
        assert!(matches!(output.stdout().trim(), "" | "000"), "{what}: {output}");
    };
    // It works with the right certificate, so what fails below fails for want of it.
    host.sh(&ping(CERTIFICATE)).prints("OK 200");
    host.sh(&ping(&format!("--tls-max 1.2 {CERTIFICATE}"))).prints("OK 200");
    nothing("no certificate", &ping(""));
    nothing("no certificate, TLS 1.2", &ping("--tls-max 1.2"));
    nothing("another authority's", &ping("--cert /tmp/other/client.pem --key /tmp/other/client.key"));
    nothing("a server's", &ping("--cert /tmp/good/server.pem --key /tmp/good/server.key"));
    nothing("an old TLS", &ping(&format!("--tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 {CERTIFICATE}")));
    nothing("no TLS", &format!("curl -sS --max-time 30 http://{AT}/_ping"));
    host.sh(&format!("docker -H tcp://{AT} ps")).fails(1, "");
    host.sh(&by("docker", "ps").replace("good/client", "other/client")).fails(1, "");
    // A client does not trust another server, either.
    host.sh(&by("docker", "ps").replace("good/ca", "other/ca")).fails(1, "certificate");
    host.sh("grep -c panicked /tmp/served || true").prints("0");
    api.finish();
}

#[test]
fn who_does_not_go_on_holds_up_nobody() {
    let api = served("api-tls-stalled");
    let stalled = format!(
        "perl -MIO::Socket::INET -e 'for (1..300) {{ push @all, IO::Socket::INET->new(\"{AT}\") or die }} \
         syswrite $_, \"\\x16\\x03\\x01\" for @all; print \"there\\n\"; $|=1; sysread $_, $_, 1 for @all; print \"cut off\\n\"'"
    );
    let stalled = api.host.sh(&stalled).start();
    // The server sees all of them before it answers the next one.
    until("the clients are there", || {
        api.host.sh(&format!("ss -Htn state established dst {AT} | wc -l")).stdout() == "300"
    });
    api.host.sh(&ping(CERTIFICATE)).prints("OK 200");
    stalled.expect("cut off");
    drop(stalled);
    api.finish();
}

#[test]
fn a_client_that_is_gone_leaves_nothing() {
    let api = served("api-tls-gone");
    api.docker("run -d -i --name one busybox sleep 1000").run().succeeds();
    let count = || api.host.sh("ls /proc/$(cat /tmp/server)/fd | wc -l").stdout();
    let before = count();
    api.host
        .sh("mkfifo /tmp/fifo; sleep 1000 <> /tmp/fifo > /dev/null 2>&1 & echo $! > /tmp/writer")
        .prints("");
    // One that says nothing, and one that has said everything and listens.
    for input in ["/tmp/fifo", "/dev/null"] {
        let attach = by("docker", "attach --sig-proxy=false one");
        api.host.sh(&format!("{attach} < {input} > /dev/null 2>&1 & echo $! > /tmp/client")).prints("");
        until("it is attached", || {
            let told = format!(
                "timeout 2 {} | grep -c attach || true",
                by("docker", "events --since 1h --until 0s")
            );
            api.host.sh(&told).stdout() == if input == "/tmp/fifo" { "1" } else { "2" }
        });
        assert_ne!(count(), before);
        api.host.sh("kill -9 $(cat /tmp/client)").prints("");
        until("the server has nothing of it", || count() == before);
    }
    api.host.sh("kill $(cat /tmp/writer)").prints("");
    api.finish();
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let host = Host::new("api-tls-bad");
    certificates(&host);
    let with = |authority: &str, certificate: &str, key: &str| {
        host.sh(&format!(
            "bulkhead serve -H tcp://{AT} --tlsverify --tlscacert {authority} --tlscert {certificate} --tlskey {key}"
        ))
    };
    let (authority, certificate, key) = ("/tmp/good/ca.pem", "/tmp/good/server.pem", "/tmp/good/server.key");
    with("/tmp/none", certificate, key).fails(1, "/tmp/none");
    with(key, certificate, key).fails(1, "it holds no certificate in PEM");
    with(authority, "/dev/null", key).fails(1, "it holds no certificate in PEM");
    with(authority, certificate, "/dev/null").fails(1, "/dev/null");
    with(authority, certificate, "/tmp/other/server.key").fails(1, "/tmp/good/server.pem");
    host.bulkhead(["serve", "--tlsverify"]).fails(125, "given together");
    host.bulkhead(["serve", "--tlscert", certificate]).fails(125, "given together");
    host.finish();
}
