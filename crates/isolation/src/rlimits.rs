//! Resource limits (getrlimit(2)), by the names that Docker's `--ulimit` and the OCI specification use.

use rustix::process::{Resource, Rlimit as Values, getrlimit, prlimit};
use serde::{Deserialize, Serialize};

use crate::error::{Result, Step};

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// The lower-case name without RLIMIT_, e.g. `nofile`.
    pub name: String,
    /// What holds; `None` is unlimited.
    pub soft: Option<u64>,
    /// How far the process may raise it; `None` is unlimited.
    pub hard: Option<u64>,
}

const NAMES: &[(&str, Resource)] = &[
    ("as", Resource::As),
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("locks", Resource::Locks),
    ("memlock", Resource::Memlock),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
    ("sigpending", Resource::Sigpending),
    ("stack", Resource::Stack),
];

/// The kernel's resource of that name.
pub fn resource(name: &str) -> Option<Resource> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, resource)| *resource)
}

/// Brings limits that this process may not raise down to its own hard limits; gives one sentence for each
/// limit changed. (Without CAP_SYS_RESOURCE a hard limit can only be lowered.)
pub fn clamp(limits: &mut [Rlimit], may_raise: bool) -> Vec<String> {
    let mut changed = Vec::new();
    if may_raise {
        return changed;
    }
    for limit in limits {
        let Some(Some(ceiling)) = resource(&limit.name).map(|resource| getrlimit(resource).maximum) else {
            continue;
        };
        if limit.hard.is_none_or(|hard| hard > ceiling) {
            let wanted = limit.hard.map_or("unlimited".into(), |hard| hard.to_string());
            changed.push(format!(
                "the {} limit {wanted} is lowered to {ceiling}: this engine's own hard limit, which only CAP_SYS_RESOURCE could raise",
                limit.name
            ));
            limit.hard = Some(ceiling);
            limit.soft = Some(limit.soft.map_or(ceiling, |soft| soft.min(ceiling)));
        }
    }
    changed
}

/// Sets the limits of the child `pid` (of this process itself: `None`) and what it executes, with this process's
/// rights: in a user namespace of its own a child has none to raise them. The child must not have been reaped, so that
/// the number means what it meant at the clone.
pub(crate) fn apply(limits: &[Rlimit], pid: Option<i32>) -> Result<()> {
    let pid = pid.and_then(rustix::process::Pid::from_raw);
    for limit in limits {
        let Some(resource) = resource(&limit.name) else {
            return Err(crate::Error::new(
                "rlimits",
                format!("there is no resource limit named {}", limit.name),
            ));
        };
        prlimit(pid, resource, Values { current: limit.soft, maximum: limit.hard })
            .step("rlimits", || format!("set the {} limit", limit.name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Rlimit, clamp};

    #[test]
    fn only_what_is_above_the_ceiling_is_lowered() {
        let ceiling = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let mut limits = vec![
            Rlimit { name: "nofile".into(), soft: Some(64), hard: Some(128) },
            Rlimit { name: "nofile".into(), soft: None, hard: None },
        ];
        let said = clamp(&mut limits, false);
        assert_eq!(limits[0], Rlimit { name: "nofile".into(), soft: Some(64), hard: Some(128) });
        if let Some(ceiling) = ceiling {
            assert_eq!(limits[1].hard, Some(ceiling));
            assert_eq!(said.len(), 1);
        }
    }
}
