//! The OCI runtime (`bulkhead oci`), by its command line, over bundles that the tests make.

#![allow(clippy::unwrap_used, clippy::panic)]

mod bundle;
mod clauses;
mod containerd;
mod cri;
mod docker;
mod errors;
mod exec;
mod features;
mod grpc;
mod hooks;
mod hostile;
mod lifecycle;
mod listener;
mod mounts;
mod namespaces;
mod podman;
mod process;
mod resources;
mod runc;
mod systemd;
mod terminal;

use bundle::Bundle;
