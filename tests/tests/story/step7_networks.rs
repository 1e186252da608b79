//! Each container has its own network: three real web servers on port 80 at once, beside the host's own.

use bulkhead_tests::{Host, images::Image, wait};

/// As the image's own command, with a page that says who serves it.
const SERVE: &str = "hostname > /var/www/html/index.html; . /etc/apache2/envvars; mkdir -p /run/apache2; \
                     exec apache2 -DFOREGROUND";
const ADDRESS: &str = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";

/// Serves `the host` on the host's own port 80, until the host ends.
fn serve_on_host(host: &Host) {
    host.sh("mkdir /tmp/www; echo the host > /tmp/www/index.html; busybox httpd -p 80 -h /tmp/www")
        .prints("");
}

fn fetch(host: &Host, address: &str) -> String {
    let command =
        format!("curl -sS --max-time 5 --retry 50 --retry-delay 1 --retry-connrefused http://{address}/");
    host.sh(&command).stdout()
}

#[test]
fn three_apaches_and_the_host_each_on_port_80() {
    let host = Host::new("step7").with(Image::Apache);
    serve_on_host(&host);
    let names = ["web1", "web2", "web3"];
    for name in names {
        host.run_detached(["--name", name, "--hostname", name, "debian-apache", "sh", "-c", SERVE]);
    }
    let addresses = names.map(|name| host.inspect(name, ADDRESS));
    for (name, address) in names.iter().zip(&addresses) {
        wait::until("Apache serves", || {
            host.sh(&format!("curl -s --max-time 5 http://{address}/ || true")).stdout() == *name
        });
        // …from each neighbour, itself included.
        for from in names {
            host.bulkhead(["exec", from, "curl", "-sS", "--max-time", "5", &format!("http://{address}/")])
                .prints(name);
        }
    }
    assert_eq!(fetch(&host, "127.0.0.1"), "the host");

    // Joined: the same address, the same loopback.
    let curl = ["debian-apache", "curl", "-sS", "--max-time", "5", "http://127.0.0.1/"];
    let run = |network: &str| host.bulkhead(["run", "--rm", network].into_iter().chain(curl));
    run("--network=container:web2").prints("web2");
    run("--network=host").prints("the host");
    run("--network=none").fails(7, "connect");
    run("--network=bridge").fails(7, "connect");
    for name in names {
        // Its StopSignal is Apache's for a graceful end.
        host.bulkhead(["stop", name]).prints(name);
        assert_eq!(host.inspect(name, "{{.State.ExitCode}}"), "0");
    }
    host.sh("pkill -x busybox").prints("");
    host.finish();
}

#[test]
fn which_links_a_container_has() {
    let host = Host::new("step7-links").with_busybox();
    let links =
        |network: &str| host.bulkhead(["run", "--rm", network, "busybox", "ls", "/sys/class/net"]).stdout();
    assert_eq!(links("--network=none"), "lo");
    assert_eq!(links("--network=bridge"), "eth0\nlo");
    host.sh("ip link add test-a type veth peer name test-b").prints("");
    assert!(links("--network=host").contains("test-a"));
    assert!(!links("--network=bridge").contains("test-a"));
    let join = ["run", "--rm", "--network=container:nobody", "busybox", "true"];
    host.bulkhead(join).fails(125, "No such container: nobody");
    host.bulkhead(["create", "--name", "stopped", "busybox"]).run().succeeds();
    host.bulkhead(["run", "--rm", "--network=container:stopped", "busybox", "true"]).fails(125, "running");
    host.bulkhead(["run", "--rm", "--network=nowhere", "busybox", "true"])
        .fails(125, "network nowhere not found");
    host.finish();
}

