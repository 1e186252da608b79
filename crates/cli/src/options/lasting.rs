//! The flags that say what is done when nobody looks: whether a container is started again, and how its health is
//! checked.

use bulkhead_engine::models::{HealthConfig, RestartPolicy, RestartPolicyNameEnum};
use clap::Args;

use crate::failure::Failure;
use crate::output::durations::parse_duration;

/// The flags.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Lasting {
    /// When it is started again after its end: no, on-failure[:MOST], always, unless-stopped
    #[arg(long, value_name = "POLICY", help_heading = "Restarts and health")]
    restart: Option<String>,
    /// Command that checks its health, run by a shell in it
    #[arg(long, value_name = "COMMAND", help_heading = "Restarts and health")]
    health_cmd: Option<String>,
    /// Time between two checks [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Restarts and health")]
    health_interval: Option<String>,
    /// How many failures in a row make it unhealthy [default: 3]
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Restarts and health")]
    health_retries: Option<i64>,
    /// Time between two checks in the start period [default: 5s]
    #[arg(long, value_name = "TIME", help_heading = "Restarts and health")]
    health_start_interval: Option<String>,
    /// How long after its start failures do not count [default: 0s]
    #[arg(long, value_name = "TIME", help_heading = "Restarts and health")]
    health_start_period: Option<String>,
    /// How long a check may take [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Restarts and health")]
    health_timeout: Option<String>,
    /// Make no checks, though the image asks for them
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL", help_heading = "Restarts and health")]
    no_healthcheck: bool,
}

impl Lasting {
    pub(super) fn restart_policy(&self) -> Result<Option<RestartPolicy>, Failure> {
        self.restart.as_deref().map(restart_policy).transpose()
    }

    /// Whether it is started again.
    pub(super) fn restarts(&self) -> Result<bool, Failure> {
        let policy = self.restart_policy()?;
        Ok(policy.is_some_and(|policy| policy.name != Some(RestartPolicyNameEnum::NO)))
    }

    pub(super) fn healthcheck(&self) -> Result<Option<HealthConfig>, Failure> {
        let time = |flag: &str, text: &Option<String>| {
            let Some(text) = text else { return Ok(None) };
            let bad = || super::invalid(flag, text, "a time such as 30s");
            let nanoseconds = parse_duration(text).map_err(|_| bad())?.whole_nanoseconds();
            let nanoseconds = i64::try_from(nanoseconds).map_err(|_| bad())?;
            if nanoseconds < 0 {
                return Err(Failure::new(format!("--{flag} cannot be negative")).code(125));
            }
            Ok(Some(nanoseconds).filter(|time| *time != 0))
        };
        let config = HealthConfig {
            test: self.health_cmd.as_ref().map(|command| vec!["CMD-SHELL".into(), command.clone()]),
            interval: time("health-interval", &self.health_interval)?,
            timeout: time("health-timeout", &self.health_timeout)?,
            retries: self.health_retries.filter(|retries| *retries != 0),
            start_period: time("health-start-period", &self.health_start_period)?,
            start_interval: time("health-start-interval", &self.health_start_interval)?,
        };
        if config.retries.is_some_and(|retries| retries < 0) {
            return Err(Failure::new("--health-retries cannot be negative").code(125));
        }
        let asked = config != HealthConfig::default();
        if self.no_healthcheck {
            if asked {
                return Err(Failure::new("--no-healthcheck conflicts with --health-* options").code(125));
            }
            return Ok(Some(HealthConfig { test: Some(vec!["NONE".into()]), ..config }));
        }
        Ok(asked.then_some(config))
    }
}

/// `no`, `on-failure[:MOST]`, `always`, `unless-stopped`.
pub(crate) fn restart_policy(text: &str) -> Result<RestartPolicy, Failure> {
    let bad = |why: &str| Failure::new(format!("invalid restart policy {text:?}: {why}")).code(125);
    let (name, most) = match text.split_once(':') {
        None => (text, None),
        Some((name, most)) => {
            let most = most.parse().map_err(|_| bad("maximum retry count must be an integer"))?;
            (name, Some(most))
        }
    };
    let name = match name {
        "" if most.is_none() => RestartPolicyNameEnum::NO,
        "no" => RestartPolicyNameEnum::NO,
        "always" => RestartPolicyNameEnum::ALWAYS,
        "unless-stopped" => RestartPolicyNameEnum::UNLESS_STOPPED,
        "on-failure" => RestartPolicyNameEnum::ON_FAILURE,
        _ => return Err(bad("use one of no, always, on-failure, or unless-stopped")),
    };
    Ok(RestartPolicy { name: Some(name), maximum_retry_count: most.or(Some(0)) })
}

#[cfg(test)]
mod tests {
    use super::restart_policy;
    use bulkhead_engine::models::RestartPolicyNameEnum as Name;

    #[test]
    fn policies_are_read_as_docker_s() {
        let read = |text: &str| {
            restart_policy(text).ok().map(|policy| (policy.name, policy.maximum_retry_count.unwrap_or(0)))
        };
        assert_eq!(read("always"), Some((Some(Name::ALWAYS), 0)));
        assert_eq!(read("on-failure:5"), Some((Some(Name::ON_FAILURE), 5)));
        assert_eq!(read("on-failure"), Some((Some(Name::ON_FAILURE), 0)));
        for bad in ["sometimes", "on-failure:x", "on-failure:1:2", ":3"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
