//! The names of containers on their networks.

pub mod answer;
pub mod registry;
