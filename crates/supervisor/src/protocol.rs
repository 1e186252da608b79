//! What clients and a supervisor say to each other: JSON messages over a SOCK_SEQPACKET socket
//! ([`bulkhead_sys::channel`]), with descriptors where data must flow.
//!
//! Data itself never passes through messages. Whoever wants a container's output passes the write end of a
//! pipe; whoever feeds its input, the read end of one. An exec's streams go straight to its program, or its
//! terminal straight to the client, so the supervisor copies nothing for it.

use std::collections::BTreeMap;

use bulkhead_isolation::cgroups::resources::Resources;
use bulkhead_isolation::trace::Lap;
use bulkhead_isolation::{Plan, TerminalSize};
use serde::{Deserialize, Serialize};

use crate::health::Check;
use crate::identity::Identity;
use crate::log_config::LogConfig;
use crate::networks::{Membership, NameService, Publish};
use crate::restart::Restart;
use crate::status::Status;

/// A client's message.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// The first message to a new supervisor: bring this container to life. Descriptors: the plan's handles,
    /// then those of `attach` and of each of `also`.
    Start(Box<Start>),
    /// Connect these streams. Descriptors: a pipe end for each, in this order: input (read end), output,
    /// errors (write ends).
    Attach(Attach),
    /// Send a signal to the first program.
    Signal(i32),
    /// Set the size of the container's terminal.
    Resize {
        /// Height in characters.
        rows: u16,
        /// Width in characters.
        columns: u16,
    },
    /// Run a later program. Descriptors: input, output, errors, unless it has a terminal or is detached.
    Exec(Box<Exec>),
    /// The container has another name from now on.
    Rename {
        /// The name.
        name: String,
        /// Where its link is.
        link: String,
    },
    /// Set these limits. Replied to with `Updated`.
    Update(Box<Resources>),
    /// Freeze or thaw the container.
    Freeze(bool),
    /// Another restart policy, or none: how often it was started again is not changed.
    Restart(Option<Restart>),
    /// When the container ends, or if it has, its restart policy does not start it again.
    StayDown,
    /// The same, since the machine goes down: nobody stopped the container, and a boot starts it again.
    GoDown,
    /// Answer when the container ends.
    Wait,
    /// The running container is on one more network.
    Connect(Box<Membership>),
    /// It is no longer on the network with that ID.
    Disconnect(String),
}

/// A container to be started.
#[derive(Debug, Serialize, Deserialize)]
pub struct Start {
    /// Who it is.
    pub identity: Identity,
    /// Its isolation.
    pub plan: Plan,
    /// The variables that later programs begin with: the first one's, less what only its terminal brings.
    pub later_env: Vec<String>,
    /// How many descriptors are the plan's handles; the last is the container's lock, which the supervisor keeps
    /// until the container has ended.
    pub handles: usize,
    /// Whether the handle before the lock is a socket of nf_tables ([`bulkhead_network::firewall::hand_over`]).
    #[serde(default)]
    pub firewall: bool,
    /// What its network namespace, if it has one of its own, is connected to. A loopback link it has always.
    pub networks: Vec<Membership>,
    /// The ports that are published.
    pub publish: Vec<Publish>,
    /// The file in which the supervisor says which ports it has published: `STATE/published/ID`.
    pub published: String,
    /// The container's name service, if it is on a network that has one.
    pub names: Option<NameService>,
    /// Where the supervisor keeps the [`Status`] and the log: the container's folder on disk.
    pub folder: String,
    /// Where its socket is: the container's folder of this boot.
    pub run_folder: String,
    /// How its output is kept.
    pub log: LogConfig,
    /// Whether the program has an input at all.
    pub open_stdin: bool,
    /// Whether the program's input ends with that of the first client attached to it.
    pub stdin_once: bool,
    /// What the starting client is attached to.
    pub attach: Attach,
    /// What others are attached to from the beginning, who do not hold the container back.
    #[serde(default)]
    pub also: Vec<Attach>,
    /// The command to execute after the container's end, if the client that started it does not stay or has gone: program
    /// and arguments. It removes the container.
    pub finish: Option<Vec<String>>,
    /// Whether the client that started it means to stay until its end, and to do what `finish` does.
    #[serde(default)]
    pub client_stays: bool,
    /// How it is started again after its end, if it has a restart policy.
    #[serde(default)]
    pub restart: Option<Restart>,
    /// How its health is checked, if that is.
    #[serde(default)]
    pub check: Option<Check>,
    /// Where what happens to it is told.
    #[serde(default)]
    pub events: Events,
    /// Whether to take the time of each step.
    pub trace: bool,
}

/// Where what happens to a container is told (see [`events`](crate::events)).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Events {
    /// The file; empty: nowhere.
    pub file: String,
    /// What each event says of the container beside its name: its image and labels.
    pub attributes: BTreeMap<String, String>,
}