#[test]
fn addresses_differ_and_are_given_back() {
    let host = Host::new("step7-addresses").with_busybox();
    let ids: Vec<String> = (0..5).map(|_| host.run_detached(["busybox", "sleep", "1000"])).collect();
    let mut addresses: Vec<String> = ids.iter().map(|id| host.inspect(id, ADDRESS)).collect();
    for (id, address) in ids.iter().zip(&addresses) {
        let own = host.bulkhead(["exec", id, "ip", "-4", "-o", "addr", "show", "eth0"]).stdout();
        assert!(own.contains(&format!(" {address}/")), "{own}");
        host.bulkhead(["exec", id, "grep", "-c", &format!("^{address}\t{}", &id[..12]), "/etc/hosts"])
            .prints("1");
    }
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 5);
    let gateway = host.inspect(&ids[0], "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}");
    let route = host.bulkhead(["exec", &ids[0], "ip", "route"]).stdout();
    assert!(route.contains(&format!("default via {gateway} dev eth0")), "{route}");
    host.bulkhead(["exec", &ids[0], "ping", "-c1", "-W5", &addresses[4]]).run().succeeds();
    host.bulkhead(["exec", &ids[0], "ping", "-c1", "-W5", &gateway]).run().succeeds();
    host.finish();
}

#[test]
fn outward_a_container_has_the_hosts_address() {
    let host = Host::new("step7-outward").with_busybox();
    // A machine outside, which knows the host and has no way back to the container's own address.
    host.sh("mkfifo /tmp/hold; ip link add test-a type veth peer name test-b
        unshare --net sh -c 'cat /tmp/hold' </dev/null >/dev/null 2>&1 & outside=$!; echo $outside > /tmp/outside
        until [ \"$(readlink /proc/$outside/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.01; done
        ip link set test-b netns $outside; ip addr add 192.0.2.1/24 dev test-a; ip link set test-a up
        nsenter -t $outside -n sh -c 'ip addr add 192.0.2.2/24 dev test-b; ip link set test-b up; ip link set lo up
        echo outside > /tmp/index.html; busybox httpd -p 80 -h /tmp'")
        .prints("");
    let ask = "printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' | nc -w 5 192.0.2.2 80 | tail -n1";
    host.bulkhead(["run", "--rm", "busybox", "sh", "-c", ask]).prints("outside");
    host.bulkhead(["run", "--rm", "busybox", "ping", "-c1", "-W5", "192.0.2.2"]).run().succeeds();
    // It cannot be reached from there.
    let id = host.run_detached(["busybox", "sleep", "1000"]);
    let address = host.inspect(&id, ADDRESS);
    host.sh(&format!("! nsenter -t $(cat /tmp/outside) -n ping -c1 -W1 {address} >/dev/null 2>&1"))
        .prints("");
    host.sh("pkill -x busybox; kill $(cat /tmp/outside) || true; pkill -x cat || true").prints("");
    host.finish();
}

#[test]
fn the_files_that_name_things() {
    let host = Host::new("step7-files").with_busybox();
    host.sh("printf 'nameserver 192.0.2.53\\nsearch example.test\\n' > /etc/resolv.conf").prints("");
    let cat = |flags: &[&str], file: &str| {
        let run = ["run", "--rm"].into_iter().chain(flags.iter().copied());
        host.bulkhead(run.chain(["busybox", "cat", file])).stdout()
    };
    let resolv = cat(&[], "/etc/resolv.conf");
    assert!(resolv.contains("nameserver 192.0.2.53") && resolv.contains("search example.test"), "{resolv}");
    let resolv =
        cat(&["--dns=192.0.2.7", "--dns-search=other.test", "--dns-option=ndots:2"], "/etc/resolv.conf");
    assert!(resolv.contains("nameserver 192.0.2.7") && !resolv.contains("192.0.2.53"), "{resolv}");
    assert!(resolv.contains("search other.test") && resolv.contains("options ndots:2"), "{resolv}");
    let hosts = cat(&["--add-host=db:192.0.2.9"], "/etc/hosts");
    assert!(hosts.contains("192.0.2.9\tdb") && hosts.contains("127.0.0.1\tlocalhost"), "{hosts}");
    // With the host's network: the host's own.
    let hosts = cat(&["--network=host"], "/etc/hosts");
    assert!(hosts.contains("localhost"), "{hosts}");
    host.finish_clean();
}
