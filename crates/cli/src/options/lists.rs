//! Flags that are given several times, and files of them.

use std::collections::HashMap;
use std::fs;

use bulkhead_engine::models::{ResourcesBlkioWeightDevice, ResourcesUlimits, ThrottleDevice};

use super::invalid;
use crate::failure::Failure;
use crate::output::units::ram_in_bytes;

/// `--env` after the files of `--env-file`, so that it wins. A bare name takes its value from our own
/// environment, and is left out if it has none there.
pub(crate) fn variables(given: &[String], files: &[String]) -> Result<Vec<String>, Failure> {
    let mut all: Vec<String> = Vec::new();
    let mut add = |line: &str| -> Result<(), Failure> {
        let name = line.split('=').next().unwrap_or("");
        let line = if line.contains('=') {
            line.to_owned()
        } else {
            match std::env::var(line) {
                Ok(value) => format!("{line}={value}"),
                // As Docker: a bare name without a value here takes the image's variable away.
                Err(std::env::VarError::NotPresent) => line.to_owned(),
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(
                        Failure::new(format!("the variable {line} has a value that is not UTF-8")).code(125)
                    );
                }
            }
        };
        all.retain(|other| other.split('=').next() != Some(name));
        all.push(line);
        Ok(())
    };
    for file in files {
        for line in lines(file)? {
            if line.split('=').next().unwrap_or("").contains(char::is_whitespace) {
                return Err(Failure::new(format!(
                    "invalid env file ({file}): variable '{line}' contains whitespaces"
                ))
                .code(125));
            }
            add(&line)?;
        }
    }
    for line in given {
        if line.is_empty() || line.starts_with('=') {
            return Err(Failure::new(format!("invalid environment variable: {line}")).code(125));
        }
        add(line)?;
    }
    Ok(all)
}

/// `KEY=VALUE` each; a bare key has an empty value, as with Docker's.
pub(crate) fn options(given: &[String]) -> HashMap<String, String> {
    let split = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_owned(), value.to_owned())
    };
    given.iter().map(split).collect()
}

/// The lines of a file that say something.
fn lines(file: &str) -> Result<Vec<String>, Failure> {
    let text =
        fs::read_to_string(file).map_err(|error| Failure::new(format!("open {file}: {error}")).code(125))?;
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

/// `--label` after the files of `--label-file`.
pub(crate) fn labels(given: &[String], files: &[String]) -> Result<HashMap<String, String>, Failure> {
    let mut all = HashMap::new();
    let mut add = |line: &str| {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        all.insert(key.to_owned(), value.to_owned());
    };
    for file in files {
        lines(file)?.iter().for_each(|line| add(line));
    }
    given.iter().for_each(|line| add(line));
    Ok(all)
}

/// `KEY=VALUE` each.
pub(super) fn pairs(flag: &str, given: &[String]) -> Result<HashMap<String, String>, Failure> {
    given
        .iter()
        .map(|text| match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(invalid(flag, text, "NAME=VALUE")),
        })
        .collect()
}

/// `TARGET[:OPTIONS]` each.
pub(super) fn tmpfs(given: &[String]) -> HashMap<String, String> {
    let split = |text: &String| {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        (target.to_owned(), options.to_owned())
    };
    given.iter().map(split).collect()
}

/// The client reads a seccomp profile's file: the engine takes its text.
pub(super) fn security(given: &[String]) -> Result<Vec<String>, Failure> {
    given
        .iter()
        .map(|option| match option.split_once(['=', ':']) {
            Some(("seccomp", file)) if !matches!(file, "unconfined" | "builtin") => {
                fs::read_to_string(file).map(|text| format!("seccomp={text}")).map_err(|error| {
                    Failure::new(format!("opening seccomp profile ({file}) failed: {error}")).code(125)
                })
            }
            _ => Ok(option.clone()),
        })
        .collect()
}

