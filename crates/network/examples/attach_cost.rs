//! What attaching a container and publishing a port cost: `cargo run --release -p bulkhead-network --example attach_cost [TIMES] [PAUSE_MS]`.
//!
//! It makes a host's namespace of its own, and attaches one fresh namespace after the other to a bridge in it, with a
//! pause between (back to back, the kernel's waits for grace periods of the last one would be measured with the next).
//! Needs root.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_network::bridge::{self, Bridge, Policy};
use bulkhead_network::endpoint::{self, Endpoint, Uplink};
use bulkhead_network::firewall::{self, Presence, Protocol, PublishedPort};
use bulkhead_network::mac;
use rustix::fs::{Mode, OFlags};
use rustix::thread::UnshareFlags;

type Failure = Box<dyn std::error::Error + Send + Sync>;

// Deprecated is only its use with flags of what threads share (CLONE_FILES).
#[expect(deprecated)]
fn new_namespace() -> Result<(), Failure> {
    Ok(rustix::thread::unshare(UnshareFlags::NEWNET)?)
}

fn container() -> Result<OwnedFd, Failure> {
    let made = thread::spawn(|| -> Result<OwnedFd, Failure> {
        new_namespace()?;
        Ok(rustix::fs::open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    });
    made.join().map_err(|_| "the thread that makes a namespace panicked")?
}

fn port(to: Ipv4Addr, port: u16) -> PublishedPort {
    let to = SocketAddr::new(to.into(), 80);
    PublishedPort { address: Ipv4Addr::UNSPECIFIED.into(), port, protocol: Protocol::Tcp, to }
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).unwrap_or(&Duration::ZERO).as_micros();
    println!("{what:<24} median {:>6} µs   p10 {:>6}   p90 {:>6}", at(50), at(10), at(90));
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let times: u32 = arguments.next().map_or(Ok(200), |text| text.parse())?;
    let pause = Duration::from_millis(arguments.next().map_or(Ok(300), |text| text.parse())?);

    new_namespace()?;
    let gateway = Ipv4Addr::new(10, 77, 0, 1);
    let bridge = Bridge {
        name: "bhcost".to_owned(),
        addresses: vec!["10.77.0.1/16".parse()?],
        mtu: 1500,
        policy: Policy::default(),
    };
    let _ = bridge::ensure(&bridge)?;
    let [
        mut ensured,
        mut again,
        mut checked,
        mut attached,
        mut loopback,
        mut admitted,
        mut published,
        mut thousandth,
        mut dismissed,
    ] = [const { Vec::new() }; 9];
    let many = Presence {
        senders: Vec::new(),
        ports: (0..1000).map(|number| port(gateway, 20_000 + number)).collect(),
    };
    let time = |what: &mut dyn FnMut() -> Result<(), bulkhead_network::Error>| -> Result<Duration, Failure> {
        let start = Instant::now();
        what()?;
        Ok(start.elapsed())
    };
    for number in 0..times {
        let address = Ipv4Addr::from_bits(gateway.to_bits() + 1 + number);
        let place = Endpoint {
            uplink: Uplink::Bridge {
                name: bridge.name.clone(),
                host_link: endpoint::host_link_name(
                    &format!("{number:064x}").chars().rev().collect::<String>(),
                ),
                isolated: false,
            },
            container_link: "eth0".to_owned(),
            mac: mac::of_address(address),
            addresses: vec![ipnet::Ipv4Net::new(address, 16)?.into()],
            gateways: vec![gateway.into()],
            mtu: 1500,
        };
        let (netns, alone) = (container()?, container()?);
        thread::sleep(pause);

        ensured.push(time(&mut || bridge::ensure(&bridge).map(drop))?);
        again.push(time(&mut || bridge::ensure(&bridge).map(drop))?);
        checked.push(time(&mut || firewall::ensure(&[&bridge]).map(drop))?);
        attached.push(time(&mut || endpoint::attach(netns.as_fd(), &place))?);
        loopback.push(time(&mut || endpoint::loopback_up(alone.as_fd()))?);
        thread::sleep(pause);
        let mut presence = Presence { senders: place.senders(), ports: Vec::new() };
        admitted.push(time(&mut || firewall::admit(&presence))?);
        firewall::dismiss(&presence)?;
        presence.ports.push(port(address, 8080));
        thread::sleep(pause);
        published.push(time(&mut || firewall::admit(&presence))?);
        thread::sleep(pause);
        dismissed.push(time(&mut || firewall::dismiss(&presence))?);
        firewall::admit(&many)?;
        thread::sleep(pause);
        thousandth.push(time(&mut || firewall::admit(&presence))?);
        firewall::dismiss(&presence)?;
        firewall::dismiss(&many)?;
    }
    report("bridge::ensure, standing", ensured);
    report("the same again, warm", again);
    report("firewall::ensure, warm", checked);
    report("endpoint::attach", attached);
    report("endpoint::loopback_up", loopback);
    report("admit, no port", admitted);
    report("admit, the 1st port", published);
    report("admit, the 1001st port", thousandth);
    report("dismiss", dismissed);
    Ok(())
}