/// Streams that a client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// It feeds the container's input.
    pub stdin: bool,
    /// It gets the container's output.
    pub stdout: bool,
    /// It gets the container's errors.
    pub stderr: bool,
}

impl Attach {
    /// How many descriptors come with it.
    pub fn count(self) -> usize {
        usize::from(self.stdin) + usize::from(self.stdout) + usize::from(self.stderr)
    }
}

/// A later program: what of it is not as in the container's own, which the supervisor has.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Exec {
    /// The container that is meant: its full ID or exact name. If it is not this one, nothing runs.
    pub container: String,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `NAME=value` lines beyond the container's, or in place of them; a bare `NAME` takes one away.
    pub env: Vec<String>,
    /// Another working directory, absolute.
    pub cwd: Option<String>,
    /// Another user, in Docker's form.
    pub user: Option<String>,
    /// Its terminal, if it gets one.
    pub terminal: Option<TerminalSize>,
    /// Whether it gets all capabilities and no system call filter.
    pub privileged: bool,
    /// Whether nobody waits for it or sees its output.
    pub detached: bool,
    /// Whether to take the time of each step.
    pub trace: bool,
}

/// The supervisor's message.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The container runs.
    Started {
        /// What could not be had and was left out, a sentence each.
        warnings: Vec<String>,
        /// How long the steps took.
        laps: Vec<Lap>,
        /// Whether files with the IDs of the container's own range may stay on the host when it has gone.
        leaves_ids: bool,
    },
    /// What was asked for could not be done.
    Failed(bulkhead_isolation::Error),
    /// It was done.
    Done,
    /// The limits hold.
    Updated {
        /// What could not be set and was left out, a sentence each.
        warnings: Vec<String>,
    },
    /// The exec runs; its terminal's own side comes with this if it has one.
    ExecStarted {
        /// The container's name.
        container: String,
        /// Its process ID on the host.
        pid: i32,
        /// How long the steps took.
        laps: Vec<Lap>,
    },
    /// Nothing runs: the container that was meant is not this one, or has ended.
    NotMe,
    /// The exec ended, with this code (128 + n for signal n).
    ExecEnded(i32),
    /// The container ended.
    Ended(Box<Status>),
}

/// What supervisors of version 0.1 say and understand: they outlive the commands of their version, and a newer command must
/// be able to manage their containers. A line here is never changed; a new request gets a new name, and what an old supervisor
/// answers to one (`Failed`) must be no reason to fail where its container cannot have what it is about.
#[cfg(test)]
mod of_old {
    use super::{Attach, Exec, Reply, Request};

    #[test]
    fn what_is_asked_is_understood_by_old_supervisors() {
        let exec = Exec { container: "web".into(), args: vec!["sh".into()], ..Exec::default() };
        let exec_in_json = r#"{"Exec":{"container":"web","args":["sh"],"env":[],"cwd":null,"user":null,"terminal":null,"privileged":false,"detached":false,"trace":false}}"#;
        let attach = Attach { stdin: true, stdout: true, stderr: false };
        for (request, json) in [
            (Request::Signal(15), r#"{"Signal":15}"#),
            (Request::Resize { rows: 24, columns: 80 }, r#"{"Resize":{"rows":24,"columns":80}}"#),
            (Request::Freeze(true), r#"{"Freeze":true}"#),
            (Request::Wait, r#""Wait""#),
            (Request::Attach(attach), r#"{"Attach":{"stdin":true,"stdout":true,"stderr":false}}"#),
            (
                Request::Rename { name: "a".into(), link: "/b".into() },
                r#"{"Rename":{"name":"a","link":"/b"}}"#,
            ),
            (Request::Exec(Box::new(exec)), exec_in_json),
        ] {
            assert_eq!(serde_json::to_string(&request).unwrap(), json);
        }
    }

    #[test]
    fn what_old_supervisors_answer_is_understood() {
        let status = r#"{"state":"exited","first":null,"supervisor":{"pid":7,"started":8,"boot":"b"},"started_at":"2026-01-01T00:00:00Z","finished_at":"2026-01-01T00:00:01Z","exit_code":3,"oom_killed":false,"error":""}"#;
        for json in [
            r#""Done""#,
            r#""NotMe""#,
            r#"{"ExecStarted":{"container":"web","pid":5,"laps":[]}}"#,
            r#"{"ExecEnded":7}"#,
            r#"{"Failed":{"step":"exec","message":"no","kind":"NotFound","errno":2}}"#,
            &format!(r#"{{"Ended":{status}}}"#),
        ] {
            serde_json::from_str::<Reply>(json).unwrap();
        }
        let status: crate::status::Status = serde_json::from_str(status).unwrap();
        assert_eq!((status.exit_code, status.restarts, status.stopped), (3, 0, false));
    }
}
