//! The command, its variables, user, limits and terminal.

use std::sync::{Mutex, PoisonError};

use bollard_stubs::models::{HostConfig, ResourcesUlimits};
use bulkhead_isolation::capabilities::{Capabilities, Set};
use bulkhead_isolation::rlimits::{self, Rlimit};
use bulkhead_isolation::seccomp::{self, Arch, DockerProfile, Program};
use bulkhead_isolation::users::UserSpec;
use bulkhead_isolation::{Extras, Process};

use super::Surroundings;
use super::merge::command;
use super::security::{Seccomp, Security};
use crate::error::{Error, Result};
use crate::store::containers::Container;

/// Docker's default.
pub(crate) const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(crate) fn plan(
    container: &Container,
    host: &HostConfig,
    around: &Surroundings<'_>,
    security: &Security,
    warnings: &mut Vec<String>,
) -> Result<Process> {
    let config = &container.config;
    let mut args = command(config);
    if host.init == Some(true) {
        args.splice(0..0, ["/sbin/docker-init".to_owned(), "--".to_owned()]);
    }
    let tty = config.tty.unwrap_or(false);
    Ok(Process {
        args,
        env: environment(
            config.env.as_deref().unwrap_or_default(),
            &super::namespaces::hostname(config),
            tty,
        ),
        cwd: working_dir(config.working_dir.as_deref())?,
        user: UserSpec(config.user.clone().unwrap_or_default()),
        additional_groups: host.group_add.clone().unwrap_or_default(),
        capabilities: Capabilities::of_root(security.capabilities),
        no_new_privileges: security.no_new_privileges,
        seccomp: filter(security)?,
        rlimits: limits(host.ulimits.as_deref().unwrap_or_default(), warnings)?,
        oom_score_adj: match host.oom_score_adj {
            None | Some(0) => None,
            Some(score) if (-1000..=1000).contains(&score) => i32::try_from(score).ok(),
            Some(score) => {
                return Err(Error::Invalid(format!(
                    "Invalid value {score}, range for oom score adj is [-1000, 1000]"
                )));
            }
        },
        terminal: tty.then_some(around.terminal),
        extras: Extras::default(),
    })
}

/// Docker's own variables, then the container's.
pub(crate) fn environment(own: &[String], hostname: &str, tty: bool) -> Vec<String> {
    let mut all = vec![PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if tty {
        all.push("TERM=xterm".into());
    }
    let name = |line: &str| line.split('=').next().unwrap_or("").to_owned();
    all.retain(|line| !own.iter().any(|other| name(other) == name(line)));
    all.extend(own.iter().cloned());
    all
}

pub(crate) fn working_dir(given: Option<&str>) -> Result<String> {
    match given {
        None | Some("") => Ok("/".into()),
        Some(path) if path.starts_with('/') => Ok(path.into()),
        Some(path) => Err(Error::Invalid(format!(
            "the working directory '{path}' is invalid, it needs to be an absolute path"
        ))),
    }
}

/// The system call filter for these capabilities: a call that only a capability would allow is filtered
/// without it.
fn filter(security: &Security) -> Result<Option<Program>> {
    let failed = |error: seccomp::SeccompError| Error::Invalid(format!("invalid seccomp profile: {error}"));
    let names = security.capabilities.names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match &security.seccomp {
        Seccomp::Unconfined => Ok(None),
        Seccomp::Default => default_filter(security.capabilities, &names).map(Some).map_err(failed),
        Seccomp::Profile(json) => {
            let profile: DockerProfile = serde_json::from_str(json)
                .map_err(|error| Error::Invalid(format!("decoding seccomp profile failed: {error}")))?;
            let arch = Arch::native().map_err(failed)?;
            let resolved = profile.resolve(&names, arch, seccomp::kernel_version()).map_err(failed)?;
            let program = seccomp::compile(&resolved, arch).map_err(failed)?;
            if program.listens() {
                return Err(Error::Invalid(
                    "this version of bulkhead does not support seccomp notifications".into(),
                ));
            }
            Ok(Some(program))
        }
    }
}

/// The default filter, compiled once in a process for each set of capabilities: `run` makes two plans, and a
/// server makes thousands.
fn default_filter(capabilities: Set, names: &[&str]) -> std::result::Result<Program, seccomp::SeccompError> {
    static COMPILED: Mutex<Vec<(Set, Program)>> = Mutex::new(Vec::new());
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, program)) = compiled.iter().find(|(set, _)| *set == capabilities) {
        return Ok(program.clone());
    }
    let program = Program::default_for(names)?;
    compiled.push((capabilities, program.clone()));
    Ok(program)
}

/// The limits that a container begins with, whatever the shell that started it has: as high as this engine
/// can give, with the usual stack; open files as systemd gives them to container engines.
fn usual_limits() -> Vec<Rlimit> {
    let limit = |name: &str, soft: Option<u64>, hard: Option<u64>| Rlimit { name: name.into(), soft, hard };
    let mut all =
        vec![limit("nofile", Some(1_048_576), Some(1_048_576)), limit("stack", Some(8 * 1024 * 1024), None)];
    for name in ["as", "core", "cpu", "data", "fsize", "nproc", "rss"] {
        all.push(limit(name, None, None));
    }
    // Nobody asked for these numbers, so nobody needs to hear that they are lower here.
    let _ = rlimits::clamp(&mut all, false);
    all
}

fn limits(asked: &[ResourcesUlimits], warnings: &mut Vec<String>) -> Result<Vec<Rlimit>> {
    let mut limits = Vec::new();
    for ulimit in asked {
        let name = ulimit.name.clone().unwrap_or_default();
        if rlimits::resource(&name).is_none() {
            return Err(Error::Invalid(format!("invalid ulimit type: {name}")));
        }
        let value = |number: Option<i64>| match number {
            None | Some(-1) => Ok(None),
            Some(number) => u64::try_from(number).map(Some).map_err(|_| {
                Error::Invalid(format!(
                    "invalid ulimit {name}={number}: -1 is unlimited, nothing is below that"
                ))
            }),
        };
        let (soft, hard) = (value(ulimit.soft)?, value(ulimit.hard.or(ulimit.soft))?);
        if hard.is_some_and(|hard| soft.is_none_or(|soft| soft > hard)) {
            return Err(Error::Invalid(format!(
                "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                ulimit.soft.unwrap_or(-1),
                ulimit.hard.unwrap_or(-1)
            )));
        }
        limits.push(Rlimit { name, soft, hard });
    }
    let may_raise = Set::named("SYS_RESOURCE")
        .is_some_and(|one| bulkhead_isolation::capabilities::bounding_set().has(one));
    warnings.extend(rlimits::clamp(&mut limits, may_raise));
    let mut all = usual_limits();
    all.retain(|usual| !limits.iter().any(|limit| limit.name == usual.name));
    all.extend(limits);
    Ok(all)
}
