//! How the server is reached: several sockets at once, and those that a service manager passes.

use bulkhead_tests::Host;

use crate::{SOCKET, Served};

/// Starts a server as `before serve FLAGS`, where it says as many addresses as `said` has lines.
pub(crate) fn start(host: &Host, before: &str, flags: &str, said: &str) {
    let lines = said.lines().count();
    let script = format!(
        "rm -f /tmp/served; setsid {before} serve {flags} < /dev/null > /tmp/served 2>&1 & echo $! > /tmp/server; \
         for i in $(seq 200); do [ $(wc -l < /tmp/served) -ge {lines} ] && break; sleep 0.05; done; cat /tmp/served"
    );
    host.sh(&script).prints(said);
}

/// Passes sockets as sd_listen_fds(3) has it: `KIND:ADDRESS` each, of kind `unix`, `tcp`, `udp` (which is none that
/// listens), and then the names.
fn passing(sockets: &str, names: &str) -> String {
    // Opened before anything else, they are descriptors 3 and following, which $^F lets exec keep.
    let script = r#"use Socket; $^F = 20; for (split / /, shift) { my ($kind, $at) = split /:/, $_, 2; my $s;
        if ($kind eq "unix") { unlink $at; socket($s, AF_UNIX, SOCK_STREAM, 0); bind($s, pack_sockaddr_un($at)) or die; listen($s, 9); }
        else { socket($s, AF_INET, $kind eq "tcp" ? SOCK_STREAM : SOCK_DGRAM, 0); bind($s, pack_sockaddr_in($at, INADDR_LOOPBACK)) or die;
               $kind eq "tcp" and listen($s, 9); }
        push @all, $s; }
        die unless fileno($all[0]) == 3; $ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = @all; $ENV{LISTEN_FDNAMES} = shift; exec @ARGV"#;
    format!("perl -e '{script}' '{sockets}' '{names}' bulkhead")
}

#[test]
fn sockets_of_a_service_manager_are_served() {
    let api = Served { host: Host::new("api-passed").with_busybox() };
    let host = &api.host;
    host.sh("echo 'bulkhead:x:4242:' >> /etc/group; mkdir -p /run/bulkhead").prints("");
    let passed = passing(&format!("unix:{SOCKET} unix:/tmp/two.sock"), "one:two");
    start(host, &passed, "-H fd://", &format!("unix://{SOCKET}\nunix:///tmp/two.sock"));
    for docker in api.dockers() {
        api.by(&docker, "run --rm busybox echo here").prints("here");
        host.sh(&format!("{docker} -H unix:///tmp/two.sock run --rm busybox echo there")).prints("there");
    }
    // Our folder lets the group through to the socket.
    host.sh("stat -c '%a %g' /run/bulkhead").prints("710 4242");
    // Whoever the server starts has none of them.
    api.docker("run -d --name stays busybox sleep 1000").run().succeeds();
    let open =
        "for p in $(pgrep -x bulkhead-superv); do ls -l /proc/$p/fd; done; ls -l /proc/$(cat /tmp/server)/fd";
    let sockets = host.sh(open).run();
    sockets.shows("socket:");
    let listening = "ss -xlpH | grep -E 'bulkhead.sock|two.sock' | grep -c superv || true";
    host.sh(listening).prints("0");
    // They are not the server's: at its end they stay.
    host.sh("kill $(cat /tmp/server); while [ -d /proc/$(cat /tmp/server) ]; do sleep 0.05; done").prints("");
    host.sh(&format!("[ -S {SOCKET} ] && [ -S /tmp/two.sock ] && rm {SOCKET} && echo there")).prints("there");
    api.host.finish();
}

#[test]
fn one_by_its_name_or_number_and_others_beside() {
    let api = Served { host: Host::new("api-passed-one").with_busybox() };
    let host = &api.host;
    let passed = passing("unix:/tmp/one.sock unix:/tmp/two.sock unix:/tmp/three.sock", "a:b:b");
    let flags = format!("-H fd://b -H unix://{SOCKET} -H unix:///run/docker.sock -H fd://3");
    let said = format!(
        "unix:///tmp/two.sock\nunix:///tmp/three.sock\nunix://{SOCKET}\nunix:///run/docker.sock\nunix:///tmp/one.sock"
    );
    start(host, &passed, &flags, &said);
    for socket in ["/tmp/one.sock", "/tmp/two.sock", "/tmp/three.sock", SOCKET, "/run/docker.sock"] {
        host.sh(&format!("curl -sS --unix-socket {socket} http://d/_ping")).prints("OK");
    }
    // Where docker looks without -H.
    if host.sh("[ -L /var/run ] && echo yes || true").stdout() == "yes" {
        host.sh("docker run --rm busybox echo usual").prints("usual");
    }
    api.finish();
}

#[test]
fn what_was_not_passed_or_does_not_listen_is_refused() {
    let host = Host::new("api-not-passed");
    let refused = |before: &str, flags: &str, why: &str| {
        host.sh(&format!("{before} serve {flags}")).fails(1, why);
        host.sh("[ -e /tmp/other.sock ] && echo left || true").prints("");
    };
    refused("bulkhead", "-H unix:///tmp/other.sock -H fd://", "no socket was passed: LISTEN_PID is not set");
    refused("LISTEN_PID=1 LISTEN_FDS=1 bulkhead", "-H fd://", "LISTEN_PID names another process");
    let empty = "sh -c 'LISTEN_PID=$$ LISTEN_FDS=2 exec bulkhead \"$@\"' sh";
    refused(empty, "-H fd://", "descriptor 3: ");
    refused(&passing("unix:/tmp/a.sock", "a"), "-H fd://b", "no such socket was passed");
    refused(&passing("unix:/tmp/a.sock", "a"), "-H fd://a -H fd://3", "or it is taken twice");
    refused(&passing("udp:4000", "a"), "-H fd://", "it is no stream socket that listens");
    // TCP is not served without TLS, whoever listens.
    refused(&passing("tcp:4001", "a"), "-H fd://", "clients must show certificates");
    refused("bulkhead", "-H tcp://127.0.0.1:4002", "clients must show certificates");
    for bad in
        ["fd://2", "tcp://localhost:1", "tcp://1.2.3.4", "tcp://:2376", "http://1.2.3.4:5", "unix://relative"]
    {
        host.bulkhead(["serve", "-H", bad]).fails(125, "invalid address");
    }
    host.finish();
}

#[test]
fn the_units_are_what_a_service_manager_takes() {
    let host = Host::new("api-units");
    let there = "command -v systemd-analyze > /dev/null && echo there || true";
    if host.sh(there).stdout() != "there" {
        bulkhead_tests::skip::announce("systemd-analyze is not here");
        host.finish();
        return;
    }
    for (name, unit) in [
        ("bulkhead.service", include_str!("../../../packaging/systemd/bulkhead.service")),
        ("bulkhead.socket", include_str!("../../../packaging/systemd/bulkhead.socket")),
        ("bulkhead-api.service", include_str!("../../../packaging/systemd/bulkhead-api.service")),
    ] {
        // It looks for the executable where the units have it.
        let put = "mkdir -p /tmp/units; sed \"s,/usr/local/bin/bulkhead,$(command -v bulkhead),\"";
        host.sh(&format!("{put} > /tmp/units/{name}")).stdin(unit).prints("");
    }
    let script = "cd /tmp/units; systemd-analyze verify --man=no ./bulkhead.socket ./bulkhead-api.service ./bulkhead.service 2>&1 \
                  | grep bulkhead || true";
    host.sh(script).prints("");
    host.finish();
}
