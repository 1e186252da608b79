//! `exec`: another program in a container that is there.

use std::path::PathBuf;

use bulkhead_isolation::cgroups::Below;
use bulkhead_isolation::enter::{Container as Entered, enter_listened};
use bulkhead_isolation::trace::Trace;
use bulkhead_isolation::{Kind, cgroups, priorities};
use clap::Args;
use rustix::termios::tcgetwinsize;
use std::os::fd::AsFd;

use super::Context;
use crate::error::{Doing, Error, Result};
use crate::groups;
use crate::launch::write_pid;
use crate::spec::process::{Process, Size, User};
use crate::state::{State, Status};
use crate::{caller, console, foreground};

#[derive(Debug, Args)]
pub(super) struct Exec {
    /// Socket that gets the terminal's own side
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// Working directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// A variable more
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// Whom it runs as, by numbers
    #[arg(short, long, value_name = "UID[:GID]")]
    user: Option<String>,
    /// A group more
    #[arg(short = 'g', long, value_name = "GID")]
    additional_gids: Vec<u32>,
    /// File with a process, in the form of config.json's; - is standard input
    #[arg(short, long, value_name = "FILE")]
    process: Option<PathBuf>,
    /// Return when it runs
    #[arg(short, long)]
    detach: bool,
    /// File that gets its number
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Its SELinux label, where there is SELinux
    #[arg(long, value_name = "LABEL")]
    process_label: Option<String>,
    /// Its AppArmor profile, where there is AppArmor
    #[arg(long, value_name = "PROFILE")]
    apparmor: Option<String>,
    /// execve gives it nothing more
    #[arg(long)]
    no_new_privs: bool,
    /// A capability more
    #[arg(short, long, value_name = "CAPABILITY")]
    cap: Vec<String>,
    /// Descriptors that it gets, from 3 on
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    preserve_fds: u32,
    /// A control group below the container's, which exists; on version 1 for these controllers only
    #[arg(long, value_name = "[CONTROLLER,…:]GROUP")]
    cgroup: Vec<String>,
    /// Do it in a frozen container too, where it waits
    #[arg(long)]
    ignore_paused: bool,
    /// The container
    id: String,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Exec {
    pub(super) fn descriptors(&self) -> u32 {
        self.preserve_fds
    }

    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        if self.args.is_empty() && self.process.is_none() {
            return Err(Error::invalid("exec: a program is needed, or --process"));
        }
        let container = context.store.find(&self.id)?;
        match container.status() {
            Status::Stopped | Status::Creating => {
                return Err(Error::invalid("cannot exec in a stopped container"));
            }
            Status::Paused if !self.ignore_paused => {
                return Err(Error::invalid(
                    "cannot exec in a paused container (use --ignore-paused to override)",
                ));
            }
            _ => {}
        }
        let state = &container.state;
        let described = self.describe(state)?;
        let mut warnings = Vec::new();
        let mut process =
            described.plan(state.seccomp.as_ref(), state.personality.as_ref(), &mut warnings)?;
        let affinity = described.exec_cpu_affinity.as_ref().or(state.process.exec_cpu_affinity.as_ref());
        let affinity = affinity.cloned().unwrap_or_default();
        process.extras.processors = affinity.last()?;
        warnings.iter().for_each(|warning| context.log.warn(warning));
        if let Some(note) = described.note() {
            context.log.note(&note);
        }
        caller::pass_descriptors(&mut process, self.preserve_fds)?;
        let socket = match (&self.console_socket, process.terminal) {
            (Some(path), Some(_)) => Some(console::connect(path)?),
            (None, Some(_)) if self.detach => {
                return Err(Error::invalid(
                    "cannot allocate tty if runc will detach without setting console socket",
                ));
            }
            (Some(_), None) => {
                return Err(Error::invalid(
                    "cannot use console socket if runc will not detach or allocate tty",
                ));
            }
            (None, _) => None,
        };
        let streams = if process.terminal.is_some() { None } else { Some(caller::streams()?) };
        let inbox = if self.detach { None } else { Some(foreground::catch()?) };
        let first = container.first().ok_or(Error::NotRunning)?;
        if !cgroups::folders(&state.cgroup)?.iter().all(|folder| folder.exists()) {
            return Err(Error::invalid(format!("the container's control group {} is gone", state.cgroup)));
        }
        let cgroup = groups::of(state).open_below(&self.groups(state)?)?;
        if let Some(initial) = affinity.initial()? {
            // Children inherit it, and so does whoever is born in the group.
            priorities::run_on(0, &initial)?;
        }
        let entered = Entered { first: first.as_fd(), namespaces: &state.namespaces, cgroup: &cgroup };
        let mut running =
            enter_listened(entered, &process, streams, &mut Trace::new(false), &mut |pid, listener| {
                crate::listener::send(state, Status::Running, pid, &listener)
            })
            .map_err(failed)?;
        let told = match (&socket, running.terminal.take()) {
            (Some(socket), Some(terminal)) => console::send(socket, &terminal),
            (_, terminal) => {
                running.terminal = terminal;
                Ok(())
            }
        };
        let told =
            told.and_then(|()| self.pid_file.as_ref().map_or(Ok(()), |file| write_pid(file, running.pid)));
        if let Err(error) = told {
            let _ = bulkhead_sys::pidfd::send_signal(running.pidfd.as_fd(), 9);
            let _ = bulkhead_sys::pidfd::wait(&running.pidfd, true);
            return Err(error);
        }
        match &inbox {
            Some(inbox) => foreground::wait(running, inbox),
            None => Ok(0),
        }
    }

