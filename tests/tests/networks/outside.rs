//! Another machine on the host's network: a network namespace with a pair of links.

use bulkhead_tests::Host;

/// The host's addresses on the network that it shares with the other machine.
pub(crate) const HERE: &str = "192.0.2.1";
pub(crate) const HERE6: &str = "2001:db8::1";
/// The other machine's.
pub(crate) const THERE: &str = "192.0.2.2";
pub(crate) const THERE6: &str = "2001:db8::2";

/// The other machine.
pub(crate) struct Outside<'a>(&'a Host);

impl<'a> Outside<'a> {
    /// Makes it. It knows the host, and has no route to containers.
    #[track_caller]
    pub(crate) fn of(host: &'a Host) -> Self {
        host.sh(
            "mkfifo /tmp/hold; ip link add test-a type veth peer name test-b
            unshare --net sh -c 'cat /tmp/hold' </dev/null >/dev/null 2>&1 & outside=$!; echo $outside > /tmp/outside
            until [ \"$(readlink /proc/$outside/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.01; done
            ip link set test-b netns $outside
            ip addr add 192.0.2.1/24 dev test-a; ip -6 addr add 2001:db8::1/64 dev test-a nodad; ip link set test-a up
            nsenter -t $outside -n sh -c 'ip addr add 192.0.2.2/24 dev test-b
                ip -6 addr add 2001:db8::2/64 dev test-b nodad; ip link set test-b up; ip link set lo up'",
        )
        .prints("");
        Self(host)
    }

    /// Runs a script there.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        let quoted = script.replace('\'', r"'\''");
        self.0.sh(&format!("nsenter -t $(cat /tmp/outside) -n sh -ec '{quoted}'")).stdout()
    }

    /// Asks from there who serves.
    #[track_caller]
    pub(crate) fn ask(&self, at: &str) -> String {
        self.sh(&format!("{} http://{at}/cgi-bin/who 2>&1 || true", super::ASK))
    }

    /// Ends it.
    #[track_caller]
    pub(crate) fn end(self) {
        self.0.sh("kill $(cat /tmp/outside) 2>/dev/null || true; pkill -x cat || true").prints("");
    }
}
