//! The story of a first day with containers, a file for each step, each by its real output. `make demo` walks the
//! same way. A step is run alone by its name: `cargo test -p bulkhead-tests --test story step3`.

#![allow(clippy::unwrap_used, clippy::panic)]

mod step1_own_processes;
mod step2_unseen_neighbours;
mod step3_joined_processes;
mod step4_names;
mod step5_ipc;
mod step6_mounts;
mod step7_networks;
mod step8_who_shares_what;
mod step9_host_image;

/// The PID and command of each line that `ps aux` of busybox prints. Its last column is the command, the first the PID;
/// which are between differs from build to build.
fn processes(ps: &str) -> Vec<(u32, String)> {
    let mut rows = ps.lines().skip_while(|line| !line.contains("PID"));
    let columns = rows.next().map_or(1, |head| head.split_whitespace().count());
    rows.filter_map(|row| {
        let words: Vec<&str> = row.split_whitespace().collect();
        Some((words.first()?.parse().ok()?, command(&words.get(columns - 1..)?.join(" "))))
    })
    .collect()
}

/// busybox's shell runs its own applets without an exec, which `ps` then shows as `{ps} sh`, for lack of their words.
fn command(shown: &str) -> String {
    if shown == "{ps} sh" { "ps aux".to_owned() } else { shown.to_owned() }
}

/// The commands alone.
fn commands(ps: &str) -> Vec<String> {
    processes(ps).into_iter().map(|(_, command)| command).collect()
}
