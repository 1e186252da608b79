//! docker-py, and testcontainers, which stands on it.

use bulkhead_tests::{Served, skip};

use crate::{fetched, python};

fn story(name: &str, program: &str) {
    let api = Served::new(name);
    let Some(folder) = fetched(&api) else {
        api.finish();
        skip!("docker-py could not be fetched");
    };
    python(&api, &folder, program).run().shows("all of it works").succeeds();
    api.docker("ps -aq").prints("");
    api.finish();
}

#[test]
fn containers() {
    story("py-containers", include_str!("docker_py/containers.py"));
}

#[test]
fn images_networks_and_volumes() {
    story("py-things", include_str!("docker_py/things.py"));
}

#[test]
fn testcontainers() {
    story("py-testcontainers", include_str!("docker_py/testcontainer.py"));
}
