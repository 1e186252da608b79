//! The engine on pure cgroup version 2 and an older kernel (Debian 12's 6.1), in a virtual machine: most users' machines
//! are such, whatever this one is. `checks.sh`, `oci.sh` and `systemd.sh` are what runs inside.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use bulkhead_tests::archive::{Layer, write_docker_archive};
use bulkhead_tests::images::{self, Image};
use bulkhead_tests::skip;
use bulkhead_tests::vm::Machine;

#[test]
fn everything_holds_on_cgroup_version_2() {
    let executables = bulkhead_tests::host::executables();
    let scratch = tempfile::tempdir().unwrap();
    let layers = scratch.path().join("layers.tar");
    image_of_many_layers(&layers);
    let machine = Machine::new()
        .with("usr/bin/bulkhead", executables.join("bulkhead"))
        .with("usr/bin/bulkhead-supervisor", executables.join("bulkhead-supervisor"))
        .with("images/busybox.tar", images::make(Image::Busybox))
        .with("images/layers.tar", layers);
    match machine.run(include_str!("checks.sh")) {
        Ok(report) => report.assert_all_hold(),
        Err(lacking) => skip!("{lacking}"),
    }
}

#[test]
fn the_oci_runtime_holds_on_cgroup_version_2() {
    let executables = bulkhead_tests::host::executables();
    let machine = Machine::new()
        .with("usr/bin/bulkhead", executables.join("bulkhead"))
        .with("usr/bin/bulkhead-supervisor", executables.join("bulkhead-supervisor"));
    match machine.run(include_str!("oci.sh")) {
        Ok(report) => report.assert_all_hold(),
        Err(lacking) => skip!("{lacking}"),
    }
}

#[test]
fn systemd_makes_groups_on_cgroup_version_2() {
    let executables = bulkhead_tests::host::executables();
    let mut machine = Machine::new().with("usr/bin/bulkhead", executables.join("bulkhead"));
    for program in ["/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd-executor", "/usr/bin/systemctl"] {
        if Path::new(program).exists() {
            machine = machine.with_libraries(program);
        }
    }
    if !Path::new("/usr/lib/systemd/systemd").exists() {
        skip!("systemd is not installed");
    }
    match machine.run(include_str!("systemd.sh")) {
        Ok(report) => report.assert_all_hold(),
        Err(lacking) => skip!("{lacking}"),
    }
}

/// `layers`: busybox, and 119 layers on it with a file each.
fn image_of_many_layers(path: &Path) {
    let file =
        |layer: Layer, number: u32| layer.file(&format!("layer/{number}"), 0o644, format!("{number}\n"));
    let mut layers = vec![file(images::busybox().dir("layer", 0o755), 0).done()];
    layers.extend((1..120).map(|number| file(Layer::new(), number).done()));
    let config = serde_json::json!({ "Env": ["PATH=/bin"] });
    write_docker_archive(std::fs::File::create(path).unwrap(), "layers:latest", &config, &layers);
}
