//! The engines that the benches compare: ours, and those with Docker's command line that are installed.

use crate::images::{self, Image};
use crate::{Host, wait};

/// An engine with Docker's command line, and how much memory of its own to count.
#[derive(Debug)]
pub struct Engine {
    /// What the table calls it.
    pub name: &'static str,
    /// Its command.
    pub command: &'static str,
    /// Its processes, by name, for the memory that a container costs.
    pub processes: &'static [&'static str],
}

/// Ours is the first: ratios are to it.
const ENGINES: [Engine; 3] = [
    Engine { name: "bulkhead", command: "bulkhead", processes: &["bulkhead-supervisor", "bulkhead"] },
    Engine {
        name: "docker",
        command: "docker",
        processes: &["dockerd", "containerd", "containerd-shim-runc-v2", "containerd-shim", "docker-proxy"],
    },
    Engine { name: "podman", command: "podman", processes: &["conmon", "podman", "aardvark-dns"] },
];

/// Ours, and the peers that the command line names; all of them, if it names none.
#[must_use]
pub fn wanted() -> Vec<&'static Engine> {
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |engine: &&Engine| {
        named.is_empty() || engine.name == "bulkhead" || named.iter().any(|name| name == engine.name)
    };
    ENGINES.iter().filter(wanted).collect()
}

impl Engine {
    /// Brings a peer up on the host, with its defaults, and says whether it came. Its stores are on tmpfs, as ours are.
    #[must_use]
    pub fn start(&self, host: &Host) -> bool {
        let script = match self.name {
            "bulkhead" => return true,
            "docker" => {
                "command -v dockerd docker >/dev/null; mkdir -p /run/peer /var/lib/docker; mount -t tmpfs none /var/lib/docker
                 setsid dockerd --exec-root /run/peer/exec -p /run/peer/pid -H unix:///var/run/docker.sock </dev/null >/tmp/dockerd.log 2>&1 &
                 for i in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep 0.1; done; docker version"
            }
            _ => {
                "command -v podman >/dev/null; mkdir -p /etc/containers /var/lib/containers; mount -t tmpfs none /var/lib/containers
                 printf '[containers]\\ndefault_ulimits=[\"nofile=20000:20000\",\"nproc=32768:32768\"]\\n[engine]\\nruntime=\"runc\"\\n' > /etc/containers/containers.conf
                 podman version"
            }
        };
        let up = host.sh(script).run().code() == 0;
        if !up {
            println!(
                "{}: not installed, or it does not come up here: `make bench-peers` installs it",
                self.name
            );
        }
        up
    }

    /// Loads a test image.
    pub fn load(&self, host: &Host, image: Image) {
        images::make(image);
        host.sh(&format!("{} load -q -i {}", self.command, image.on_host())).run().succeeds();
    }

    /// The memory of the engine's processes on the host in KiB (PSS).
    #[must_use]
    pub fn memory(&self, host: &Host) -> f64 {
        crate::measure::figure(host, &format!("/run/host/test-host pss {}", self.processes.join(" ")))
    }

    /// Ends what [`start`](Self::start) started.
    pub fn end(&self, host: &Host) {
        if self.name == "docker" {
            host.sh("kill $(cat /run/peer/pid)").run();
            wait::until("dockerd has ended", || host.sh("pgrep -x dockerd || true").stdout().is_empty());
        }
    }
}
