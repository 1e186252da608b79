//! `info`: what this engine and this machine are, in Docker's form.

use bollard_stubs::models::{SystemInfo, SystemInfoCgroupVersionEnum};
use bulkhead_isolation::capabilities::{Set, bounding_set};
use bulkhead_isolation::cgroups::layout::Layout;

use crate::config::Config;
use crate::error::Result;
use crate::store::{containers, id_ranges, images};
use crate::users::pool::SLOT;
use crate::{Condition, Engine};

impl Engine {
    /// Everything that can be said.
    ///
    /// # Errors
    /// The database's.
    pub fn info(&self) -> Result<SystemInfo> {
        let (mut running, mut paused, mut stopped) = (0, 0, 0);
        for container in containers::all(self.store.read())? {
            match self.condition(&container)? {
                condition if condition.word() == "paused" => paused += 1,
                Condition::Running(_) | Condition::Restarting(_) => running += 1,
                _ => stopped += 1,
            }
        }
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
            server_version: Some(env!("CARGO_PKG_VERSION").into()),
            driver: Some("overlay2".into()),
            driver_status: Some(self.storage()?),
            logging_driver: Some(Config::load()?.log_driver.unwrap_or_else(|| "json-file".into())),
            cgroup_version: Layout::detect().ok().map(|layout| match layout.version() {
                "2" => SystemInfoCgroupVersionEnum::_2,
                _ => SystemInfoCgroupVersionEnum::_1,
            }),
            security_options: Some(vec![
                "name=seccomp,profile=builtin".into(),
                "name=userns".into(),
                "name=cgroupns".into(),
            ]),
            kernel_version: text(system.release()),
            operating_system: Some(operating_system()),
            os_type: Some("linux".into()),
            architecture: text(system.machine()),
            ncpu: i64::try_from(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)).ok(),
            mem_total: Some(pages.saturating_mul(unit)),
            name: text(system.nodename()),
            docker_root_dir: Some(self.roots.root.to_string_lossy().into_owned()),
            warnings: Some(warnings(self.look_at_id_mapping()?.0.no_mapped_layers())),
            ..SystemInfo::default()
        })
    }
}

impl Engine {
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
            line(
                "User namespaces",
                config.userns_remap.map_or("auto".into(), |spec| format!("userns-remap={spec}")),
            ),
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

/// PRETTY_NAME of os-release(5).
fn operating_system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".into(), |name| name.trim_matches('"').to_owned())
}

/// What this machine cannot do, a sentence each.
fn warnings(no_mapped_layers: Option<&str>) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(why) = no_mapped_layers {
        all.push(format!(
            "No ID-mapped mounts of layers ({why}): each is copied once per ID range, which takes time and space"
        ));
    }
    if let Ok(layout) = Layout::detect()
        && !layout.has("memory", "memory.memsw.limit_in_bytes")
    {
        all.push("No swap limit support".into());
    }
    if !Set::named("SYS_RESOURCE").is_some_and(|one| bounding_set().has(one)) {
        all.push("This engine lacks CAP_SYS_RESOURCE: it cannot raise resource limits above its own".into());
    }
    all
}
