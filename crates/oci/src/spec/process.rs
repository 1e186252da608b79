//! `process` (config.md, "Process"; config-linux.md for what only Linux has): the first program, and those of `exec`.

use bulkhead_isolation::capabilities::{Capabilities as Sets, Set, bounding_set};
use bulkhead_isolation::labels::{self, Labels};
use bulkhead_isolation::priorities::Scheduler as Schedule;
use bulkhead_isolation::rlimits::{self, Rlimit};
use bulkhead_isolation::seccomp::{Arch, Program, Seccomp, compile};
use bulkhead_isolation::users::UserSpec;
use bulkhead_isolation::{Extras, Ids, Process as Planned, TerminalSize};
use serde::{Deserialize, Serialize};

use super::affinity::Affinity;
use crate::error::{Error, Result};

/// The object.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Whether it has a terminal.
    #[serde(default)]
    pub terminal: Option<bool>,
    /// How large that is.
    pub console_size: Option<Size>,
    /// Whom it runs as.
    pub user: Option<User>,
    /// Program and arguments.
    pub args: Option<Vec<String>>,
    /// Variables.
    pub env: Option<Vec<String>>,
    /// Working directory.
    #[serde(default)]
    pub cwd: String,
    /// Capability sets; none at all if not given.
    pub capabilities: Option<Capabilities>,
    /// Resource limits.
    pub rlimits: Option<Vec<Limit>>,
    /// Whether execve can never give it more than it has.
    pub no_new_privileges: Option<bool>,
    /// The AppArmor profile.
    pub apparmor_profile: Option<String>,
    /// The SELinux label.
    pub selinux_label: Option<String>,
    /// How willingly it is ended when memory is short.
    pub oom_score_adj: Option<i32>,
    /// How it is scheduled.
    pub scheduler: Option<Scheduler>,
    /// Its priority for disks.
    pub io_priority: Option<IoPriority>,
    /// The processors of exec programs.
    #[serde(rename = "execCPUAffinity")]
    pub exec_cpu_affinity: Option<Affinity>,
}

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Size {
    /// Height.
    pub height: u16,
    /// Width.
    pub width: u16,
}

/// A user, by numbers.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// User ID.
    #[serde(default)]
    pub uid: u32,
    /// Group ID.
    #[serde(default)]
    pub gid: u32,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// Further groups.
    pub additional_gids: Option<Vec<u32>>,
}

/// Capability sets by names.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Capabilities {
    /// What no execve can go beyond.
    pub bounding: Option<Vec<String>>,
    /// What counts.
    pub effective: Option<Vec<String>>,
    /// What execve of a file that asks for it keeps.
    pub inheritable: Option<Vec<String>>,
    /// What can be made to count.
    pub permitted: Option<Vec<String>>,
    /// What any execve keeps.
    pub ambient: Option<Vec<String>>,
}

/// A resource limit.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Limit {
    /// `RLIMIT_…`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What holds.
    pub soft: u64,
    /// How far it may be raised.
    pub hard: u64,
}

/// An execution domain.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Personality {
    /// `LINUX` or `LINUX32`.
    pub domain: String,
    /// None are known.
    pub flags: Option<Vec<String>>,
}

/// A disk priority.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct IoPriority {
    /// `IOPRIO_CLASS_…`.
    pub class: String,
    /// The level in it.
    #[serde(default)]
    pub priority: u16,
}

/// A way to be scheduled.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Scheduler {
    /// `SCHED_…`.
    pub policy: String,
    /// The nice value.
    pub nice: Option<i32>,
    /// The real-time priority.
    pub priority: Option<u32>,
    /// `SCHED_FLAG_…`.
    pub flags: Option<Vec<String>>,
    /// Nanoseconds.
    pub runtime: Option<u64>,
    /// Nanoseconds.
    pub deadline: Option<u64>,
    /// Nanoseconds.
    pub period: Option<u64>,
}

