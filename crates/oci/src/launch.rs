//! `create` and `run`: a container is made from its bundle.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use bulkhead_isolation::birth::{self, Born, Running};
use bulkhead_isolation::trace::Trace;
use bulkhead_isolation::{Handle, cgroups, hold, hooks};
use clap::Args;

use crate::attendant::Recorder;
use crate::commands::Context;
use crate::error::{Doing, Error, Result, text};
use crate::groups::{self, Place};
use crate::log::now_exactly;
use crate::spec::process::Process;
use crate::spec::{Checked, Spec};
use crate::state::{State, Status, check_id};
use crate::store::{Container, START};
use crate::{caller, console};

/// Flags of `create` and `run`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Folder with config.json, and usually the root file system
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub(crate) bundle: PathBuf,
    /// Socket that gets the terminal's own side
    #[arg(long, value_name = "SOCKET")]
    pub(crate) console_socket: Option<PathBuf>,
    /// File that gets the number of the container's process
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// Refused: without pivot_root the host's files stay in reach
    #[arg(long)]
    pub(crate) no_pivot: bool,
    /// Leave the program the caller's session keyring
    #[arg(long)]
    pub(crate) no_new_keyring: bool,
    /// Descriptors that the program gets, from 3 on
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) preserve_fds: u32,
    /// The container's name
    pub(crate) id: String,
}

/// How the container begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It waits to be started.
    Held,
    /// It runs, and this process goes.
    Detached,
    /// It runs, and this process stays.
    Foreground,
}

/// A container that was made.
pub(crate) struct Launched {
    pub(crate) container: Container,
    pub(crate) first: Running,
}

/// Makes it.
pub(crate) fn launch(context: &mut Context, flags: &Flags, mode: Beginning) -> Result<Launched> {
    check_id(&flags.id)?;
    if flags.no_pivot {
        return Err(Error::unsupported("--no-pivot"));
    }
    let bundle =
        flags.bundle.canonicalize().doing(|| format!("find the bundle {}", flags.bundle.display()))?;
    let spec = Spec::load(&bundle)?;
    let path = spec.linux.as_ref().and_then(|linux| linux.cgroups_path.as_deref());
    let place = Place::choose(path, &flags.id, context.systemd_cgroup, spec.annotations.as_ref())?;
    let mut checked = spec.check(&bundle, &place.path)?;
    checked.warnings.iter().for_each(|warning| context.log.warn(warning));
    if let Some(note) = spec.process.as_ref().and_then(Process::note) {
        context.log.note(&note);
    }
    caller::pass_descriptors(&mut checked.plan.process, flags.preserve_fds)?;
    checked.plan.process.extras.keeps_keyring = flags.no_new_keyring;
    let terminal = checked.plan.process.terminal.is_some();
    let socket = match (&flags.console_socket, terminal) {
        (Some(path), true) => Some(console::connect(path)?),
        (None, true) if mode != Beginning::Foreground => {
            return Err(Error::invalid(
                "cannot allocate tty if runc will detach without setting console socket",
            ));
        }
        (Some(_), false) => {
            return Err(Error::invalid("cannot use console socket if runc will not detach or allocate tty"));
        }
        (None, _) => None,
    };
    let mut container = context.store.create(record(&spec, &checked, flags, &bundle, &place)?)?;
    let group = &place.path;
    let recorded = container.state.clone();
    let mut manager = groups::of(&recorded);
    match manager.is_taken() {
        Ok(false) => {}
        taken => {
            container.remove()?;
            taken?;
            return Err(Error::invalid(format!(
                "container's cgroup is not empty: {group} has processes of somebody else's"
            )));
        }
    }
    let hooks = spec.hooks.clone().unwrap_or_default();
    let mut recorder = Recorder {
        container: &mut container,
        cgroup: checked.plan.cgroup.clone(),
        manager: manager.as_mut(),
        hooks: hooks.create_runtime(),
        began: false,
    };
    let born = bear(&mut checked, &mut recorder, mode);
    let began = recorder.began;
    let finished = born.and_then(|born| {
        finish(&born, flags, socket.as_ref()).map(|()| born).inspect_err(|_| end(&container))
    });
    match finished {
        Ok(born) => {
            born.cgroup.warnings.iter().chain(&born.warnings).for_each(|warning| context.log.warn(warning));
            if mode != Beginning::Held {
                // The specification has it logged, and the container go on.
                let state = container.state.for_hooks(Status::Running);
                for error in hooks::run_all(&container.state.hooks.poststart(), &state) {
                    context.log.warn(&error.to_string());
                }
            }
            Ok(Launched { container, first: born.first })
        }
        Err(error) => {
            // The first error is the one to tell.
            let _ = manager.remove();
            if began {
                for failed in hooks::run_all(&hooks.poststop(), &container.state.for_hooks(Status::Stopped)) {
                    context.log.warn(&failed.to_string());
                }
            }
            let _ = container.remove();
            Err(error)
        }
    }
}

fn bear(checked: &mut Checked, recorder: &mut Recorder<'_>, mode: Beginning) -> Result<Born> {
    if mode == Beginning::Held {
        let listener = hold::listen(recorder.container.folder(), START);
        checked.handles.push(listener.doing(|| "make the socket to be started by".into())?);
        checked.plan.hold = Some(Handle(checked.handles.len() - 1));
    }
    let streams = match checked.plan.process.terminal {
        Some(_) => None,
        None => Some(caller::streams()?),
    };
    let mut trace = Trace::new(false);
    Ok(birth::bring(&checked.plan, &checked.handles, streams, recorder, &mut trace)?)
}

/// What comes after the birth: whoever waits for it is told.
fn finish(born: &Born, flags: &Flags, socket: Option<&OwnedFd>) -> Result<()> {
    if let (Some(socket), Some(terminal)) = (socket, &born.first.terminal) {
        console::send(socket, terminal)?;
    }
    if let Some(file) = &flags.pid_file {
        write_pid(file, born.first.pid)?;
    }
    Ok(())
}

/// Ends what was born and cannot be kept.
fn end(container: &Container) {
    if let Some(first) = container.first() {
        let _ = bulkhead_sys::pidfd::send_signal(first.as_fd(), 9);
        let _ = bulkhead_sys::pidfd::wait(&first, true);
    }
}

/// Writes a process's number into a file that appears whole.
pub(crate) fn write_pid(file: &Path, pid: i32) -> Result<()> {
    let doing = || format!("write the pid file {}", file.display());
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let part = file.with_file_name(format!(".{name}"));
    std::fs::write(&part, pid.to_string()).doing(doing)?;
    std::fs::rename(&part, file).doing(doing)
}

fn record(spec: &Spec, checked: &Checked, flags: &Flags, bundle: &Path, place: &Place) -> Result<State> {
    let linux = spec.linux();
    Ok(State {
        id: flags.id.clone(),
        first: crate::process::ProcessId::default(),
        created: now_exactly(),
        oci_version: spec.oci_version.clone(),
        bundle: text(bundle)?,
        rootfs: checked.rootfs.clone(),
        annotations: spec.annotations.clone().unwrap_or_default(),
        owner: rustix::process::geteuid().as_raw(),
        cgroup: place.path.clone(),
        cgroup_paths: cgroups::folders(&place.path)?,
        unit: place.unit.clone(),
        namespaces: checked.plan.namespaces.clone(),
        process: spec.process.clone().unwrap_or_default(),
        seccomp: linux.seccomp,
        personality: linux.personality,
        hooks: spec.hooks.clone().unwrap_or_default(),
    })
}
