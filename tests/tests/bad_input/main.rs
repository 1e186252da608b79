//! What bad input gets: a clear message on standard error, the right exit code, and nothing left behind.

#![allow(clippy::unwrap_used, clippy::panic)]

mod archives;
mod extremes;
mod interrupted;
mod rootfs;
mod values;
