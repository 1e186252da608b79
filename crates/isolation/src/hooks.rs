//! Programs that whoever orders a container has run on the way to it: the hooks of the OCI runtime specification
//! (config.md, "POSIX-platform Hooks").
//!
//! Some are run by the supervisor, some by the child in its namespaces ([`Plan::hooks`](crate::Plan::hooks)). Each gets
//! the container's state on standard input. What it reads and writes are memory files, not pipes: so it can neither hang
//! for want of a reader nor keep anybody waiting, and only its time has to be bounded.

use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, Step};

const STEP: &str = "hooks";
/// How much of what a failed hook said is told.
const TOLD: u64 = 4096;

/// One program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Its absolute path.
    pub path: String,
    /// Its arguments, its own name first; none: the path alone.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its variables, `NAME=value`; it has no others.
    #[serde(default)]
    pub env: Vec<String>,
    /// After how many seconds it is ended, and the container with it.
    #[serde(default)]
    pub timeout: Option<u64>,
}

/// Runs `hooks` one after the other, each with `state` as its input.
///
/// # Errors
/// The first that cannot be run, fails, or takes too long; the others are not run then.
pub fn run(hooks: &[Hook], state: &[u8]) -> Result<()> {
    hooks.iter().try_for_each(|hook| run_one(hook, state))
}

/// Runs all of `hooks`, whatever becomes of those before, as the specification has it once the program runs. Gives what
/// went wrong.
pub fn run_all(hooks: &[Hook], state: &[u8]) -> Vec<crate::Error> {
    hooks.iter().filter_map(|hook| run_one(hook, state).err()).collect()
}

fn run_one(hook: &Hook, state: &[u8]) -> Result<()> {
    let named = || format!("run the hook {}", hook.path);
    let mut input = memory().step(STEP, named)?;
    input.write_all(state).and_then(|()| input.rewind()).step(STEP, named)?;
    let mut output = memory().step(STEP, named)?;
    let mut command = Command::new(&hook.path);
    if let Some((name, args)) = hook.args.split_first() {
        command.arg0(name).args(args);
    }
    let variables = hook.env.iter().filter_map(|line| line.split_once('='));
    let outputs = output.try_clone().and_then(|one| Ok((one, output.try_clone()?))).step(STEP, named)?;
    let mut child = command
        .env_clear()
        .envs(variables)
        .stdin(Stdio::from(OwnedFd::from(input)))
        .stdout(Stdio::from(OwnedFd::from(outputs.0)))
        .stderr(Stdio::from(OwnedFd::from(outputs.1)))
        .spawn()
        .step(STEP, named)?;
    let ended = wait(&mut child, hook.timeout).step(STEP, named)?;
    let problem = match ended {
        Some(status) if status.success() => return Ok(()),
        Some(status) => status.to_string(),
        None => format!("it has not ended within {} seconds", hook.timeout.unwrap_or_default()),
    };
    let mut said = Vec::new();
    output.rewind().and_then(|()| (&mut output).take(TOLD).read_to_end(&mut said)).step(STEP, named)?;
    let said = String::from_utf8_lossy(&said);
    let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
    Err(Error::new(STEP, format!("error running hook {}: {problem}{said}", hook.path)))
}

fn memory() -> std::io::Result<std::fs::File> {
    Ok(memfd_create("hook", MemfdFlags::CLOEXEC)?.into())
}

/// Waits for its end; `None`: it took too long, and was ended.
fn wait(child: &mut Child, seconds: Option<u64>) -> std::io::Result<Option<ExitStatus>> {
    let Some(seconds) = seconds else { return child.wait().map(Some) };
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(std::io::ErrorKind::InvalidInput)?;
    // It is ours and not reaped, so the number means it.
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let end = std::time::Instant::now() + Duration::from_secs(seconds);
    loop {
        let left = end.saturating_duration_since(std::time::Instant::now());
        let left = rustix::time::Timespec::try_from(left).map_err(|_| std::io::ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(0) => {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            Ok(_) => return child.wait().map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Hook, run};

    fn shell(script: &str, timeout: Option<u64>) -> Hook {
        let args = ["sh", "-c", script].map(str::to_owned).to_vec();
        Hook {
            path: "/bin/sh".into(),
            args,
            env: vec!["WHO=me".into(), "PATH=/bin:/usr/bin".into()],
            timeout,
        }
    }

    #[test]
    fn a_hook_reads_the_state_and_its_own_variables() {
        run(&[shell("test \"$(cat)\" = state && test \"$WHO\" = me && test -z \"$HOME\"", None)], b"state")
            .unwrap();
    }

    #[test]
    fn one_that_fails_is_told_with_what_it_said_and_the_next_is_not_run() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let next = shell(&format!("echo ran > {}", file.path().display()), None);
        let error = run(&[shell("echo a reason >&2; exit 3", None), next], b"").unwrap_err();
        assert!(error.message.contains("exit status: 3: a reason"), "{error}");
        assert_eq!(std::fs::read(file.path()).unwrap(), b"");
    }

    #[test]
    fn one_that_hangs_is_ended_even_if_it_is_given_more_than_it_reads() {
        let error = run(&[shell("exec sleep 1000", Some(1))], &vec![b'x'; 1 << 20]).unwrap_err();
        assert!(error.message.contains("has not ended within 1 seconds"), "{error}");
        assert!(run(&[Hook { path: "/nothing/here".into(), ..Hook::default() }], b"").is_err());
    }
}
