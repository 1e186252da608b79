//! What the machine can do to an engine: damaged and full disks, too few descriptors and processes, too little memory, clocks
//! that jump. What must hold: a clear error, nothing lost, nothing half made.

#![allow(clippy::unwrap_used, clippy::panic)]

mod clocks;
mod damaged_database;
mod disks;
mod limits;
mod many;
