//! `update`: other limits for a container, running or not.
//!
//! The record has the new ones first, and with them a note of what it had before. Then the supervisor of a running
//! container writes them to the control group; when that is done, the note goes. Whoever is killed in between leaves the
//! note: the next command that repairs asks the supervisor again, and if the kernel will not have the new limits, the
//! record gets the old ones back.

use bollard_stubs::models::{
    ContainerCreateBody, ContainerUpdateBody, HostConfig, RestartPolicy, RestartPolicyNameEnum,
};
use bulkhead_isolation::cgroups::resources::Resources;
use bulkhead_supervisor::protocol::{Reply, Request};

use crate::error::{Error, Result};
use crate::spec::resources::{changed, limits, undone};
use crate::store::containers::{self, Container};
use crate::store::settings;
use crate::{Engine, spec};

/// What the settings that note an update begin with; the container's ID follows.
const NOTE: &str = "update:";

impl Engine {
    /// Gives a container other limits: those that the request has. Gives what the user should know, a sentence each.
    ///
    /// # Errors
    /// Limits that cannot be held, or that the kernel refuses: it keeps those that it has.
    pub fn update(&mut self, container: &Container, request: ContainerUpdateBody) -> Result<Vec<String>> {
        // Who starts it meanwhile must not do so with what it had before.
        let lock = self.lock_unless_active(container)?;
        let runs = lock.is_none();
        let id = container.id.clone();
        let mut warnings = Vec::new();
        // What others record at the same time is looked at here, and not lost.
        let (container, before, wanted, tells) = self.store.write(|transaction| {
            let container = containers::find(transaction, &id)?;
            let before = container.config.host_config.clone().unwrap_or_default();
            let mut after = before.clone();
            merge(&mut after, request.clone())?;
            spec::refuse_what_is_not_there(&after)?;
            spec::restart::check(&after)?;
            warnings.clear();
            let wanted = changed(&limits(&before, &mut Vec::new())?, limits(&after, &mut warnings)?);
            let changes_policy = before.restart_policy != after.restart_policy;
            let tells = runs && (changes_policy || wanted != Resources::default());
            if tells {
                let old =
                    serde_json::to_string(&before).map_err(|error| Error::Corrupt(error.to_string()))?;
                settings::set(transaction, &note(&id), &old)?;
            }
            let config = ContainerCreateBody { host_config: Some(after), ..container.config.clone() };
            containers::configure(transaction, &id, &config)?;
            Ok((Container { config, ..container }, before, wanted, tells))
        })?;
        bulkhead_sys::fail::point("update: recorded");
        if tells {
            warnings.extend(self.settle(&container, &before, wanted)?);
        }
        self.tell_of(&container, "update", []);
        Ok(warnings)
    }

