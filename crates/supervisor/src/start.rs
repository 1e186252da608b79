//! How a supervisor begins: its descriptors are sorted, the container is brought to life, and the truth about it is
//! written down before anybody is told.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use bulkhead_isolation::birth::{self, Born};
use bulkhead_isolation::trace::Trace;
use bulkhead_isolation::{Error, Result, Step};
use bulkhead_sys::{pidfd, signals};
use rustix::fs::{Mode, OFlags, open};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::attachments::Attachment;
use crate::client::{SOCKET, address};
use crate::end::remove_group;
use crate::health::{Checks, Health};
use crate::identity::publish;
use crate::input::Input;
use crate::later::Later;
use crate::life::{CHILD_ENDED, Life, TERMINATE};
use crate::log::{Log, Stream};
use crate::names::Names;
use crate::networks::Wiring;
use crate::output::Source;
use crate::protocol::Start;
use crate::sessions::{Sessions, no_streams, null};
use crate::status::{ProcessId, State, Status, now};
use crate::telling::Telling;

impl Life {
    /// Brings the container to life.
    pub(crate) fn begin(
        start: &mut Start,
        mut handles: Vec<OwnedFd>,
        trace: &mut Trace,
    ) -> Result<(Life, Vec<String>)> {
        let step = "supervisor";
        let others: usize = start.also.iter().map(|attach| attach.count()).sum();
        if handles.len() != start.handles + start.attach.count() + others {
            return Err(Error::new(step, "the container's descriptors did not come with it"));
        }
        let mut attached = handles.split_off(start.handles).into_iter();
        if start.firewall && handles.len() >= 2 {
            let socket = handles.remove(handles.len() - 2);
            let adopted = bulkhead_network::firewall::adopt(socket);
            adopted.map_err(|error| Error::new("network", error.to_string()))?;
        }
        let attach = || "attach to the client";
        let owner = attached.by_ref().take(start.attach.count());
        let mut attachments = vec![Attachment::new(start.attach, owner, true).step(step, attach)?];
        for wanted in start.also.drain(..) {
            let streams = attached.by_ref().take(wanted.count());
            attachments.push(Attachment::new(wanted, streams, false).step(step, attach)?);
        }
        let signals =
            signals::descriptor(&[CHILD_ENDED, TERMINATE, 1, 2, 3]).step(step, || "receive signals")?;
        let listener = listen(&start.run_folder).step(step, || format!("listen in {}", start.run_folder))?;
        let log = Log::open(std::mem::take(&mut start.log))?;
        let (streams, ours) = match start.plan.process.terminal {
            Some(_) => (None, Vec::new()),
            None => pipes(start.open_stdin).map(|(theirs, ours)| (Some(theirs), ours))?,
        };
        let later = Later::keep(&start.plan.process, std::mem::take(&mut start.later_env))?;
        trace.lap("supervisor ready");
        let mut wiring = Wiring::prepare(start)?;
        let names = start.names.take().map(|service| Names::new(service, &start.identity.id));
        let mut names = names.transpose()?.map(Box::new);
        let mut unnamed = Vec::new();
        let mut wire = |namespace: BorrowedFd<'_>| {
            wiring.connect_newborn(namespace)?;
            if let Some(names) = &mut names {
                for network in &wiring.memberships {
                    unnamed.append(&mut names.joined(network, namespace)?);
                }
            }
            Ok(())
        };
        let mut born = birth::bring(&start.plan, &handles, streams, &mut wire, trace)?;
        let mut warnings = std::mem::take(&mut born.cgroup.warnings);
        warnings.append(&mut born.warnings);
        warnings.append(&mut unnamed);

