//! An image's defaults under a container's request, by Docker's rules.

use std::collections::HashMap;

use bollard_stubs::models::ContainerCreateBody;
use bulkhead_image::ContainerConfig;

use crate::error::{Error, Result};

/// Completes `request` from the image.
///
/// # Errors
/// There is no command at all.
pub fn merge(request: &mut ContainerCreateBody, image: &ContainerConfig) -> Result<()> {
    let empty = |text: &Option<String>| text.as_deref().unwrap_or("").is_empty();
    if empty(&request.user) {
        request.user = Some(image.user.clone());
    }
    if empty(&request.working_dir) {
        request.working_dir = Some(image.working_dir.clone());
    }
    if empty(&request.stop_signal) {
        request.stop_signal = image.stop_signal.clone();
    }
    // An entrypoint of one's own makes the image's command meaningless; [""] takes the entrypoint away.
    match &request.entrypoint {
        None => {
            if request.cmd.as_ref().is_none_or(Vec::is_empty) {
                request.cmd = image.cmd.clone();
            }
            request.entrypoint = image.entrypoint.clone();
        }
        Some(words) if words.iter().all(String::is_empty) => request.entrypoint = None,
        Some(_) => {}
    }
    request.env = Some(variables(&image.env, request.env.take().unwrap_or_default()));
    let mut labels: HashMap<String, String> =
        image.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    labels.extend(request.labels.take().unwrap_or_default());
    request.labels = Some(labels);
    let mut volumes = request.volumes.take().unwrap_or_default();
    volumes.extend(image.volumes.keys().filter(|path| !volumes.contains(path)).cloned().collect::<Vec<_>>());
    request.volumes = Some(volumes);
    let mut ports = request.exposed_ports.take().unwrap_or_default();
    ports
        .extend(image.exposed_ports.keys().filter(|port| !ports.contains(port)).cloned().collect::<Vec<_>>());
    request.exposed_ports = Some(ports);
    if request.shell.as_ref().is_none_or(Vec::is_empty) {
        request.shell = image.shell.clone();
    }
    super::health::merge(request, image)?;
    if command(request).is_empty() {
        return Err(Error::Invalid("no command specified: the image has none either".into()));
    }
    Ok(())
}

/// What is executed: entrypoint and command together.
pub fn command(config: &ContainerCreateBody) -> Vec<String> {
    config.entrypoint.iter().chain(&config.cmd).flatten().cloned().collect()
}

/// The image's variables, with those of the request over them. A bare name in a request takes a variable away.
fn variables(image: &[String], request: Vec<String>) -> Vec<String> {
    let name = |line: &str| line.split('=').next().unwrap_or("").to_owned();
    let replaced: Vec<String> = request.iter().map(|line| name(line)).collect();
    let kept = image.iter().filter(|line| !replaced.contains(&name(line))).cloned();
    kept.chain(request.into_iter().filter(|line| line.contains('='))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn merged(entrypoint: Option<&[&str]>, cmd: &[&str]) -> Vec<String> {
        let image = ContainerConfig {
            entrypoint: Some(strings(&["entry"])),
            cmd: Some(strings(&["default"])),
            ..ContainerConfig::default()
        };
        let mut request = ContainerCreateBody {
            entrypoint: entrypoint.map(strings),
            cmd: Some(strings(cmd)),
            ..ContainerCreateBody::default()
        };
        merge(&mut request, &image).map(|()| command(&request)).unwrap_or_default()
    }

    #[test]
    fn entrypoint_and_command_combine_as_docker_s_do() {
        assert_eq!(merged(None, &[]), ["entry", "default"]);
        assert_eq!(merged(None, &["mine"]), ["entry", "mine"]);
        assert_eq!(merged(Some(&["other"]), &[]), ["other"]);
        assert_eq!(merged(Some(&["other"]), &["mine"]), ["other", "mine"]);
        assert_eq!(merged(Some(&[""]), &["mine"]), ["mine"]);
        assert!(merged(Some(&[""]), &[]).is_empty());
    }

    #[test]
    fn a_request_s_variables_win_and_can_take_away() {
        let image = strings(&["A=1", "B=2", "C=3"]);
        assert_eq!(variables(&image, strings(&["B=9", "C", "D=4"])), ["A=1", "B=9", "D=4"]);
    }
}
