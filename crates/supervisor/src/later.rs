//! What a later program (exec) begins with: the container's own process, kept small, and what the request changes.
//!
//! The supervisor has the process since the start, so a client need not read the container's configuration to make
//! it anew: an exec carries only what differs. It is kept as the JSON that it came as and read when it is wanted,
//! since most containers wait for an exec that never comes.

use bulkhead_isolation::capabilities::{Capabilities, Set};
use bulkhead_isolation::users::UserSpec;
use bulkhead_isolation::{Extras, Process, Result, Step};

use crate::protocol::Exec;

/// Docker's variable for programs that have a terminal, unless the container says otherwise.
const TERM: &str = "TERM=xterm";

/// The process that later programs begin with, without command, terminal and system call filter.
#[derive(Debug)]
pub(crate) struct Later(Box<[u8]>);

impl Later {
    /// Keeps what later programs have in common with the first one; `env` are the variables they begin with.
    pub(crate) fn keep(first: &Process, env: Vec<String>) -> Result<Later> {
        let common = Process {
            args: Vec::new(),
            env,
            cwd: first.cwd.clone(),
            user: first.user.clone(),
            additional_groups: first.additional_groups.clone(),
            capabilities: first.capabilities,
            no_new_privileges: first.no_new_privileges,
            seccomp: None,
            rlimits: first.rlimits.clone(),
            oom_score_adj: first.oom_score_adj,
            terminal: None,
            extras: Extras::default(),
        };
        let json = serde_json::to_vec(&common).map_err(std::io::Error::from);
        Ok(Later(json.step("exec", || "keep what later programs begin with")?.into_boxed_slice()))
    }

    /// The program that `exec` asks for; `all` are the capabilities that a privileged one gets.
    pub(crate) fn program(&self, exec: &Exec, all: Set) -> Result<Process> {
        let common: Process = serde_json::from_slice(&self.0)
            .map_err(std::io::Error::from)
            .step("exec", || "read what later programs begin with")?;
        Ok(merge(common, exec, all))
    }
}

fn merge(mut process: Process, exec: &Exec, all: Set) -> Process {
    process.args.clone_from(&exec.args);
    process.env = environment(process.env, &exec.env, exec.terminal.is_some());
    if let Some(folder) = &exec.cwd {
        process.cwd.clone_from(folder);
    }
    if let Some(user) = &exec.user {
        process.user = UserSpec(user.clone());
    }
    if exec.privileged {
        process.capabilities = Capabilities::of_root(all);
    }
    process.terminal = exec.terminal;
    process
}

/// Docker's rule: what is asked for replaces what has the same name; a bare name takes it away.
fn environment(mut env: Vec<String>, asked: &[String], terminal: bool) -> Vec<String> {
    if terminal && !env.iter().any(|line| name(line) == name(TERM)) {
        env.push(TERM.into());
    }
    env.retain(|line| !asked.iter().any(|other| name(other) == name(line)));
    env.extend(asked.iter().filter(|line| line.contains('=')).cloned());
    env
}

fn name(line: &str) -> &str {
    line.split('=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Later;
    use crate::protocol::Exec;
    use bulkhead_isolation::capabilities::{Capabilities, Set};
    use bulkhead_isolation::rlimits::Rlimit;
    use bulkhead_isolation::users::UserSpec;
    use bulkhead_isolation::{Extras, Process, TerminalSize};

    const SIZE: TerminalSize = TerminalSize { rows: 24, columns: 80 };

    fn first() -> Process {
        Process {
            args: vec!["server".into()],
            env: vec!["PATH=/bin".into(), "TERM=xterm".into()],
            cwd: "/srv".into(),
            user: UserSpec("web".into()),
            additional_groups: vec!["audio".into()],
            capabilities: Capabilities::of_root(Set::DEFAULT),
            no_new_privileges: true,
            seccomp: None,
            rlimits: vec![Rlimit { name: "nofile".into(), soft: Some(7), hard: None }],
            oom_score_adj: Some(5),
            terminal: Some(SIZE),
            extras: Extras::default(),
        }
    }

    fn program(env: &[&str], exec: &Exec) -> Process {
        let env = env.iter().map(|line| (*line).to_owned()).collect();
        Later::keep(&first(), env).unwrap().program(exec, Set::ALL).unwrap()
    }

    fn exec() -> Exec {
        Exec { args: vec!["sh".into()], ..Exec::default() }
    }

    #[test]
    fn what_is_not_asked_for_is_the_container_s() {
        let expected =
            Process { args: vec!["sh".into()], env: vec!["PATH=/bin".into()], terminal: None, ..first() };
        assert_eq!(program(&["PATH=/bin"], &exec()), expected);
    }

    #[test]
    fn what_is_asked_for_counts() {
        let asked = Exec {
            cwd: Some("/tmp".into()),
            user: Some("0:0".into()),
            privileged: true,
            terminal: Some(SIZE),
            ..exec()
        };
        let program = program(&[], &asked);
        assert_eq!((program.cwd.as_str(), program.user), ("/tmp", UserSpec("0:0".into())));
        assert_eq!(program.capabilities, Capabilities::of_root(Set::ALL));
        assert_eq!(program.terminal, Some(SIZE));
        // No request gives back what the container gave up for good, nor its limits.
        assert!(program.no_new_privileges);
        assert_eq!(program.rlimits, first().rlimits);
    }

    #[test]
    fn variables_are_replaced_added_and_taken_away() {
        let with = |asked: &[&str], terminal| {
            let env = asked.iter().map(|line| (*line).to_owned()).collect();
            program(&["PATH=/bin", "A=1", "B=2"], &Exec { env, terminal, ..exec() }).env
        };
        assert_eq!(with(&["A=x=y", "C=3"], None), ["PATH=/bin", "B=2", "A=x=y", "C=3"]);
        assert_eq!(with(&["A"], None), ["PATH=/bin", "B=2"]);
        assert_eq!(with(&[], Some(SIZE)), ["PATH=/bin", "A=1", "B=2", "TERM=xterm"]);
        assert_eq!(with(&["TERM=vt100"], Some(SIZE)), ["PATH=/bin", "A=1", "B=2", "TERM=vt100"]);
        assert_eq!(program(&["TERM=ansi"], &Exec { terminal: Some(SIZE), ..exec() }).env, ["TERM=ansi"]);
    }
}
