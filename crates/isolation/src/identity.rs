//! What tells a process from a later one with the same number: its start, and the boot. Records on disk hold both.

use std::fs;
use std::io;
use std::sync::OnceLock;

/// The start of the process that has this number now, in clock ticks after boot (field 22 of proc_pid_stat(5)).
///
/// # Errors
/// There is none, or it has ended (a zombie).
pub fn start_of(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    // The name, in parentheses, may hold anything; fields are counted after it. State is field 3.
    let (_, fields) = stat.rsplit_once(')').ok_or_else(bad)?;
    let mut fields = fields.split_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return Err(io::ErrorKind::NotFound.into());
    }
    fields.nth(18).and_then(|text| text.parse().ok()).ok_or_else(bad)
}

/// This boot's ID (random(4)).
///
/// # Errors
/// /proc cannot be read.
pub fn boot_id() -> io::Result<String> {
    // It is asked for once for each container that is looked at, and is always the same.
    static KNOWN: OnceLock<String> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(known.clone());
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned();
    Ok(KNOWN.get_or_init(|| id).clone())
}
