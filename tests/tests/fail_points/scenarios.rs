//! How each fail point is met: what is done before, the command that dies there (or makes somebody die), and what must work
//! afterwards.

use crate::points::Point;

/// A way to some points.
pub(crate) struct Scenario {
    /// Its name.
    pub(crate) name: &'static str,
    /// The beginnings of the points' names, or the names of the files that have them.
    points: &'static [&'static str],
    /// Makes what it needs.
    pub(crate) before: &'static str,
    /// The commands that meet the points.
    pub(crate) script: &'static str,
    /// The same once more, by somebody who takes what is there as it is.
    pub(crate) again: &'static str,
}

impl Scenario {
    /// Whether it comes by that point.
    pub(crate) fn meets(&self, point: &Point) -> bool {
        self.points.iter().any(|by| point.name.starts_with(by) || point.file.ends_with(by))
    }
}

const RUN_AGAIN: &str = "bulkhead rm -f c1 >/dev/null; bulkhead run -d --name c1 -v v1:/data busybox sleep 1000 >/dev/null; bulkhead exec c1 true";

const PUBLISH_AGAIN: &str = "bulkhead rm -f c1 >/dev/null; bulkhead run -d --name c1 --network six -p 8080:80 -p 53/udp busybox httpd -f -p 80 >/dev/null
    for i in $(seq 200); do curl -s -o /dev/null http://127.0.0.1:8080/ && break; sleep 0.02; done; curl -s -o /dev/null http://127.0.0.1:8080/";

const CONNECT_BEFORE: &str = "for net in alpha web; do bulkhead network inspect $net >/dev/null 2>&1 || bulkhead network create $net >/dev/null; done
    bulkhead rm -f c1 c2 >/dev/null 2>&1 || true
    bulkhead run -d --name c1 --network web busybox sleep 1000 >/dev/null";

/// Whatever became of it, what is said of the container is so, and it can be connected and disconnected.
const CONNECT_AGAIN: &str = "bulkhead run --rm busybox true
    for c in $(bulkhead ps -q); do
        nets=$(bulkhead inspect -f '{{len .NetworkSettings.Networks}}' $c)
        links=$(bulkhead exec $c ls /sys/class/net | grep -c eth || true)
        # A place that a killed command has not given back is given back when it is asked for again.
        test $nets = $links || bulkhead network disconnect alpha $c
        bulkhead network disconnect -f alpha $c 2>/dev/null || true
        bulkhead network disconnect -f web $c 2>/dev/null || true
        bulkhead network connect web $c; bulkhead network connect alpha $c
        bulkhead exec $c ip route | grep -q 'default via' || exit 1
        test $(bulkhead exec $c ls /sys/class/net | grep -c eth) = 2 || exit 1
    done";

/// All.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "first create",
        points: &["ranges: ", "accounts: "],
        // As if it were the first of this machine.
        before: "rm -rf /var/lib/bulkhead-id-blocks; sed -i /bulkhead-auto/d /etc/subuid /etc/subgid /etc/passwd /etc/group /etc/shadow
            python3 - <<'END'