/// `1.5` processors as billionths of one.
pub(crate) fn nano_cpus(text: &str) -> Result<i64, Failure> {
    let bad = || invalid("cpus", text, "a number of processors, such as 1.5");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
        || (whole.is_empty() && fraction.is_empty())
    {
        return Err(bad());
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
    let fraction: i64 = format!("{fraction:0<9}").parse().map_err(|_| bad())?;
    whole
        .checked_mul(1_000_000_000)
        .and_then(|nano| nano.checked_add(fraction))
        .filter(|nano| *nano >= 0)
        .ok_or_else(bad)
}

/// `NAME=SOFT[:HARD]`.
pub(super) fn ulimit(text: &str) -> Result<ResourcesUlimits, Failure> {
    let bad = || invalid("ulimit", text, "NAME=SOFT[:HARD]");
    let (name, values) = text.split_once('=').ok_or_else(bad)?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let number = |text: &str| match text {
        "unlimited" => Ok(-1),
        text => text.parse::<i64>().map_err(|_| bad()),
    };
    Ok(ResourcesUlimits { name: Some(name.to_owned()), soft: Some(number(soft)?), hard: Some(number(hard)?) })
}

/// `DEVICE:RATE` each; the rate is a size, or a plain number.
pub(super) fn throttles(
    flag: &str,
    given: &[String],
    sizes: bool,
) -> Result<Option<Vec<ThrottleDevice>>, Failure> {
    let read = |text: &String| {
        let bad = || invalid(flag, text, "DEVICE:RATE");
        let (path, rate) = text.rsplit_once(':').ok_or_else(bad)?;
        let rate =
            if sizes { ram_in_bytes(rate).map_err(|_| bad())? } else { rate.parse().map_err(|_| bad())? };
        if !path.starts_with('/') || rate < 0 {
            return Err(bad());
        }
        Ok(ThrottleDevice { path: Some(path.to_owned()), rate: Some(rate) })
    };
    let all = given.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Some(all).filter(|all| !all.is_empty()))
}

/// `DEVICE:WEIGHT` each.
pub(super) fn weights(given: &[String]) -> Result<Option<Vec<ResourcesBlkioWeightDevice>>, Failure> {
    let read = |text: &String| {
        let bad = || invalid("blkio-weight-device", text, "DEVICE:WEIGHT, where the weight is 10 to 1000");
        let (path, weight) = text.rsplit_once(':').ok_or_else(bad)?;
        let weight = weight.parse().ok().filter(|weight| (10..=1000).contains(weight)).ok_or_else(bad)?;
        if !path.starts_with("/dev/") {
            return Err(bad());
        }
        Ok(ResourcesBlkioWeightDevice { path: Some(path.to_owned()), weight: Some(weight) })
    };
    let all = given.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Some(all).filter(|all| !all.is_empty()))
}

/// A number of bytes.
pub(super) fn ram(flag: &str, text: &str) -> Result<i64, Failure> {
    ram_in_bytes(text).map_err(|error| {
        Failure::new(format!("invalid argument {text:?} for \"--{flag}\" flag: {error}")).code(125)
    })
}

#[cfg(test)]
mod tests {
    use super::{nano_cpus, ulimit};

    #[test]
    fn processors_and_limits_are_read_exactly() {
        assert_eq!(nano_cpus("1.5").ok(), Some(1_500_000_000));
        assert_eq!(nano_cpus(".25").ok(), Some(250_000_000));
        assert_eq!(nano_cpus("2").ok(), Some(2_000_000_000));
        for bad in ["", ".", "-1", "1,5", "1.2.3", "99999999999999", "x"] {
            assert!(nano_cpus(bad).is_err(), "{bad}");
        }
        let limit = ulimit("nofile=10:20").unwrap_or_default();
        assert_eq!((limit.soft, limit.hard), (Some(10), Some(20)));
        assert!(ulimit("nofile").is_err());
    }
}
