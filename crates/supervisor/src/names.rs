//! STUB
use std::path::Path;
/// STUB
pub fn forget(_: &Path, _: &str, _: &str) {}
/// STUB
pub fn forget_network(_: &Path, _: &str) {}