impl Process {
    /// What the core is to run.
    pub(crate) fn plan(
        &self,
        seccomp: Option<&Seccomp>,
        personality: Option<&Personality>,
        warnings: &mut Vec<String>,
    ) -> Result<Planned> {
        let labels = self.labels()?;
        self.exec_cpu_affinity.as_ref().map_or(Ok(()), Affinity::check)?;
        let args = self.args.clone().unwrap_or_default();
        if args.is_empty() {
            return Err(Error::invalid("args must not be empty"));
        }
        if !self.cwd.starts_with('/') {
            return Err(Error::invalid("Cwd must be an absolute path"));
        }
        let user = self.user.clone().unwrap_or_default();
        let (capabilities, unknown, _) = self.capabilities.clone().unwrap_or_default().sets();
        if !unknown.is_empty() {
            warnings.push(format!("ignoring capabilities that are unknown or cannot be had: {unknown:?}"));
        }
        let size = self.console_size.unwrap_or_default();
        Ok(Planned {
            args,
            env: self.env.clone().unwrap_or_default(),
            cwd: self.cwd.clone(),
            user: UserSpec::default(),
            additional_groups: Vec::new(),
            capabilities,
            no_new_privileges: self.no_new_privileges.unwrap_or(false),
            seccomp: seccomp.map(filter).transpose()?,
            rlimits: self.limits()?,
            oom_score_adj: self.oom_score_adj,
            terminal: self
                .terminal
                .unwrap_or(false)
                .then_some(TerminalSize { rows: size.height, columns: size.width }),
            extras: Extras {
                ids: Some(Ids {
                    uid: user.uid,
                    gid: user.gid,
                    groups: user.additional_gids.unwrap_or_default(),
                }),
                umask: user.umask,
                outlives_its_maker: true,
                personality: personality.map(Personality::number).transpose()?,
                io_priority: self.io_priority.as_ref().map(IoPriority::number).transpose()?,
                labels,
                scheduler: self.scheduler.as_ref().map(Scheduler::plan).transpose()?,
                ..Extras::default()
            },
        })
    }

    fn labels(&self) -> Result<Labels> {
        let given = |label: &Option<String>| label.clone().filter(|label| !label.is_empty());
        let labels = Labels { apparmor: given(&self.apparmor_profile), selinux: given(&self.selinux_label) };
        if labels.apparmor.is_some() && !labels::has_apparmor() {
            return Err(Error::absent("process.apparmorProfile", "AppArmor"));
        }
        if labels.selinux.is_some() && !labels::has_selinux() {
            return Err(Error::absent("process.selinuxLabel", "SELinux"));
        }
        Ok(labels)
    }

    /// What is said to whoever reads the log, of what callers have come to rely on being passed over in silence.
    pub(crate) fn note(&self) -> Option<String> {
        let (_, _, impossible) = self.capabilities.clone().unwrap_or_default().sets();
        (!impossible.is_empty()).then(|| {
            format!(
                "ambient capabilities that are not permitted and inheritable are passed over: {impossible:?}"
            )
        })
    }

    fn limits(&self) -> Result<Vec<Rlimit>> {
        let mut all: Vec<Rlimit> = Vec::new();
        for (index, limit) in self.rlimits.iter().flatten().enumerate() {
            let refuse = |why: &str| {
                Err(Error::invalid(format!("config.json: process.rlimits[{index}]: {}: {why}", limit.kind)))
            };
            let name = limit.kind.strip_prefix("RLIMIT_").unwrap_or_default().to_lowercase();
            if rlimits::resource(&name).is_none() {
                return refuse("there is no such limit");
            }
            if all.iter().any(|known| known.name == name) {
                return refuse("it is there twice");
            }
            let value = |number: u64| Some(number).filter(|number| *number != u64::MAX);
            all.push(Rlimit { name, soft: value(limit.soft), hard: value(limit.hard) });
        }
        Ok(all)
    }
}

fn filter(seccomp: &Seccomp) -> Result<Program> {
    let refuse =
        |error: &dyn std::fmt::Display| Error::invalid(format!("config.json: linux.seccomp: {error}"));
    crate::listener::check(seccomp)?;
    let arch = Arch::native().map_err(|error| refuse(&error))?;
    compile(seccomp, arch).map_err(|error| refuse(&error))
}

