//! The flags that make a container, and what they mean: a request in Docker's own form, as the engine and the
//! API take it.

mod accepted;
pub(crate) mod docker;
mod flags;
pub(crate) mod lasting;
mod lists;
mod mount_flag;
pub(crate) mod networks;
mod ports;

use std::collections::HashMap;

use bulkhead_engine::models::{
    ContainerCreateBody, DeviceMapping, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
};
use bulkhead_engine::spec::mount_ids;
use bulkhead_engine::spec::namespaces::{TIME_BOOTTIME, TIME_MONOTONIC};

use crate::failure::Failure;

pub(crate) use flags::CreateFlags;
pub(crate) use lists::{labels, nano_cpus, variables};

impl CreateFlags {
    /// The request; `detached` says whether nobody is attached from the start.
    pub(crate) fn request(&self, detached: bool) -> Result<ContainerCreateBody, Failure> {
        let attached = self.attached(detached)?;
        let published = ports::published(&self.publish)?;
        let (network_mode, networking_config) = self.networks()?;
        Ok(ContainerCreateBody {
            hostname: self.hostname.clone(),
            domainname: self.domainname.clone(),
            user: self.user.clone(),
            attach_stdin: Some(attached.stdin),
            attach_stdout: Some(attached.stdout),
            attach_stderr: Some(attached.stderr),
            tty: Some(self.tty),
            open_stdin: Some(self.interactive),
            stdin_once: Some(self.interactive && attached.stdin),
            env: Some(lists::variables(&self.env, &self.env_file)?),
            cmd: Some(self.command.clone()).filter(|command| !command.is_empty()),
            image: Some(self.image.clone()),
            working_dir: self.workdir.clone(),
            entrypoint: self.entrypoint.clone().map(|entrypoint| vec![entrypoint]),
            labels: Some(lists::labels(&self.label, &self.label_file)?),
            stop_signal: self.stop_signal.clone().map(check_signal).transpose()?,
            stop_timeout: self.stop_timeout,
            healthcheck: self.lasting.healthcheck()?,
            exposed_ports: Some(ports::exposed(&self.expose, &published)?).filter(|ports| !ports.is_empty()),
            host_config: Some(HostConfig {
                port_bindings: ports::some(published),
                network_mode: Some(network_mode),
                ..self.host_config()?
            }),
            networking_config,
            ..ContainerCreateBody::default()
        })
    }

    /// Which streams the user is attached to.
    pub(crate) fn attached(&self, detached: bool) -> Result<bulkhead_engine::protocol::Attach, Failure> {
        let mut attached = bulkhead_engine::protocol::Attach::default();
        if detached {
            return match self.attach.is_empty() {
                true => Ok(attached),
                false => {
                    Err(Failure::new("conflicting options: cannot specify both --attach and --detach")
                        .code(125))
                }
            };
        }
        if self.attach.is_empty() {
            (attached.stdin, attached.stdout, attached.stderr) = (self.interactive, true, true);
        }
        for stream in &self.attach {
            match stream.to_ascii_lowercase().as_str() {
                "stdin" => attached.stdin = true,
                "stdout" => attached.stdout = true,
                "stderr" => attached.stderr = true,
                _ => {
                    let message = format!(
                        "invalid argument \"{stream}\" for \"-a, --attach\" flag: valid streams are STDIN, STDOUT and STDERR"
                    );
                    return Err(Failure::new(message).code(125));
                }
            }
        }
        attached.stderr &= !self.tty;
        Ok(attached)
    }

