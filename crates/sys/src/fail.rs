//! Fail points: named places in the code at which a test has this process killed, as by SIGKILL from outside, to see that
//! what is left can be repaired. They are compiled in with the feature `fail-points` only, which no release has; without it a
//! point is nothing.
//!
//! `BULKHEAD_FAIL_AT=NAME` names the point. A process that dies there first appends the name to the file
//! `BULKHEAD_FAIL_LOG`, if it sees that file: so the test knows that the point was met, and by how many.

/// The variables, which supervisors are given too.
#[cfg(feature = "fail-points")]
const VARIABLES: [&str; 2] = ["BULKHEAD_FAIL_AT", "BULKHEAD_FAIL_LOG"];

/// A place at which this process can be killed. Its name says what has just been done.
#[inline]
pub fn point(name: &str) {
    #[cfg(feature = "fail-points")]
    if std::env::var_os(VARIABLES[0]).is_some_and(|wanted| wanted == name) {
        die(name);
    }
    #[cfg(not(feature = "fail-points"))]
    let _ = name;
}

#[cfg(feature = "fail-points")]
fn die(name: &str) {
    use std::io::Write;
    if let Some(log) = std::env::var_os(VARIABLES[1])
        && let Ok(mut log) = std::fs::File::options().append(true).open(log)
    {
        // Whether it is told or not, it happens.
        let _ = writeln!(log, "{name}");
    }
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // PID 1 of a namespace cannot kill itself so; to everybody else its end looks the same.
    crate::process::exit_now(137);
}

/// What a process that is started with no variables must have all the same, for the points in it.
pub fn environment() -> Vec<(String, String)> {
    #[cfg(feature = "fail-points")]
    return VARIABLES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect();
    #[cfg(not(feature = "fail-points"))]
    Vec::new()
}
