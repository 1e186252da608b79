//! `--restart`, by Docker's rules.

use bollard_stubs::models::{HostConfig, RestartPolicy, RestartPolicyNameEnum as Name};
use bulkhead_supervisor::restart::Policy;

use crate::error::{Error, Result};

/// The policy.
///
/// # Errors
/// A number of retries where it means nothing, or that is none.
pub(crate) fn policy(given: Option<&RestartPolicy>) -> Result<Policy> {
    let Some(given) = given else { return Ok(Policy::No) };
    let retries = given.maximum_retry_count.unwrap_or(0);
    let policy = match given.name {
        None | Some(Name::EMPTY | Name::NO) => Policy::No,
        Some(Name::ALWAYS) => Policy::Always,
        Some(Name::UNLESS_STOPPED) => Policy::UnlessStopped,
        Some(Name::ON_FAILURE) => {
            let most = u32::try_from(retries).map_err(|_| {
                invalid("maximum retry count cannot be negative and must fit a number of 32 bits")
            })?;
            return Ok(Policy::OnFailure { most });
        }
    };
    if retries != 0 {
        return Err(invalid("maximum retry count can only be used with 'on-failure'"));
    }
    Ok(policy)
}

/// Refuses a policy for a container that is gone when it ends.
pub(crate) fn check(host: &HostConfig) -> Result<()> {
    let policy = policy(host.restart_policy.as_ref())?;
    if host.auto_remove == Some(true) && policy != Policy::No {
        return Err(Error::Invalid("can't create 'AutoRemove' container with restart policy".into()));
    }
    Ok(())
}

fn invalid(why: &str) -> Error {
    Error::Invalid(format!("invalid restart policy: {why}"))
}
