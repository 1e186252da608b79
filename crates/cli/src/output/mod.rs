//! What people and scripts read: tables, JSON and templates; sizes, durations and times; filters.
//!
//! Docker's output is an interface: scripts cut its columns, read its `4.26MB` and its `About a minute ago`, and
//! match its messages. So each file here holds one of its rules to the letter, with Docker's own output (28.2) as
//! the test, and commands print in no other way.
//!
//! ```text
//! a command's rows (JSON objects) ── format ──▶ table, JSON lines, template, --quiet
//!                                     │  └─ table     tabs become columns
//!                                     └──── template  (the neighbouring module)
//! a command's objects ───────────── inspect ──▶ indented JSON, template
//!
//! what the cells hold     units      4.26MB, 1.5GiB            ellipsis   /docker-entrypoint.…, 4c01db0b339c
//!                         durations  About a minute, 1h2m3.5s  times      2023-11-14 22:13:20 +0000 UTC
//! what the flags hold     filters    --filter label=a=b        units, durations, times read as well
//! ```

pub mod durations;
pub mod ellipsis;
pub(crate) mod filters;
pub mod format;
pub mod inspect;
pub(crate) mod ports;
pub(crate) mod progress;
pub mod table;
pub mod times;
pub(crate) mod transfer;
pub mod units;