    fn host_config(&self) -> Result<HostConfig, Failure> {
        if self.rm && self.lasting.restarts()? {
            return Err(Failure::new("conflicting options: cannot specify both --restart and --rm").code(125));
        }
        let list = |values: &Vec<String>| Some(values.clone()).filter(|values| !values.is_empty());
        let mut annotations = lists::pairs("annotation", &self.annotation)?;
        annotations.extend(self.time_offsets()?);
        let mut mounts = Vec::new();
        for text in &self.mount {
            let (mount, ids) = mount_flag::parse(text)?;
            if !ids.is_empty() {
                annotations.insert(mount_ids::key(mount.target.as_deref().unwrap_or("")), ids);
            }
            mounts.push(mount);
        }
        Ok(HostConfig {
            auto_remove: Some(self.rm),
            restart_policy: self.lasting.restart_policy()?,
            init: self.init.then_some(true),
            group_add: list(&self.group_add),
            annotations: Some(annotations).filter(|map| !map.is_empty()),
            container_id_file: self.cidfile.as_ref().map(|path| path.to_string_lossy().into_owned()),
            log_config: Some(HostConfigLogConfig {
                typ: self.log_driver.clone(),
                config: Some(lists::options(&self.log_opt)),
            }),
            binds: list(&self.volume),
            volumes_from: list(&self.volumes_from),
            volume_driver: self.volume_driver.clone(),
            runtime: self.runtime.clone(),
            publish_all_ports: self.publish_all.then_some(true),
            mounts: Some(mounts).filter(|mounts| !mounts.is_empty()),
            tmpfs: Some(lists::tmpfs(&self.tmpfs)).filter(|map| !map.is_empty()),
            readonly_rootfs: Some(self.read_only),
            shm_size: size("shm-size", self.shm_size.as_ref())?,
            links: list(&self.link),
            pid_mode: self.pid.clone(),
            ipc_mode: Some(self.ipc.clone().unwrap_or_else(|| "private".into())),
            uts_mode: self.uts.clone(),
            userns_mode: self.userns_mode(),
            cgroupns_mode: match self.cgroupns.as_deref() {
                None => None,
                Some("host") => Some(HostConfigCgroupnsModeEnum::HOST),
                Some("private") => Some(HostConfigCgroupnsModeEnum::PRIVATE),
                Some(other) => return Err(invalid("cgroupns", other, "host or private")),
            },
            sysctls: Some(lists::pairs("sysctl", &self.sysctl)?).filter(|map| !map.is_empty()),
            extra_hosts: list(&self.add_host),
            dns: list(&self.dns),
            dns_search: list(&self.dns_search),
            dns_options: list(&self.dns_option),
            privileged: Some(self.privileged),
            cap_add: list(&self.cap_add),
            cap_drop: list(&self.cap_drop),
            security_opt: Some(lists::security(&self.security_opt)?).filter(|list| !list.is_empty()),
            devices: Some(self.device.iter().map(|text| device(text)).collect::<Result<Vec<_>, _>>()?)
                .filter(|devices| !devices.is_empty()),
            device_cgroup_rules: list(&self.device_cgroup_rule),
            memory: size("memory", self.memory.as_ref())?,
            memory_reservation: size("memory-reservation", self.memory_reservation.as_ref())?,
            memory_swap: swap(self.memory_swap.as_ref())?,
            memory_swappiness: self.memory_swappiness,
            oom_kill_disable: self.oom_kill_disable.then_some(true),
            oom_score_adj: self.oom_score_adj,
            nano_cpus: self.cpus.as_deref().map(lists::nano_cpus).transpose()?,
            cpu_shares: self.cpu_shares,
            cpu_period: self.cpu_period,
            cpu_quota: self.cpu_quota,
            cpu_realtime_period: self.cpu_rt_period,
            cpu_realtime_runtime: self.cpu_rt_runtime,
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
            pids_limit: self.pids_limit,
            ulimits: Some(self.ulimit.iter().map(|text| lists::ulimit(text)).collect::<Result<Vec<_>, _>>()?)
                .filter(|list| !list.is_empty()),
            blkio_weight: self.blkio_weight,
            blkio_weight_device: lists::weights(&self.blkio_weight_device)?,
            blkio_device_read_bps: lists::throttles("device-read-bps", &self.device_read_bps, true)?,
            blkio_device_write_bps: lists::throttles("device-write-bps", &self.device_write_bps, true)?,
            blkio_device_read_iops: lists::throttles("device-read-iops", &self.device_read_iops, false)?,
            blkio_device_write_iops: lists::throttles("device-write-iops", &self.device_write_iops, false)?,
            cgroup_parent: self.cgroup_parent.clone(),
            ..HostConfig::default()
        })
    }