impl Capabilities {
    /// The sets as far as this machine has them, the names of the others, and those that cannot be ambient.
    fn sets(&self) -> (Sets, Vec<String>, Vec<String>) {
        let had = bounding_set();
        let mut unknown = Vec::new();
        let mut set = |names: &Option<Vec<String>>| {
            let mut all = Set::NONE;
            for name in names.iter().flatten() {
                match Set::named(name).filter(|one| had.has(*one)) {
                    Some(one) => all = all.with(one),
                    None if unknown.contains(name) => {}
                    None => unknown.push(name.clone()),
                }
            }
            all
        };
        let mut sets = Sets {
            bounding: set(&self.bounding),
            effective: set(&self.effective),
            permitted: set(&self.permitted),
            inheritable: set(&self.inheritable),
            ambient: set(&self.ambient),
        };
        // The kernel gives only what is both of these; configurations that say otherwise are common.
        let possible = sets.ambient.and(sets.permitted).and(sets.inheritable);
        let impossible = sets.ambient.without(possible).names().iter().map(ToString::to_string).collect();
        sets.ambient = possible;
        (sets, unknown, impossible)
    }
}

impl Personality {
    fn number(&self) -> Result<u32> {
        if self.flags.as_ref().is_some_and(|flags| !flags.is_empty()) {
            return Err(Error::unsupported("linux.personality.flags"));
        }
        match self.domain.as_str() {
            "LINUX" => Ok(0),
            "LINUX32" => Ok(8),
            other => Err(Error::invalid(format!("config.json: linux.personality.domain: {other:?} is none"))),
        }
    }
}

impl IoPriority {
    fn number(&self) -> Result<u16> {
        let class = match self.class.as_str() {
            "IOPRIO_CLASS_RT" => 1,
            "IOPRIO_CLASS_BE" => 2,
            "IOPRIO_CLASS_IDLE" => 3,
            other => {
                return Err(Error::invalid(format!(
                    "config.json: process.ioPriority.class: {other:?} is none"
                )));
            }
        };
        match self.priority {
            0..=7 => Ok(class << 13 | self.priority),
            other => Err(Error::invalid(format!(
                "config.json: process.ioPriority.priority: {other} is not 0 to 7"
            ))),
        }
    }
}

impl Scheduler {
    fn plan(&self) -> Result<Schedule> {
        const POLICIES: [(&str, u32); 7] = [
            ("SCHED_OTHER", 0),
            ("SCHED_FIFO", 1),
            ("SCHED_RR", 2),
            ("SCHED_BATCH", 3),
            ("SCHED_ISO", 4),
            ("SCHED_IDLE", 5),
            ("SCHED_DEADLINE", 6),
        ];
        const FLAGS: [(&str, u64); 7] = [
            ("SCHED_FLAG_RESET_ON_FORK", 1),
            ("SCHED_FLAG_RECLAIM", 2),
            ("SCHED_FLAG_DL_OVERRUN", 4),
            ("SCHED_FLAG_KEEP_POLICY", 8),
            ("SCHED_FLAG_KEEP_PARAMS", 16),
            ("SCHED_FLAG_UTIL_CLAMP_MIN", 32),
            ("SCHED_FLAG_UTIL_CLAMP_MAX", 64),
        ];
        fn find<N: Copy>(table: &[(&str, N)], word: &str, place: &str) -> Result<N> {
            let known = table.iter().find(|(known, _)| *known == word);
            known.map(|(_, number)| *number).ok_or_else(|| {
                Error::invalid(format!("config.json: process.scheduler.{place}: {word:?} is none"))
            })
        }
        let mut flags = self.flags.iter().flatten().map(|flag| find(&FLAGS, flag, "flags"));
        Ok(Schedule {
            policy: find(&POLICIES, &self.policy, "policy")?,
            flags: flags.try_fold(0, |all, flag| Ok::<u64, Error>(all | flag?))?,
            nice: self.nice.unwrap_or(0),
            priority: self.priority.unwrap_or(0),
            runtime: self.runtime.unwrap_or(0),
            deadline: self.deadline.unwrap_or(0),
            period: self.period.unwrap_or(0),
        })
    }
}
