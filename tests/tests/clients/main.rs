//! Docker's API by those who speak it, unmodified: the docker command, compose, docker-py, testcontainers, bollard. What
//! they are to find is what they find behind Docker's own daemon.

#![allow(clippy::unwrap_used, clippy::panic)]

mod bollard;
mod compose;
mod docker_cli;
mod docker_py;
mod load;

use bulkhead_tests::Served;
use bulkhead_tests::command::Cmd;
use bulkhead_tests::served::SOCKET;

/// The folder of the clients that `scripts/clients.sh` fetched, as the host sees it; `None`: it could not.
fn fetched(api: &Served) -> Option<String> {
    let folder =
        api.host.sh("ls -d /run/host/images/clients-*/docker 2>/dev/null | tail -n 1 || true").stdout();
    folder.strip_suffix("/docker").map(str::to_owned)
}

/// A Python program with these clients in its path.
fn python(api: &Served, folder: &str, program: &str) -> Cmd {
    let script =
        format!("DOCKER_HOST=unix://{SOCKET} PYTHONPATH={folder} PYTHONDONTWRITEBYTECODE=1 python3 -");
    api.host.sh(&script).stdin(program).timeout(120)
}
