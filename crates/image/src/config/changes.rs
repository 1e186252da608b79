//! The `--change` instructions of `import` and `commit`: the part of a Dockerfile's language that only edits a config.
//!
//! Commands have a JSON form (`CMD ["a","b"]`, executed as it is) and a shell form (`CMD a b`, given to the shell).

use serde_json::json;

use super::words::{json_list, pairs, split};
use super::{ContainerConfig, Empty};
use crate::{ImageError, Result};

/// Applies instructions in order: `CMD`, `ENTRYPOINT`, `ENV`, `EXPOSE`, `HEALTHCHECK`, `LABEL`, `ONBUILD`,
/// `STOPSIGNAL`, `USER`, `VOLUME`, `WORKDIR`. Nothing is changed in `config` if one of them is invalid.
pub fn apply_changes<S: AsRef<str>>(config: &mut ContainerConfig, changes: &[S]) -> Result<()> {
    let mut changed = config.clone();
    for change in changes {
        let change = change.as_ref().trim();
        apply(&mut changed, change).map_err(|why| ImageError::Change { change: change.to_owned(), why })?;
    }
    *config = changed;
    Ok(())
}

fn apply(config: &mut ContainerConfig, change: &str) -> Result<(), String> {
    let (instruction, rest) = change.split_once(char::is_whitespace).unwrap_or((change, ""));
    let rest = rest.trim();
    let instruction = instruction.to_ascii_uppercase();
    if rest.is_empty() && !matches!(instruction.as_str(), "CMD" | "ENTRYPOINT") {
        return Err(format!("{instruction} needs an argument"));
    }
    match instruction.as_str() {
        "CMD" => config.cmd = Some(command(config, rest)),
        "ENTRYPOINT" => config.entrypoint = Some(command(config, rest)),
        "ENV" => {
            for (name, value) in pairs(rest)? {
                config.env.retain(|line| line.split_once('=').map_or(line.as_str(), |(n, _)| n) != name);
                config.env.push(format!("{name}={value}"));
            }
        }
        "EXPOSE" => {
            for word in words(rest)? {
                for port in ports(&word)? {
                    config.exposed_ports.insert(port, Empty {});
                }
            }
        }
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck(rest)?),
        "LABEL" => config.labels.extend(pairs(rest)?),
        "ONBUILD" => {
            let first = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            if matches!(first.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
                return Err(format!("{first} isn't allowed as an ONBUILD trigger"));
            }
            config.on_build.push(rest.to_owned());
        }
        "STOPSIGNAL" => config.stop_signal = Some(rest.to_owned()),
        "USER" => config.user = rest.to_owned(),
        "VOLUME" => {
            for volume in json_list(rest).map_or_else(|| words(rest), Ok)? {
                if volume.trim().is_empty() {
                    return Err("a volume's path cannot be empty".to_owned());
                }
                config.volumes.insert(volume, Empty {});
            }
        }
        "WORKDIR" => config.working_dir = join(&config.working_dir, rest),
        _ => {
            return Err(format!(
                "{instruction} is not a valid change: use CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, \
                 STOPSIGNAL, USER, VOLUME or WORKDIR"
            ));
        }
    }
    Ok(())
}

fn words(text: &str) -> Result<Vec<String>, String> {
    split(text).ok_or_else(|| "a quote is not closed".to_owned())
}

/// The JSON form as it is, the shell form below the image's shell.
fn command(config: &ContainerConfig, text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    json_list(text).unwrap_or_else(|| {
        let mut shell = config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
        shell.push(text.to_owned());
        shell
    })
}

