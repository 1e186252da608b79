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

/// The PID and command of each line that `ps aux` of busybox prints.
fn processes(ps: &str) -> Vec<(u32, String)> {
    let rows = ps.lines().skip_while(|line| !line.contains("PID")).skip(1);
    rows.filter_map(|row| {
        let mut words = row.split_whitespace();
        let pid = words.next()?.parse().ok()?;
        // USER and TIME (and, in some builds, VSZ and STAT) stand between.
        let rest: Vec<&str> = words.skip(1).skip_while(|word| !word.contains(':')).skip(1).collect();
        Some((pid, rest.join(" ")))
    })
    .collect()
}

/// The commands alone.
fn commands(ps: &str) -> Vec<String> {
    processes(ps).into_iter().map(|(_, command)| command).collect()
}
