//! The names of containers on their networks.

pub mod registry;
