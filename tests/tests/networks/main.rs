//! Networks: published ports, networks of one's own, names, isolation, IPv6, each from real containers and real peers in
//! network namespaces of their own.

#![allow(clippy::unwrap_used, clippy::panic)]

mod commands;
mod connect;
mod faults;
mod isolation;
mod leases;
mod macvlan;
mod names;
mod outside;
mod published;
mod reload;
mod taken;
mod trio;

use bulkhead_tests::Host;

/// Serves `/cgi-bin/who` on port 80: who serves, and from which address the question came.
pub(crate) const SERVE: &str = "mkdir -p /www/cgi-bin; printf '#!/bin/sh\\necho; echo $(hostname) to $REMOTE_ADDR | sed \"s/[][]//g; s/::ffff://\"\\n' > \
     /www/cgi-bin/who; chmod +x /www/cgi-bin/who; exec httpd -f -p 80 -h /www";

/// Runs a web server in the background: `bulkhead run -d ARGS… busybox httpd`. Gives when it serves.
#[track_caller]
pub(crate) fn serve(host: &Host, name: &str, flags: &[&str]) {
    let run = ["--name", name, "--hostname", name].into_iter().chain(flags.iter().copied());
    host.run_detached(run.chain(["busybox", "sh", "-c", SERVE]));
    let listens = "until grep -q :0050 /proc/net/tcp6 /proc/net/tcp; do sleep 0.01; done";
    host.bulkhead(["exec", name, "sh", "-c", listens]).prints("");
}

/// Asks who serves there: `curl`'s words are the answer if nobody does.
pub(crate) const ASK: &str = "curl -sS -g --max-time 3 --noproxy '*'";

/// Asks from the host itself.
#[track_caller]
pub(crate) fn ask(host: &Host, at: &str) -> String {
    host.sh(&format!("{ASK} http://{at}/cgi-bin/who 2>&1 || true")).stdout()
}

/// The same from a container's network namespace, with the host's own programs and rights: more than any container has.
#[track_caller]
pub(crate) fn ask_from(host: &Host, name: &str, at: &str) -> String {
    inside(host, name, &format!("{ASK} http://{at}/cgi-bin/who 2>&1 || true"))
}

/// Runs a script of the host's in a container's network namespace.
#[track_caller]
pub(crate) fn inside(host: &Host, name: &str, script: &str) -> String {
    let pid = host.inspect(name, "{{.State.Pid}}");
    let quoted = script.replace('\'', r"'\''");
    host.sh(&format!("nsenter -t {pid} -n sh -ec '{quoted}'")).stdout()
}

/// An address of a container on a network.
#[track_caller]
pub(crate) fn address(host: &Host, name: &str, network: &str) -> String {
    let address =
        host.inspect(name, &format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}"));
    assert!(!address.is_empty(), "{name} has an address on {network}");
    address
}

/// The same for IPv6.
#[track_caller]
pub(crate) fn address6(host: &Host, name: &str, network: &str) -> String {
    let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").GlobalIPv6Address}}}}");
    let address = host.inspect(name, &format);
    assert!(!address.is_empty(), "{name} has an IPv6 address on {network}");
    address
}

/// Makes a network.
#[track_caller]
pub(crate) fn network(host: &Host, name: &str, flags: &[&str]) {
    let create = ["network", "create"].into_iter().chain(flags.iter().copied()).chain([name]);
    assert_eq!(host.bulkhead(create).stdout().len(), 64);
}
