//! `HEALTHCHECK` of an image and `--health-…` of a container, by Docker's rules.

use bollard_stubs::models::{ContainerCreateBody, HealthConfig};
use bulkhead_image::ContainerConfig;
use bulkhead_supervisor::health::Check;

use crate::error::{Error, Result};

/// A millisecond in nanoseconds: the shortest time that may be asked for.
const SHORTEST: i64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// What is checked: the request's, each part that it leaves open from the image's.
pub(crate) fn merge(request: &mut ContainerCreateBody, image: &ContainerConfig) -> Result<()> {
    let of_image = match &image.healthcheck {
        Some(value) if !value.is_null() => serde_json::from_value::<HealthConfig>(value.clone())
            .map_err(|error| Error::Invalid(format!("the image's health check cannot be read: {error}")))?,
        _ => HealthConfig::default(),
    };
    let own = request.healthcheck.take().unwrap_or_default();
    let number = |own: Option<i64>, of_image: Option<i64>| own.filter(|value| *value != 0).or(of_image);
    let test = own.test.filter(|test| !test.is_empty()).or(of_image.test).filter(|test| !test.is_empty());
    let merged = HealthConfig {
        test,
        interval: number(own.interval, of_image.interval),
        timeout: number(own.timeout, of_image.timeout),
        retries: number(own.retries, of_image.retries),
        start_period: number(own.start_period, of_image.start_period),
        start_interval: number(own.start_interval, of_image.start_interval),
    };
    validate(&merged)?;
    request.healthcheck = (merged != HealthConfig::default()).then_some(merged);
    Ok(())
}

fn validate(config: &HealthConfig) -> Result<()> {
    for (name, value) in [
        ("Interval", config.interval),
        ("Timeout", config.timeout),
        ("StartPeriod", config.start_period),
        ("StartInterval", config.start_interval),
    ] {
        if value.is_some_and(|value| value != 0 && value < SHORTEST) {
            return Err(Error::Invalid(format!("{name} in Healthcheck cannot be less than 1ms")));
        }
    }
    if config.retries.is_some_and(|retries| retries < 0) {
        return Err(Error::Invalid("Retries in Healthcheck cannot be negative".into()));
    }
    Ok(())
}

/// The check that the supervisor makes, if there is one.
pub(crate) fn check(config: &ContainerCreateBody) -> Result<Option<Check>> {
    let Some(health) = &config.healthcheck else { return Ok(None) };
    let mut words = health.test.iter().flatten();
    let args: Vec<String> = match words.next().map(String::as_str) {
        None | Some("NONE") => return Ok(None),
        Some("CMD") => words.cloned().collect(),
        Some("CMD-SHELL") => {
            let shell = config.shell.clone().filter(|shell| !shell.is_empty());
            let mut args = shell.unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
            args.extend(words.next().cloned());
            args
        }
        Some(other) => {
            return Err(Error::Invalid(format!(
                "Unknown healthcheck type {other:?}: expected CMD, CMD-SHELL or NONE"
            )));
        }
    };
    if args.is_empty() {
        return Err(Error::Invalid("the health check has no command".into()));
    }
    let time = |value: Option<i64>, usual: u64| match value.and_then(|value| u64::try_from(value).ok()) {
        None | Some(0) => usual,
        Some(value) => value,
    };
    let retries = health.retries.and_then(|retries| u32::try_from(retries).ok()).filter(|n| *n != 0);
    Ok(Some(Check {
        args,
        interval: time(health.interval, 30 * SECOND),
        timeout: time(health.timeout, 30 * SECOND),
        start_period: time(health.start_period, 0),
        start_interval: time(health.start_interval, 5 * SECOND),
        retries: retries.unwrap_or(3),
    }))
}

#[cfg(test)]
mod tests {
    use super::{check, merge};
    use bollard_stubs::models::{ContainerCreateBody, HealthConfig};
    use bulkhead_image::ContainerConfig;

    fn merged(own: HealthConfig) -> crate::Result<ContainerCreateBody> {
        let image = ContainerConfig {
            healthcheck: Some(serde_json::json!({"Test": ["CMD", "probe"], "Interval": 7_000_000_000i64})),
            ..ContainerConfig::default()
        };
        let mut request = ContainerCreateBody { healthcheck: Some(own), ..ContainerCreateBody::default() };
        merge(&mut request, &image).map(|()| request)
    }

    #[test]
    fn what_is_left_open_is_the_image_s() {
        let own = HealthConfig { retries: Some(5), ..HealthConfig::default() };
        let check = check(&merged(own).unwrap()).unwrap().unwrap();
        assert_eq!(check.args, ["probe"]);
        assert_eq!((check.interval, check.timeout, check.retries), (7_000_000_000, 30_000_000_000, 5));
    }

    #[test]
    fn none_is_none_and_a_shell_runs_the_rest() {
        let test = |words: &[&str]| HealthConfig {
            test: Some(words.iter().map(|word| (*word).to_owned()).collect()),
            ..HealthConfig::default()
        };
        assert_eq!(check(&merged(test(&["NONE"])).unwrap()).unwrap(), None);
        let shell = check(&merged(test(&["CMD-SHELL", "a || b"])).unwrap()).unwrap().unwrap();
        assert_eq!(shell.args, ["/bin/sh", "-c", "a || b"]);
        assert!(check(&merged(test(&["WHAT"])).unwrap()).is_err());
        assert!(merged(HealthConfig { timeout: Some(5), ..HealthConfig::default() }).is_err());
    }
}