    /// Has a running container's limits written, and takes the note away; or takes the change back.
    fn settle(
        &mut self,
        container: &Container,
        before: &HostConfig,
        wanted: Resources,
    ) -> Result<Vec<String>> {
        let back = undone(&limits(before, &mut Vec::new())?, &wanted);
        let told = self.tell_policy(container, before);
        bulkhead_sys::fail::point("update: policy told");
        let answer = match told.and_then(|()| self.ask(container, &Request::Update(Box::new(wanted)), &[])) {
            Ok((Reply::Updated { warnings }, _)) => Ok(warnings),
            Ok((Reply::Failed(error), _)) => Err(of_old(container, error)),
            Ok((other, _)) => Err(Error::Corrupt(format!("the supervisor answered {other:?} to an update"))),
            // It has ended this moment: the next start has them.
            Err(_) if self.condition(container)?.active().is_none() => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        match answer {
            Ok(warnings) => {
                bulkhead_sys::fail::point("update: limits written");
                self.store.write(|transaction| settings::unset(transaction, &note(&container.id)))?;
                Ok(warnings)
            }
            Err(error) => {
                // Some may have been written before the one that the kernel did not take. What was there can be had again.
                let _ = self.ask(container, &Request::Update(Box::new(back)), &[]);
                let config =
                    ContainerCreateBody { host_config: Some(before.clone()), ..container.config.clone() };
                self.store.write(|transaction| {
                    settings::unset(transaction, &note(&container.id))?;
                    containers::configure(transaction, &container.id, &config)
                })?;
                Err(error)
            }
        }
    }

    /// Tells the supervisor of another restart policy than `before`.
    fn tell_policy(&self, container: &Container, before: &HostConfig) -> Result<()> {
        let host = container.config.host_config.clone().unwrap_or_default();
        if host.restart_policy == before.restart_policy {
            return Ok(());
        }
        let restart = self.restart_of(container, &host, false)?;
        match self.ask(container, &Request::Restart(restart), &[]) {
            Ok((Reply::Failed(error), _)) => Err(of_old(container, error)),
            Ok(_) => Ok(()),
            Err(_) if self.condition(container)?.active().is_none() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Finishes what killed updates have begun.
    pub(crate) fn finish_updates(&mut self) -> Result<()> {
        for (key, old) in settings::beginning_with(self.store.read(), NOTE)? {
            let id = key.trim_start_matches(NOTE).to_owned();
            let before: Option<HostConfig> = serde_json::from_str(&old).ok();
            let running = self.container(&id).ok().filter(|container| {
                self.condition(container).is_ok_and(|condition| condition.active().is_some())
            });
            match (running, before) {
                (Some(container), Some(before)) => {
                    let after = container.config.host_config.clone().unwrap_or_default();
                    let wanted = limits(&after, &mut Vec::new())?;
                    // What the kernel refuses now is taken back.
                    let _ = self.settle(&container, &before, wanted);
                }
                // It has ended, or gone: nothing is left to be done.
                _ => self.store.write(|transaction| settings::unset(transaction, &key))?,
            }
        }
        Ok(())
    }
}

/// What a supervisor says that knows no such request.
fn of_old(container: &Container, error: bulkhead_isolation::Error) -> Error {
    if error.step != "request" {
        return error.into();
    }
    Error::Conflict(format!(
        "container {} was started by an earlier version of bulkhead, which cannot update what runs: restart it, and try again",
        container.name
    ))
}

fn note(id: &str) -> String {
    format!("{NOTE}{id}")
}

/// Puts what the request has over what was there, by Docker's rules: nothing, and 0, change nothing.
fn merge(host: &mut HostConfig, request: ContainerUpdateBody) -> Result<()> {
    let conflict = |what: &str, with: &str| {
        Err(Error::Invalid(format!(
            "Conflicting options: {what} cannot be updated as {with} has already been set"
        )))
    };
    let given = |value: Option<i64>| value.filter(|value| *value != 0);
    let set = |slot: &mut Option<i64>, value: Option<i64>| *slot = given(value).or(*slot);
    let has = |value: Option<i64>| given(value).is_some();
    if has(request.nano_cpus) && (has(host.cpu_quota) || has(host.cpu_period)) {
        return conflict("Nano CPUs", "CPU Period or Quota");
    }
    if has(host.nano_cpus) && (has(request.cpu_quota) || has(request.cpu_period)) {
        return conflict("CPU Period or Quota", "NanoCPUs");
    }
    set(&mut host.nano_cpus, request.nano_cpus);
    set(&mut host.cpu_period, request.cpu_period);
    set(&mut host.cpu_quota, request.cpu_quota);
    set(&mut host.cpu_realtime_period, request.cpu_realtime_period);
    set(&mut host.cpu_realtime_runtime, request.cpu_realtime_runtime);
    set(&mut host.cpu_shares, request.cpu_shares);
    if let (Some(memory), None, Some(total)) =
        (given(request.memory), given(request.memory_swap), given(host.memory_swap))
        && total > 0
        && memory > total
    {
        return Err(Error::Invalid(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
                .into(),
        ));
    }
    set(&mut host.memory, request.memory);
    set(&mut host.memory_swap, request.memory_swap);
    set(&mut host.memory_reservation, request.memory_reservation);
    // Here 0 says something: no limit.
    host.pids_limit = request.pids_limit.map(|count| if count == 0 { -1 } else { count }).or(host.pids_limit);
    host.blkio_weight = request.blkio_weight.filter(|weight| *weight != 0).or(host.blkio_weight);
    for (slot, value) in
        [(&mut host.cpuset_cpus, request.cpuset_cpus), (&mut host.cpuset_mems, request.cpuset_mems)]
    {
        *slot = value.filter(|text| !text.is_empty()).or(slot.take());
    }
    if let Some(policy) = request.restart_policy {
        let restarts =
            !matches!(policy.name, None | Some(RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO));
        if restarts && host.auto_remove == Some(true) {
            return Err(Error::Invalid(
                "Restart policy cannot be updated because AutoRemove is enabled for the container".into(),
            ));
        }
        host.restart_policy = Some(RestartPolicy { ..policy });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::merge;
    use bollard_stubs::models::{ContainerUpdateBody, HostConfig};

    #[test]
    fn what_is_not_given_stays() {
        let mut host = HostConfig {
            memory: Some(1 << 26),
            pids_limit: Some(5),
            cpuset_cpus: Some("0".into()),
            ..HostConfig::default()
        };
        let request = ContainerUpdateBody {
            memory: Some(0),
            cpu_shares: Some(512),
            pids_limit: Some(0),
            cpuset_cpus: Some(String::new()),
            ..ContainerUpdateBody::default()
        };
        merge(&mut host, request).unwrap();
        assert_eq!((host.memory, host.cpu_shares, host.pids_limit), (Some(1 << 26), Some(512), Some(-1)));
        assert_eq!(host.cpuset_cpus.as_deref(), Some("0"));
    }

    #[test]
    fn what_excludes_what_is_there_is_refused() {
        let mut host = HostConfig { nano_cpus: Some(500_000_000), ..HostConfig::default() };
        let quota = ContainerUpdateBody { cpu_quota: Some(50_000), ..ContainerUpdateBody::default() };
        assert!(merge(&mut host, quota).unwrap_err().to_string().contains("Conflicting options"));
        let mut host = HostConfig { memory_swap: Some(1 << 26), ..HostConfig::default() };
        let more = ContainerUpdateBody { memory: Some(1 << 27), ..ContainerUpdateBody::default() };
        assert!(merge(&mut host, more).unwrap_err().to_string().contains("memoryswap"));
    }
}
