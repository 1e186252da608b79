//! What the engine does beyond the story, a file for each subject.

#![allow(clippy::unwrap_used, clippy::panic)]

mod attach;
mod boot;
mod capabilities;
mod commit;
mod copy_up;
mod cp;
mod cp_attacks;
mod descriptors;
mod devices;
mod diff;
mod docker_flags;
mod events;
mod exec;
mod export;
mod groups;
mod habits;
mod health;
mod history;
mod image_archives;
mod image_config;
mod image_names;
mod image_prune;
mod lifecycle;
mod limits;
mod listing;
mod log_drivers;
mod log_rotation;
mod logs;
mod nested;
mod privileges;
mod proc_and_sys;
mod regressions;
mod rename;
mod restart;
mod restart_policy;
mod save;
mod seccomp;
mod signals;
mod stats;
mod stdio;
mod supervisor;
mod system;
mod top;
mod update;
mod upgrade;
mod volume;
mod volume_options;
mod volumes_from;

/// `run --rm FLAGS… IMAGE sh -c SCRIPT`.
fn sh(host: &bulkhead_tests::Host, flags: &[&str], image: &str, script: &str) -> bulkhead_tests::Cmd {
    let run = ["run", "--rm"].into_iter().chain(flags.iter().copied());
    host.bulkhead(run.chain([image, "sh", "-c", script]))
}
