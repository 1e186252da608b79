//! `info`: what this engine and this machine are, in Docker's form.

mod machine;

use std::collections::HashMap;

use bollard_stubs::models::{
    Commit, FirewallInfo, IndexInfo, LocalNodeState, PluginsInfo, RegistryServiceConfig, Runtime, SwarmInfo,
    SystemInfo, SystemInfoCgroupDriverEnum, SystemInfoCgroupVersionEnum, SystemInfoIsolationEnum,
};
use bulkhead_isolation::cgroups::layout::Layout;
use ipnet::IpNet;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::Config;
use crate::error::Result;
use crate::store::{containers, id_ranges, images, settings};
use crate::users::pool::SLOT;
use crate::{Condition, Engine, UsualUsers, id};
use machine::Limits;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What `--runtime` knows.
const RUNTIME: &str = "bulkhead";
/// The setting that holds the engine's ID.
const ID: &str = "engine ID";

impl Engine {
    /// Everything that can be said.
    ///
    /// # Errors
    /// The database's.
    pub fn info(&mut self) -> Result<SystemInfo> {
        let (mut running, mut paused, mut stopped) = (0, 0, 0);
        for container in containers::all(self.store.read())? {
            match self.condition(&container)? {
                condition if condition.word() == "paused" => paused += 1,
                Condition::Running(_) | Condition::Restarting(_) => running += 1,
                _ => stopped += 1,
            }
        }
        let config = Config::load()?;
        let layout = Layout::detect().ok();
        let limits = layout.as_ref().map(Limits::of).unwrap_or_default();
        let supervisor = Runtime {
            path: Some(self.programs.supervisor.to_string_lossy().into_owned()),
            ..Runtime::default()
        };
        let system = rustix::system::uname();
        let text = |text: &std::ffi::CStr| Some(text.to_string_lossy().into_owned());
        let pages = i64::try_from(rustix::system::sysinfo().totalram).unwrap_or(0);
        let unit = i64::from(rustix::system::sysinfo().mem_unit);
        Ok(SystemInfo {
            containers: Some(running + paused + stopped),
            containers_running: Some(running),
            containers_paused: Some(paused),
            containers_stopped: Some(stopped),
            images: i64::try_from(images::all(self.store.read())?.len()).ok(),
            id: Some(self.engine_id()?),
            driver: Some("overlay2".into()),
            driver_status: Some(self.storage()?),
            docker_root_dir: Some(self.roots.root.to_string_lossy().into_owned()),
            plugins: Some(plugins()),
            memory_limit: Some(limits.memory),
            swap_limit: Some(limits.swap),
            cpu_cfs_period: Some(limits.cpu_period),
            cpu_cfs_quota: Some(limits.cpu_quota),
            cpu_shares: Some(limits.cpu_shares),
            cpu_set: Some(limits.cpuset),
            pids_limit: Some(limits.pids),
            oom_kill_disable: Some(limits.oom_kill_disable),
            ipv4_forwarding: Some(machine::forwards_ipv4()),
            debug: Some(false),
            system_time: OffsetDateTime::now_utc().format(&Rfc3339).ok(),
            logging_driver: Some(config.log_driver.clone().unwrap_or_else(|| "json-file".into())),
            cgroup_driver: Some(SystemInfoCgroupDriverEnum::CGROUPFS),
            cgroup_version: layout.map(|layout| match layout.version() {
                "2" => SystemInfoCgroupVersionEnum::_2,
                _ => SystemInfoCgroupVersionEnum::_1,
            }),
            security_options: Some(self.security_options()),
            kernel_version: text(system.release()),
            operating_system: Some(machine::os_release("PRETTY_NAME").unwrap_or_else(|| "Linux".into())),
            os_version: machine::os_release("VERSION_ID"),
            os_type: Some("linux".into()),
            architecture: text(system.machine()),
            ncpu: i64::try_from(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)).ok(),
            mem_total: Some(pages.saturating_mul(unit)),
            index_server_address: Some("https://index.docker.io/v1/".into()),
            registry_config: Some(registries(&config)),
            http_proxy: proxy("HTTP_PROXY"),
            https_proxy: proxy("HTTPS_PROXY"),
            no_proxy: proxy("NO_PROXY"),
            name: text(system.nodename()),
            labels: Some(Vec::new()),
            experimental_build: Some(false),
            server_version: Some(VERSION.into()),
            runtimes: Some(HashMap::from([(RUNTIME.to_owned(), supervisor)])),
            default_runtime: Some(RUNTIME.into()),
            swarm: Some(SwarmInfo {
                local_node_state: Some(LocalNodeState::INACTIVE),
                control_available: Some(false),
                ..SwarmInfo::default()
            }),
            // Nothing that could end is needed for containers to live on.
            live_restore_enabled: Some(true),
            isolation: Some(SystemInfoIsolationEnum::EMPTY),
            init_binary: Some(self.init().to_string_lossy().into_owned()),
            init_commit: Some(Commit { id: Some(VERSION.into()) }),
            // There are none of these here, which Docker tells so.
            containerd_commit: Some(Commit { id: Some("N/A".into()) }),
            runc_commit: Some(Commit { id: Some("N/A".into()) }),
            firewall_backend: Some(FirewallInfo { driver: Some("nftables".into()), info: None }),
            warnings: Some(machine::warnings(&limits, self.look_at_id_mapping()?.0.no_mapped_layers())),
            ..SystemInfo::default()
        })
    }

    /// By which this engine is told from others, for good.
    fn engine_id(&mut self) -> Result<String> {
        if let Some(known) = settings::get(self.store.read(), ID)? {
            return Ok(known);
        }
        let digits = id::random();
        let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
        // As a UUID of version 4 (RFC 9562), which is what Docker has.
        let new = [
            part(0, 8),
            part(8, 12),
            &format!("4{}", part(12, 15)),
            &format!("8{}", part(15, 18)),
            part(18, 30),
        ]
        .join("-");
        self.store.write(|transaction| match settings::get(transaction, ID)? {
            Some(known) => Ok(known),
            None => settings::set(transaction, ID, &new).map(|()| new.clone()),
        })
    }
}