import sqlite3
store = sqlite3.connect('/var/lib/bulkhead/bulkhead.db')
store.execute(\"DELETE FROM settings WHERE key = 'id blocks'\")
store.commit()
END",
        script: "bulkhead create --name c1 busybox true",
        again: "bulkhead rm -f c1 >/dev/null; bulkhead create --name c1 busybox true >/dev/null; grep -q bulkhead-auto /etc/subuid",
    },
    Scenario {
        name: "create",
        points: &["create: "],
        before: "",
        script: "bulkhead create --name c1 -v v1:/data busybox sleep 1000",
        again: RUN_AGAIN,
    },
    Scenario {
        name: "run",
        points: &["start: ", "isolation/src/birth.rs",
            "isolation/src/birth/unborn.rs", "isolation/src/child.rs", "commands/start.rs", "supervisor/src/start.rs"],
        before: "",
        script: "bulkhead --trace-timing run -d --name c1 -v v1:/data busybox sleep 1000",
        again: RUN_AGAIN,
    },
    Scenario {
        name: "start",
        points: &["start: ", "isolation/src/birth.rs",
            "isolation/src/birth/unborn.rs", "isolation/src/child.rs", "commands/start.rs", "supervisor/src/start.rs"],
        before: "bulkhead run --name c1 -v v1:/data busybox sh -c 'echo kept >> /kept; test $(wc -l < /kept) = 1 || sleep 1000'",
        script: "bulkhead --trace-timing start c1",
        // What it wrote is there, whoever died; it is started by whoever comes next.
        again: "bulkhead start c1 >/dev/null; bulkhead exec c1 grep -q kept /kept",
    },
    Scenario {
        name: "exec",
        points: &["isolation/src/enter.rs", "exec: "],
        before: "bulkhead run -d --name c1 busybox sleep 1000 >/dev/null
            bulkhead rm -f c2 >/dev/null 2>&1 || true",
        // The supervisor dies, which got its variables at the start.
        script: "bulkhead run -d --name c2 busybox sleep 1000; bulkhead exec c2 true",
        again: "bulkhead exec c1 true; bulkhead start c2 >/dev/null; bulkhead exec c2 true",
    },
    Scenario {
        name: "rename",
        points: &["rename: "],
        before: "bulkhead run -d --name c1 busybox sleep 1000 >/dev/null",
        script: "bulkhead rename c1 c2",
        again: "name=$(bulkhead ps --format '{{.Names}}'); bulkhead exec $name true
            bulkhead rename $name c3; bulkhead exec c3 true; bulkhead exec $name true 2>/dev/null && exit 1; true",
    },
    Scenario {
        name: "update",
        points: &["update: "],
        before: "bulkhead run -d --name c1 busybox sleep 1000 >/dev/null",
        script: "bulkhead update --cpu-shares 512 --restart always c1",
        // The next command that repairs has finished it: record and kernel say the same.
        again: "test $(bulkhead inspect -f '{{.HostConfig.CpuShares}}' c1) = 512
            test \"$(bulkhead run --rm --pid container:c1 busybox true; bulkhead exec c1 cat /sys/fs/cgroup/cpu/cpu.shares 2>/dev/null || echo 512)\" = 512
            kill -9 $(bulkhead inspect -f '{{.State.Pid}}' c1)
            for i in $(seq 500); do bulkhead inspect -f '{{.RestartCount}}' c1 | grep -q 1 && break; sleep 0.01; done
            bulkhead inspect -f '{{.RestartCount}}' c1 | grep -q 1",
    },
    Scenario {
        name: "stop",
        points: &["stop: supervisor reached", "stop: policy told", "stop: asked", "stop: ended"],
        before: "bulkhead run -d --name c1 --restart always busybox sh -c 'trap exit TERM; while :; do sleep 0.01; done' >/dev/null",
        script: "bulkhead stop c1",
        again: "bulkhead stop c1 >/dev/null; test $(bulkhead inspect -f '{{.State.Status}}' c1) = exited
            bulkhead start c1 >/dev/null; bulkhead exec c1 true",
    },
    Scenario {
        name: "end",
        points: &["end: "],
        before: "",
        // What is still in the pipe when the supervisor dies is lost with it.
        script: "bulkhead run --name c1 busybox sh -c 'echo said; sleep 0.2; exit 3'",
        again: "bulkhead logs c1 | grep -q said; bulkhead start c1 >/dev/null; bulkhead wait c1 | grep -q 3",
    },
    Scenario {
        name: "end of a policy",
        points: &["end: seen", "end: status written", "end: told", "again: due", "again: begun"],
        before: "",
        script: "bulkhead run -d --name c1 --restart on-failure:2 busybox false
            for i in $(seq 500); do test -s /run/died && break; sleep 0.01; done",
        again: "for i in $(seq 500); do bulkhead inspect -f '{{.State.Status}}' c1 | grep -q exited && break; sleep 0.01; done
            bulkhead inspect -f '{{.State.Status}}' c1 | grep -q exited",
    },
    Scenario {
        name: "given up",
        points: &["again: given up"],
        before: "",
        script: "bulkhead run -d --name c1 --restart always busybox false
            for i in $(seq 500); do bulkhead ps | grep -q Restarting && break; sleep 0.01; done
            bulkhead stop c1",
        again: "bulkhead stop c1 >/dev/null; bulkhead inspect -f '{{.State.Status}}' c1 | grep -q exited",
    },
    Scenario {
        name: "bury",
        points: &["bury: "],
        before: "bulkhead run -d --name c1 busybox sleep 1000 >/dev/null
            kill -9 $(sed 's/.*\"supervisor\":{\"pid\":\\([0-9]*\\).*/\\1/' /var/lib/bulkhead/containers/*/status.json)
            sleep 0.05",
        script: "bulkhead ps -a",
        again: "bulkhead inspect -f '{{.State.Status}} {{.State.ExitCode}}' c1 | grep -q 'exited 137'
            bulkhead start c1 >/dev/null; bulkhead exec c1 true",
    },
    Scenario {
        name: "rm",
        points: &["remove: "],
        before: "bulkhead run -d --name c1 -v /data busybox sleep 1000 >/dev/null",
        script: "bulkhead rm -f -v c1",
        again: "bulkhead rm -f -v c1 >/dev/null 2>&1; bulkhead run -d --name c1 busybox sleep 1000 >/dev/null",
    },
    Scenario {
        name: "run --rm",
        points: &["remove: ", "end: "],
        before: "",
        script: "bulkhead run --rm --name c1 -v /data busybox true",
        again: "bulkhead run --rm --name c1 -v /data busybox true; bulkhead ps -aq | grep . && exit 1; true",
    },
    Scenario {
        name: "volume create",
        points: &["volume create: "],
        before: "",
        script: "bulkhead volume create v1",
        again: "bulkhead volume create v1; bulkhead run --rm -v v1:/v busybox touch /v/file",
    },
    Scenario {
        name: "volume rm",
        points: &["volume rm: "],
        before: "bulkhead volume create v1; bulkhead run --rm -v v1:/v busybox touch /v/file",
        script: "bulkhead volume rm v1",
        // Gone, or there with what was in it, and then it can be removed; one of that name made later is empty.
        again: "bulkhead volume rm -f v1; bulkhead run --rm -v v1:/v busybox sh -c 'test -z \"$(ls /v)\"'",
    },
    Scenario {
        name: "network create",
        points: &["network create: "],
        before: "bulkhead network rm -f shop",
        script: "bulkhead network create --ipv6 shop",
        again: "bulkhead network create --ipv6 shop >/dev/null 2>&1 || true
            bulkhead run --rm --network shop busybox true; bulkhead network rm shop >/dev/null",
    },
    Scenario {
        name: "network rm",
        points: &["network rm: "],
        before: "bulkhead network create shop >/dev/null; bulkhead run --rm --network shop busybox true",
        script: "bulkhead network rm shop",
        // Its link and its place in the firewall are cleared away by whoever comes next.
        again: "bulkhead network rm -f shop >/dev/null; test -z \"$(ls /sys/class/net | grep ^bh- || true)\"
            nft list ruleset | grep bh- && exit 1
            bulkhead network create shop >/dev/null; bulkhead run --rm --network shop busybox true; bulkhead network rm shop >/dev/null",
    },
    Scenario {
        name: "flushed firewall",
        points: &["network: "],
        before: "bulkhead run -d --name c1 busybox sleep 1000 >/dev/null; nft delete table bridge bulkhead; nft delete table inet bulkhead",
        script: "bulkhead run --rm busybox true",
        // What runs sends again as soon as anybody else starts.
        again: "bulkhead run --rm busybox true; bulkhead exec c1 ping -c1 -W3 172.17.0.1 >/dev/null
            bulkhead rm -f c1 >/dev/null",
    },
    Scenario {
        name: "publish",
        points: &["publish: port bound", "publish: written", "publish: admitted", "connect: newborn attached"],
        before: "bulkhead network inspect six >/dev/null 2>&1 || bulkhead network create --ipv6 six >/dev/null",
        script: "bulkhead run -d --name c1 --network six -p 8080:80 -p 53/udp busybox sleep 1000",
        again: PUBLISH_AGAIN,
    },
    Scenario {
        name: "end of what is published",
        points: &["publish: taken out of the firewall", "publish: ports given back", "publish: gone"],
        before: "bulkhead network inspect six >/dev/null 2>&1 || bulkhead network create --ipv6 six >/dev/null",
        script: "bulkhead run --rm --name c1 --network six -p 8080:80 -p 53/udp busybox true",
        again: PUBLISH_AGAIN,
    },
    Scenario {
        name: "ports of the dead",
        points: &["publish: dismissed", "bury: networks forgotten"],
        before: "bulkhead run -d --name c1 -p 8080:80 busybox sleep 1000 >/dev/null
            kill -9 $(sed 's/.*\"supervisor\":{\"pid\":\\([0-9]*\\).*/\\1/' /var/lib/bulkhead/containers/*/status.json)
            sleep 0.05",
        script: "bulkhead ps -a",
        again: "bulkhead network inspect six >/dev/null 2>&1 || bulkhead network create --ipv6 six >/dev/null
            bulkhead rm -f c1 >/dev/null; bulkhead run -d --name c1 --network six -p 8080:80 busybox sleep 1000 >/dev/null",
    },
    Scenario {
        name: "connect",
        points: &["connect: place taken", "connect: link there", "connect: joined", "connect: attached", "connect: admitted", "connect: routed"],
        before: CONNECT_BEFORE,
        script: "bulkhead network connect alpha c1
            # A supervisor dies only if it was born to.
            bulkhead run -d --name c2 --network web busybox sleep 1000; bulkhead network connect alpha c2",
        again: CONNECT_AGAIN,
    },
    Scenario {
        name: "connect in vain",
        points: &["connect: link taken back"],
        before: CONNECT_BEFORE,
        // The link's name is taken.
        script: "nsenter -t $(bulkhead inspect -f '{{.State.Pid}}' c1) -n ip link add eth1 type veth peer name eth9
            bulkhead network connect alpha c1",
        again: "nsenter -t $(bulkhead inspect -f '{{.State.Pid}}' c1) -n ip link del eth1; bulkhead run --rm busybox true
            bulkhead network connect alpha c1; bulkhead exec c1 ip addr show eth1 | grep -q inet",
    },
    Scenario {
        name: "changes of what is published",
        points: &["publish: changed ones dismissed", "publish: changes written"],
        before: CONNECT_BEFORE,
        script: "bulkhead run -d --name c2 --network web --network alpha -p 8080:80 busybox sleep 1000
            bulkhead network disconnect alpha c2; bulkhead network disconnect web c2",
        again: CONNECT_AGAIN,
    },
    Scenario {
        name: "disconnect",
        points: &["disconnect: "],
        before: CONNECT_BEFORE,
        script: "bulkhead network connect alpha c1; bulkhead network disconnect alpha c1
            bulkhead run -d --name c2 --network web --network alpha busybox sleep 1000; bulkhead network disconnect alpha c2",
        again: CONNECT_AGAIN,
    },
    Scenario {
        name: "pull",
        points: &["pull: "],
        before: "printf 'version: 0.1\\nlog: {level: error}\\nstorage: {filesystem: {rootdirectory: /run/registry}}\\nhttp: {addr: \"127.0.0.1:5000\", secret: x}\\n' > /run/registry.yml
            docker-registry serve /run/registry.yml >/dev/null 2>&1 </dev/null &
            echo $! > /run/registry.pid
            for i in $(seq 200); do curl -s -o /dev/null http://127.0.0.1:5000/v2/ && break; sleep 0.02; done
            bulkhead tag busybox 127.0.0.1:5000/busybox; bulkhead push -q 127.0.0.1:5000/busybox >/dev/null
            bulkhead rmi -f $(bulkhead images -q busybox) >/dev/null",
        script: "bulkhead pull -q 127.0.0.1:5000/busybox",
        again: "bulkhead pull -q 127.0.0.1:5000/busybox; bulkhead run --rm 127.0.0.1:5000/busybox true
            bulkhead tag 127.0.0.1:5000/busybox busybox; kill $(cat /run/registry.pid)",
    },
    Scenario {
        name: "load",
        points: &["load: "],
        before: "bulkhead rmi busybox >/dev/null",
        script: "bulkhead load -q -i /run/host/images/busybox.*.tar",
        again: "bulkhead load -q -i /run/host/images/busybox.*.tar; bulkhead run --rm busybox true",
    },
    Scenario {
        name: "import",
        points: &["import: "],
        before: "",
        script: "tar -cf - -C / etc/hostname | bulkhead import - made:1",
        again: "tar -cf - -C / etc/hostname | bulkhead import - made:1; bulkhead rmi made:1; bulkhead images -q made | grep . && exit 1; true",
    },
    Scenario {
        name: "commit",
        points: &["commit: "],
        before: "bulkhead run -d --name c1 busybox sh -c 'echo made > /made; sleep 1000' >/dev/null
            for i in $(seq 500); do bulkhead exec c1 test -s /made && break; sleep 0.01; done",
        script: "bulkhead commit c1 made:1",
        // One that was killed in between may have left it frozen; its files are as they were.
        again: "bulkhead unpause c1 >/dev/null 2>&1 || true
            bulkhead exec c1 grep -q made /made
            bulkhead commit c1 made:1 >/dev/null; test $(bulkhead run --rm made:1 cat /made) = made; bulkhead rmi made:1 >/dev/null",
    },
    Scenario {
        name: "rmi",
        points: &["rmi: "],
        before: "",
        script: "bulkhead rmi busybox",
        again: "bulkhead load -q -i /run/host/images/busybox.*.tar; bulkhead run --rm busybox true",
    },
];
