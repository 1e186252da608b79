//! Docker's API (`bulkhead serve`), by the docker command and by plain HTTP.

#![allow(clippy::unwrap_used, clippy::panic)]

mod archives;
mod attach;
mod containers;
mod filters;
mod images;
mod info;
mod prune;
mod registries;
mod server;
mod sizes;
mod stats;
mod streams;
mod things;
mod wait;

use bulkhead_tests::served::{SOCKET, Served, encoded};
