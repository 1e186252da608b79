//! What a container gets from whoever calls: standard streams, further descriptors.

use std::os::fd::AsFd;

use bulkhead_isolation::Process;
use bulkhead_isolation::birth::Streams;

use crate::error::{Doing, Error, Result};

/// The caller's own standard streams.
pub(crate) fn streams() -> Result<Streams> {
    let own = || -> std::io::Result<Streams> {
        Ok([
            std::io::stdin().as_fd().try_clone_to_owned()?,
            std::io::stdout().as_fd().try_clone_to_owned()?,
            std::io::stderr().as_fd().try_clone_to_owned()?,
        ])
    };
    own().doing(|| "share the standard streams".into())
}

/// Lets `process` have `count` descriptors from 3 on, and before them the sockets that a service manager passed
/// (sd_listen_fds(3)). They must be there already, so this comes before anything is opened.
pub(crate) fn pass_descriptors(process: &mut Process, count: u32) -> Result<()> {
    let listen: u32 = std::env::var("LISTEN_FDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    process.extras.descriptors = listen.saturating_add(count);
    if listen > 0 {
        process.env.retain(|line| !line.starts_with("LISTEN_FDS=") && !line.starts_with("LISTEN_PID="));
        process.env.extend([format!("LISTEN_FDS={listen}"), "LISTEN_PID=1".to_owned()]);
    }
    Ok(())
}

/// Refuses descriptors that are not there: others of ours would be in their place.
pub(crate) fn check_descriptors(count: Option<u32>) -> Result<()> {
    let Some(count) = count else { return Ok(()) };
    let listen: u32 = std::env::var("LISTEN_FDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    for number in 3..3u32.saturating_add(listen).saturating_add(count) {
        if std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err() {
            return Err(Error::invalid(format!(
                "please check that preserved-fd {} (of {}) is present",
                number - 3,
                listen.saturating_add(count)
            )));
        }
    }
    Ok(())
}
