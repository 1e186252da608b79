//! Docker's API (`bulkhead serve`), by the docker command and by plain HTTP.

#![allow(clippy::unwrap_used, clippy::panic)]

mod archives;
mod attach;
mod containers;
mod doors;
mod filters;
mod hostile;
mod images;
mod info;
mod killed;
mod prune;
mod registries;
mod server;
mod sizes;
mod stats;
mod streams;
mod things;
mod tls;
mod userns;
mod wait;

use bulkhead_tests::served::{SOCKET, Served, encoded};