    /// The groups below the container's that it is to be in.
    fn groups(&self, state: &State) -> Result<Vec<Below>> {
        let below = |text: &String| {
            let (controllers, group) = text.split_once(':').unwrap_or(("", text));
            let controllers =
                controllers.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect();
            Below { controllers, group: group.to_owned() }
        };
        let mut groups: Vec<Below> = self.cgroup.iter().map(below).collect();
        if groups.is_empty() {
            let beside = cgroups::place_beside(&state.cgroup, state.first.pid)?;
            groups.extend(beside.map(|group| Below { controllers: Vec::new(), group }));
        }
        Ok(groups)
    }

    /// The process that is asked for: the file's, or the container's with what the flags say.
    fn describe(&self, state: &State) -> Result<Process> {
        let mut process = match &self.process {
            Some(path) if path.as_os_str() == "-" => crate::spec::read(std::io::stdin(), "the process")?,
            Some(path) => {
                let file = std::fs::File::open(path).doing(|| format!("open {}", path.display()))?;
                crate::spec::read(file, &path.display().to_string())?
            }
            None => {
                let mut own = state.process.clone();
                own.args = Some(self.args.clone());
                own.terminal = Some(self.tty);
                own
            }
        };
        if self.tty {
            process.terminal = Some(true);
        }
        if let Some(cwd) = &self.cwd {
            process.cwd.clone_from(cwd);
        }
        process.env.get_or_insert_default().extend(self.env.iter().cloned());
        if let Some(label) = &self.process_label {
            process.selinux_label = Some(label.clone());
        }
        if let Some(profile) = &self.apparmor {
            process.apparmor_profile = Some(profile.clone());
        }
        if self.no_new_privs {
            process.no_new_privileges = Some(true);
        }
        if let Some(user) = &self.user {
            process.user = Some(parse_user(user, process.user.as_ref())?);
        }
        let groups = process.user.get_or_insert_default().additional_gids.get_or_insert_default();
        groups.extend(&self.additional_gids);
        if !self.cap.is_empty() {
            let sets = process.capabilities.get_or_insert_default();
            for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
                set.get_or_insert_default().extend(self.cap.iter().cloned());
            }
        }
        if process.terminal == Some(true)
            && process.console_size.is_none()
            && let Ok(size) = tcgetwinsize(std::io::stdin())
        {
            process.console_size = Some(Size { height: size.ws_row, width: size.ws_col });
        }
        Ok(process)
    }
}

fn parse_user(text: &str, before: Option<&User>) -> Result<User> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    let number = |what: &str, text: &str| {
        text.parse()
            .map_err(|_| Error::invalid(format!("parsing {text:?} as a {what} number for --user failed")))
    };
    let before = before.cloned().unwrap_or_default();
    Ok(User { uid: number("user", uid)?, gid: number("group", gid)?, ..before })
}

/// As runc says it, whose callers look for that.
fn failed(error: bulkhead_isolation::Error) -> Error {
    let within = match error.kind {
        Kind::NotFound | Kind::NotExecutable => "unable to start container process: ",
        Kind::Container => "",
    };
    Error::invalid(format!("exec failed: {within}{}", error.message))
}