    /// The mode, in which lines of one's own travel too.
    fn userns_mode(&self) -> Option<String> {
        let list = |key: &str, lines: &Vec<String>| format!("{key}={}", lines.join(","));
        let parts: Vec<String> = [("uids", &self.uidmap), ("gids", &self.gidmap)]
            .into_iter()
            .filter(|(_, lines)| !lines.is_empty())
            .map(|(key, lines)| list(key, lines))
            .collect();
        if parts.is_empty() { self.userns.clone() } else { Some(format!("map:{}", parts.join(";"))) }
    }

    /// `monotonic=SECONDS,boottime=SECONDS`.
    fn time_offsets(&self) -> Result<HashMap<String, String>, Failure> {
        let mut offsets = HashMap::new();
        for part in self.time_offset.iter().flat_map(|text| text.split(',')) {
            let bad = || invalid("time-offset", part, "monotonic=SECONDS or boottime=SECONDS");
            let (clock, seconds) = part.split_once('=').ok_or_else(bad)?;
            let key = match clock {
                "monotonic" => TIME_MONOTONIC,
                "boottime" => TIME_BOOTTIME,
                _ => return Err(bad()),
            };
            seconds.parse::<i64>().map_err(|_| bad())?;
            offsets.insert(key.to_owned(), seconds.to_owned());
        }
        Ok(offsets)
    }
}

/// Docker's words for a flag's bad value, and what it should have been.
pub(crate) fn invalid(flag: &str, value: &str, expected: &str) -> Failure {
    Failure::new(format!("invalid argument {value:?} for \"--{flag}\" flag: expected {expected}")).code(125)
}

pub(crate) fn size(flag: &str, text: Option<&String>) -> Result<Option<i64>, Failure> {
    text.map(|text| lists::ram(flag, text)).transpose()
}

/// `--memory-swap`, of which -1 is unlimited.
pub(crate) fn swap(text: Option<&String>) -> Result<Option<i64>, Failure> {
    match text.map(String::as_str) {
        Some("-1") => Ok(Some(-1)),
        _ => size("memory-swap", text),
    }
}

fn check_signal(signal: String) -> Result<String, Failure> {
    match bulkhead_sys::signals::parse(&signal) {
        Some(_) => Ok(signal),
        None => Err(invalid("stop-signal", &signal, "a signal's name or number")),
    }
}

/// `PATH[:PATH_INSIDE][:rwm]`.
fn device(text: &str) -> Result<DeviceMapping, Failure> {
    let is_mode = |part: &str| !part.is_empty() && part.chars().all(|letter| "rwm".contains(letter));
    let parts: Vec<&str> = text.split(':').collect();
    let (path, inside, mode) = match parts[..] {
        [path] => (path, path, "rwm"),
        [path, mode] if is_mode(mode) => (path, path, mode),
        [path, inside] => (path, inside, "rwm"),
        [path, inside, mode] => (path, inside, mode),
        _ => return Err(invalid("device", text, "PATH[:PATH_INSIDE][:rwm]")),
    };
    if !path.starts_with('/') || !inside.starts_with('/') || !is_mode(mode) {
        return Err(invalid("device", text, "PATH[:PATH_INSIDE][:rwm]"));
    }
    Ok(DeviceMapping {
        path_on_host: Some(path.into()),
        path_in_container: Some(inside.into()),
        cgroup_permissions: Some(mode.into()),
    })
}