        let mut ours = ours.into_iter();
        let terminal = born.first.terminal.take();
        let (sources, input) = match &terminal {
            Some(terminal) => {
                let copy = || terminal.try_clone().step(step, || "share the terminal");
                (vec![Source::new(Stream::Stdout, copy()?)], Some(copy()?).filter(|_| start.open_stdin))
            }
            None => {
                let (stdout, stderr) = (ours.next(), ours.next());
                let output = stdout.map(|fd| Source::new(Stream::Stdout, fd));
                let errors = stderr.map(|fd| Source::new(Stream::Stderr, fd));
                (output.into_iter().chain(errors).collect(), ours.next())
            }
        };
        let sources = sources.into_iter().collect::<io::Result<Vec<_>>>().step(step, || "read the output")?;
        let input =
            Input::new(input, start.stdin_once && terminal.is_none()).step(step, || "write the input")?;
        let status = Status {
            state: State::Running,
            first: Some(ProcessId::of(born.first.pid).step(step, || "look at the first program").or_else(
                |error| {
                    // It may have ended already; then it is a zombie of ours, and the loop will find it.
                    ended_already(&born).ok_or(error)
                },
            )?),
            supervisor: ProcessId::of(std::process::id().cast_signed()).step(step, || "look at ourselves")?,
            started_at: now(),
            finished_at: None,
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            restarts: start.restart.as_ref().map_or(0, |restart| restart.count),
            waited: start.restart.as_ref().map_or(0, |restart| restart.waited),
            stopped: false,
            health: start.check.as_ref().map(|_| Health::UNKNOWN),
        };
        if let Err(error) = status.write(Path::new(&start.folder)) {
            undo_birth(&born, &start.plan.cgroup.path);
            return Err(error).step(step, || format!("write the status in {}", start.folder));
        }
        publish(Path::new(&start.identity.link), Path::new(&start.run_folder));
        trace.lap("status written");
        let checks = start.check.take().map(|check| Checks::begin(check, Path::new(&start.folder)));
        let life = Life {
            // The last handle is the container's lock, ours from now on until the container has ended.
            lock: handles.pop(),
            identity: start.identity.clone(),
            folder: std::mem::take(&mut start.folder),
            run_folder: std::mem::take(&mut start.run_folder),
            cgroup_path: std::mem::take(&mut start.plan.cgroup.path),
            finish: start.finish.take(),
            client_stays: start.client_stays,
            namespaces: std::mem::take(&mut start.plan.namespaces),
            filter: start.plan.process.seccomp.take(),
            later,
            wiring,
            born,
            status,
            ended: false,
            begun: Instant::now(),
            due: None,
            restart: start.restart.take(),
            checks,
            telling: Telling::new(std::mem::take(&mut start.events)),
            signals,
            listener,
            reserve: null().ok(),
            down: false,
            clients: Vec::new(),
            next_client: 1,
            attachments: attachments.into_iter().filter(|attachment| !attachment.is_over()).collect(),
            sources,
            terminal,
            input,
            log,
            sessions: Sessions::default(),
            names,
        };
        life.tell_of_networks("connect");
        life.tell("start", []);
        Ok((life, warnings))
    }
}

/// Ends a container that came to life and cannot be kept. The error that led here is the one to tell.
fn undo_birth(born: &Born, group: &str) {
    let _ = pidfd::send_signal(born.first.pidfd.as_fd(), 9);
    let _ = pidfd::wait(&born.first.pidfd, true);
    remove_group(group);
}

fn ended_already(born: &Born) -> Option<ProcessId> {
    Some(ProcessId { pid: born.first.pid, started: 0, boot: crate::status::boot_id().ok()? })
}

/// The container's ends of its standard streams, and ours: output, errors, input.
fn pipes(open_stdin: bool) -> Result<(birth::Streams, Vec<OwnedFd>)> {
    let pipe = || {
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).step("standard streams", || "make a pipe")
    };
    let ((output, stdout), (errors, stderr)) = (pipe()?, pipe()?);
    let mut ours = vec![output, errors];
    let stdin = if open_stdin {
        let (stdin, input) = pipe()?;
        ours.push(input);
        stdin
    } else {
        let [null, ..] = no_streams()?;
        null
    };
    Ok(([stdin, stdout, stderr], ours))
}

fn listen(run_folder: &str) -> io::Result<OwnedFd> {
    let folder = open(run_folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // One that a killed supervisor left.
    let _ = rustix::fs::unlinkat(&folder, SOCKET, rustix::fs::AtFlags::empty());
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::net::bind(&listener, &address(&folder)?)?;
    rustix::net::listen(&listener, 128)?;
    Ok(listener)
}