/// `80`, `80/udp`, `8000-8010/tcp`: each port by itself.
fn ports(word: &str) -> Result<Vec<String>, String> {
    let (range, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let invalid = || format!("invalid containerPort: {word}");
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("invalid proto: {protocol}"));
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(invalid);
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(invalid());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// A working directory relative to the last one, made absolute and without `.` and `..`.
fn join(base: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `NONE`, or `[--interval=D] [--timeout=D] [--start-period=D] [--start-interval=D] [--retries=N] CMD …`.
fn healthcheck(text: &str) -> Result<serde_json::Value, String> {
    let mut check = serde_json::Map::new();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).ok_or("HEALTHCHECK needs CMD or NONE")?;
        rest = after.trim_start();
        let (name, value) = flag.split_once('=').ok_or_else(|| format!("--{flag} needs a value"))?;
        let field = match name {
            "interval" => "Interval",
            "timeout" => "Timeout",
            "start-period" => "StartPeriod",
            "start-interval" => "StartInterval",
            "retries" => "Retries",
            _ => return Err(format!("unknown flag: --{name}")),
        };
        let number = if field == "Retries" {
            value.parse::<u32>().map(u64::from).map_err(|_| format!("invalid number of retries: {value}"))?
        } else {
            nanoseconds(value)
                .ok_or_else(|| format!("invalid duration: {value}: use a form such as 1m30s"))?
        };
        check.insert(field.to_owned(), json!(number));
    }
    let (kind, command_text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let test = match kind.to_ascii_uppercase().as_str() {
        "NONE" if command_text.is_empty() => vec!["NONE".to_owned()],
        "CMD" if !command_text.trim().is_empty() => match json_list(command_text.trim()) {
            Some(list) => std::iter::once("CMD".to_owned()).chain(list).collect(),
            None => vec!["CMD-SHELL".to_owned(), command_text.trim().to_owned()],
        },
        _ => return Err("HEALTHCHECK takes NONE or CMD and a command".to_owned()),
    };
    check.insert("Test".to_owned(), json!(test));
    Ok(check.into())
}

/// A duration in Go's form, `1h2m3.5s` and `ms`, `us`, `ns`, in nanoseconds.
fn nanoseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let scale = match unit {
            "h" => 3.6e12,
            "m" => 6e10,
            "s" => 1e9,
            "ms" => 1e6,
            "us" | "µs" => 1e3,
            "ns" => 1.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    // Ten thousand days are enough for a health check, and well inside what both number types hold exactly enough.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (!text.is_empty() && (0.0..8.64e17).contains(&total)).then_some(total.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> Result<ContainerConfig> {
        let mut config = ContainerConfig::default();
        apply_changes(&mut config, changes).map(|()| config)
    }

    #[test]
    fn every_instruction_edits_its_field() {
        let config = changed(&[
            r#"CMD ["a","b c"]"#,
            "entrypoint echo $HOME",
            "ENV A=1 B=\"2 3\"",
            "ENV A new value",
            "EXPOSE 80 53/UDP 90-91/tcp",
            "LABEL x=y",
            "ONBUILD RUN make",
            "STOPSIGNAL SIGINT",
            "USER 1000:1000",
            "VOLUME /a /b",
            r#"VOLUME ["/c d"]"#,
            "WORKDIR /a/b",
            "WORKDIR ../c",
            "HEALTHCHECK --interval=1m30s --retries=3 CMD curl localhost",
        ])
        .unwrap();
        assert_eq!(config.cmd.unwrap(), ["a", "b c"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "echo $HOME"]);
        assert_eq!(config.env, ["B=2 3", "A=new value"]);
        assert_eq!(
            config.exposed_ports.into_keys().collect::<Vec<_>>(),
            ["53/udp", "80/tcp", "90/tcp", "91/tcp"]
        );
        assert_eq!(config.labels["x"], "y");
        assert_eq!(config.on_build, ["RUN make"]);
        assert_eq!(config.stop_signal.unwrap(), "SIGINT");
        assert_eq!(config.user, "1000:1000");
        assert_eq!(config.volumes.into_keys().collect::<Vec<_>>(), ["/a", "/b", "/c d"]);
        assert_eq!(config.working_dir, "/a/c");
        let check =
            json!({"Test": ["CMD-SHELL", "curl localhost"], "Interval": 90_000_000_000u64, "Retries": 3});
        assert_eq!(config.healthcheck.unwrap(), check);
    }

    #[test]
    fn invalid_instructions_are_named_and_change_nothing() {
        for change in [
            "RUN make",
            "",
            "ENV",
            "ENV A",
            "EXPOSE 0",
            "EXPOSE 99999",
            "EXPOSE 5-1",
            "EXPOSE 80/icmp",
            "USER",
            "HEALTHCHECK CMD",
            "HEALTHCHECK --interval=1x CMD a",
            "HEALTHCHECK --foo=1 NONE",
            "ONBUILD FROM x",
            "VOLUME [\"\"]",
            "LABEL \"a=b",
        ] {
            let mut config = ContainerConfig::default();
            assert!(apply_changes(&mut config, &["USER x", change]).is_err(), "{change}");
            assert_eq!(config, ContainerConfig::default(), "{change}");
        }
        assert_eq!(changed(&["CMD"]).unwrap().cmd, Some(Vec::new()));
    }
}