/// What there is to choose from.
fn plugins() -> PluginsInfo {
    let names = |all: &[&str]| Some(all.iter().map(|name| (*name).to_owned()).collect());
    PluginsInfo {
        volume: names(&["local"]),
        network: names(&["bridge", "host", "macvlan", "null"]),
        log: names(&["journald", "json-file", "local", "none", "syslog"]),
        authorization: None,
    }
}

/// What the machine's settings say of registries.
fn registries(config: &Config) -> RegistryServiceConfig {
    let (networks, hosts): (Vec<String>, Vec<String>) =
        config.insecure_registries.iter().cloned().partition(|one| one.parse::<IpNet>().is_ok());
    let index = |name: &str, mirrors: &[String], official: bool| IndexInfo {
        name: Some(name.to_owned()),
        mirrors: Some(mirrors.to_vec()),
        secure: Some(official),
        official: Some(official),
    };
    let mut indexes =
        HashMap::from([("docker.io".into(), index("docker.io", &config.registry_mirrors, true))]);
    indexes.extend(hosts.into_iter().map(|host| (host.clone(), index(&host, &[], false))));
    let loopback = ["::1/128", "127.0.0.0/8"].map(str::to_owned);
    RegistryServiceConfig {
        insecure_registry_cidrs: Some(loopback.into_iter().chain(networks).collect()),
        index_configs: Some(indexes),
        mirrors: Some(config.registry_mirrors.clone()),
    }
}

/// A proxy of this process, without a password that may be in it.
fn proxy(name: &str) -> Option<String> {
    let text = std::env::var(name).or_else(|_| std::env::var(name.to_ascii_lowercase())).ok()?;
    Some(match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://xxxxx:xxxxx@{host}"),
        (None, Some((_, host))) => format!("xxxxx:xxxxx@{host}"),
        _ => text,
    })
}

impl Engine {
    /// What containers are shut in by that ask for nothing in particular.
    fn security_options(&self) -> Vec<String> {
        let mut options = vec!["name=seccomp,profile=builtin".to_owned()];
        if self.usual_users != UsualUsers::Host {
            options.push("name=userns".into());
        }
        options.push("name=cgroupns".into());
        options
    }

    fn usual_words(&self, configured: Option<&str>) -> String {
        let remap = match &self.usual_users {
            UsualUsers::Host => return "host".into(),
            UsualUsers::Own => None,
            UsualUsers::AsConfigured => configured,
            UsualUsers::Remap(spec) => Some(spec.as_str()),
        };
        remap.map_or("auto".into(), |spec| format!("userns-remap={spec}"))
    }

    /// What there is to know about where files are, and with which IDs.
    fn storage(&self) -> Result<Vec<Vec<String>>> {
        let (config, connection) = (Config::load()?, self.store.read());
        let line = |key: &str, value: String| vec![key.to_owned(), value];
        let pool = config.pool.here();
        let held = match id_ranges::count(connection)? {
            (held, 0) => held.to_string(),
            (held, kept) => {
                format!("{held}, of which {kept} for good, since files elsewhere may have these IDs")
            }
        };
        let mut lines = vec![
            line("User namespaces", self.usual_words(config.userns_remap.as_deref())),
            line("ID pool", format!("{}-{}", pool.first, pool.last)),
            line("ID ranges held", held),
        ];
        if let Some(own) = id_ranges::known_own(connection)? {
            let range = |first: u32| format!("{first}-{}", first.saturating_add(SLOT - 1));
            lines.push(line("IDs on disk in volumes", range(own.volumes())));
            lines.push(line("IDs on disk in binds", range(own.binds())));
        }
        lines.push(line("ID-mapped mounts", self.look_at_id_mapping()?.0.in_words()));
        Ok(lines)
    }
}
