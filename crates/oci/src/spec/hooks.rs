//! `hooks` (config.md, "POSIX-platform Hooks").

use bulkhead_isolation::hooks::Hook as Program;
use serde::{Deserialize, Serialize};

use super::FILE;
use crate::error::{Error, Result};

/// The object.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hooks {
    /// The old name of `createRuntime`.
    pub prestart: Option<Vec<Hook>>,
    /// Here, when namespaces and mounts are made.
    pub create_runtime: Option<Vec<Hook>>,
    /// In the container's namespaces, with the host's programs.
    pub create_container: Option<Vec<Hook>>,
    /// In the container, right before its program.
    pub start_container: Option<Vec<Hook>>,
    /// Here, when its program runs.
    pub poststart: Option<Vec<Hook>>,
    /// Here, when it is deleted.
    pub poststop: Option<Vec<Hook>>,
}

/// One program.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Hook {
    /// Its absolute path.
    pub path: String,
    /// Its arguments, its name first.
    pub args: Option<Vec<String>>,
    /// Its variables.
    pub env: Option<Vec<String>>,
    /// Seconds until it is ended.
    pub timeout: Option<i64>,
}

fn programs(hooks: &Option<Vec<Hook>>) -> Vec<Program> {
    let program = |hook: &Hook| Program {
        path: hook.path.clone(),
        args: hook.args.clone().unwrap_or_default(),
        env: hook.env.clone().unwrap_or_default(),
        timeout: hook.timeout.and_then(|seconds| u64::try_from(seconds).ok()),
    };
    hooks.iter().flatten().map(program).collect()
}

impl Hooks {
    /// Refuses what the specification forbids.
    pub(crate) fn check(&self) -> Result<()> {
        let all = [
            ("prestart", &self.prestart),
            ("createRuntime", &self.create_runtime),
            ("createContainer", &self.create_container),
            ("startContainer", &self.start_container),
            ("poststart", &self.poststart),
            ("poststop", &self.poststop),
        ];
        for (name, hooks) in all {
            for (index, hook) in hooks.iter().flatten().enumerate() {
                let refuse =
                    |what: &str| Err(Error::invalid(format!("{FILE}: hooks.{name}[{index}].{what}")));
                if !hook.path.starts_with('/') {
                    return refuse(&format!("path: {:?} is not an absolute path", hook.path));
                }
                if hook.timeout.is_some_and(|seconds| seconds <= 0) {
                    return refuse("timeout: it must be greater than 0");
                }
            }
        }
        Ok(())
    }

    /// Whether any of them is run before the program.
    pub(crate) fn any_before_start(&self) -> bool {
        [&self.prestart, &self.create_runtime, &self.create_container, &self.start_container]
            .into_iter()
            .any(|hooks| hooks.as_ref().is_some_and(|hooks| !hooks.is_empty()))
    }

    /// Those that are run here while the container is made.
    pub(crate) fn create_runtime(&self) -> Vec<Program> {
        let mut all = programs(&self.prestart);
        all.extend(programs(&self.create_runtime));
        all
    }

    pub(crate) fn create_container(&self) -> Vec<Program> {
        programs(&self.create_container)
    }

    pub(crate) fn start_container(&self) -> Vec<Program> {
        programs(&self.start_container)
    }

    pub(crate) fn poststart(&self) -> Vec<Program> {
        programs(&self.poststart)
    }

    pub(crate) fn poststop(&self) -> Vec<Program> {
        programs(&self.poststop)
    }
}
