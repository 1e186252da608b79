//! A container's life, seen from its supervisor: birth, one poll loop, the end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use bulkhead_isolation::birth::{self, Born};
use bulkhead_isolation::enter::Container;
use bulkhead_isolation::namespaces::{Namespaces, pid::PidNamespace};
use bulkhead_isolation::trace::Trace;
use bulkhead_isolation::{Error, Result, Step, cgroups};
use bulkhead_sys::pidfd::{self, Ended};
use bulkhead_sys::{channel, memory, signals};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::attachments::Attachment;
use crate::client::{SOCKET, address};
use crate::input::Input;
use crate::log::{Log, Stream};
use crate::output::Source;
use crate::protocol::{Attach, Exec, Reply, Request, Start};
use crate::sessions::{Sessions, no_streams};
use crate::status::{ProcessId, State, Status, now};

const CHILD_ENDED: i32 = 17;
const TERMINATE: i32 = 15;

/// Runs one container, as the first message on standard input says, until it has ended.
pub fn supervise() -> ExitCode {
    match stand_alone().and_then(|first| Ok((first.try_clone()?, channel::receive(&first)?))) {
        Ok((first, Some(message))) => match serde_json::from_slice(&message.body) {
            Ok(Request::Start(start)) => live(*start, message.fds, first),
            _ => ExitCode::from(125),
        },
        // Whoever started us has gone before saying what for.
        _ => ExitCode::from(125),
    }
}

/// Leaves the starter's session, and takes the connection off standard input.
fn stand_alone() -> io::Result<OwnedFd> {
    bulkhead_sys::process::close_from(3)?;
    let first = rustix::stdio::stdin().try_clone_to_owned()?;
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::process::setsid()?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::thread::set_name(c"bulkhead-superv")?;
    Ok(first)
}

fn live(mut start: Start, fds: Vec<OwnedFd>, first: OwnedFd) -> ExitCode {
    let mut trace = Trace::new(start.trace);
    match Life::begin(&mut start, fds, &mut trace) {
        Ok((mut life, warnings)) => {
            reply(&first, &Reply::Started { warnings, laps: trace.into_laps() }, &[]);
            life.clients.push(Client { number: 0, socket: first, waits: true });
            drop(start);
            memory::trim();
            let finish = life.run();
            finish_by(finish)
        }
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(125);
            reply(&first, &Reply::Failed(error), &[]);
            let _ = rustix::fs::unlink(format!("{}/{SOCKET}", start.run_folder));
            ExitCode::from(code)
        }
    }
}

/// Becomes the command that removes the container, if nobody else will.
fn finish_by(command: Option<Vec<String>>) -> ExitCode {
    use std::os::unix::process::CommandExt;
    let Some((program, args)) = command.as_ref().and_then(|words| words.split_first()) else {
        return ExitCode::SUCCESS;
    };
    let failed = std::process::Command::new(program).args(args).env_clear().exec();
    ExitCode::from(if failed.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}

/// Answers; a client that has gone needs none.
fn reply(socket: impl AsFd, reply: &Reply, fds: &[BorrowedFd<'_>]) {
    if let Ok(body) = serde_json::to_vec(reply) {
        let _ = channel::send(socket, &body, fds);
    }
}

struct Client {
    number: u64,
    socket: OwnedFd,
    /// Whether it is told of the container's end.
    waits: bool,
}

struct Life {
    lock: Option<OwnedFd>,
    folder: String,
    run_folder: String,
    cgroup_path: String,
    finish: Option<Vec<String>>,
    namespaces: Namespaces,
    born: Born,
    status: Status,
    ended: bool,
    signals: OwnedFd,
    listener: OwnedFd,
    clients: Vec<Client>,
    next_client: u64,
    attachments: Vec<Attachment>,
    sources: Vec<Source>,
    terminal: Option<OwnedFd>,
    input: Input,
    log: Log,
    sessions: Sessions,
}

impl Life {
    /// Brings the container to life.
    fn begin(start: &mut Start, mut handles: Vec<OwnedFd>, trace: &mut Trace) -> Result<(Life, Vec<String>)> {
        let step = "supervisor";
        if handles.len() != start.handles + start.attach.count() {
            return Err(Error::new(step, "the container's descriptors did not come with it"));
        }
        let attached = handles.split_off(start.handles);
        let attachment =
            Attachment::new(start.attach, attached, true).step(step, || "attach to the client")?;
        let signals =
            signals::descriptor(&[CHILD_ENDED, TERMINATE, 1, 2, 3]).step(step, || "receive signals")?;
        let listener = listen(&start.run_folder).step(step, || format!("listen in {}", start.run_folder))?;
        let log = Log::open(start.log.as_deref()).step(step, || "open the container's log")?;
        let (streams, ours) = match start.plan.process.terminal {
            Some(_) => (None, Vec::new()),
            None => pipes(start.open_stdin).map(|(theirs, ours)| (Some(theirs), ours))?,
        };
        trace.lap("supervisor ready");
        let endpoints = std::mem::take(&mut start.endpoints);
        let mut wire = |namespace: BorrowedFd<'_>| wire(namespace, &endpoints);
        let mut born = birth::bring(&start.plan, &handles, streams, &mut wire, trace)?;
        let warnings = std::mem::take(&mut born.cgroup.warnings);

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
        };
        if let Err(error) = status.write(Path::new(&start.folder)) {
            undo_birth(&born, &start.plan.cgroup.path);
            return Err(error).step(step, || format!("write the status in {}", start.folder));
        }
        trace.lap("status written");
        let life = Life {
            // The last handle is the container's lock, ours from now on until the container has ended.
            lock: handles.pop(),
            folder: std::mem::take(&mut start.folder),
            run_folder: std::mem::take(&mut start.run_folder),
            cgroup_path: std::mem::take(&mut start.plan.cgroup.path),
            finish: start.finish.take(),
            namespaces: std::mem::take(&mut start.plan.namespaces),
            born,
            status,
            ended: false,
            signals,
            listener,
            clients: Vec::new(),
            next_client: 1,
            attachments: Some(attachment).filter(|a| !a.is_over()).into_iter().collect(),
            sources,
            terminal,
            input,
            log,
            sessions: Sessions::default(),
        };
        Ok((life, warnings))
    }

    /// The loop. Gives the command to execute last, if any.
    fn run(&mut self) -> Option<Vec<String>> {
        while !self.ended || self.attachments.iter().any(Attachment::waits) {
            let ready = self.wait_for_something(None);
            for event in ready {
                self.handle(event);
            }
            self.attachments.retain(|attachment| !attachment.is_over());
        }
        self.answer_the_last();
        self.clean_up();
        let owner_is_here = self.clients.iter().any(|client| client.number == 0);
        self.finish.take().filter(|_| !owner_is_here)
    }

    /// Sleeps until there is something to do: no timer ever wakes an idle supervisor.
    fn wait_for_something(&self, timeout: Option<&Timespec>) -> Vec<Event> {
        let mut wanted: Vec<PollFd<'_>> = Vec::new();
        let mut events: Vec<Event> = Vec::new();
        let mut want = |fd, flags: PollFlags, event: Event| {
            wanted.push(PollFd::from_borrowed_fd(fd, flags));
            events.push(event);
        };
        want(self.signals.as_fd(), PollFlags::IN, Event::Signal);
        want(self.listener.as_fd(), PollFlags::IN, Event::Connection);
        for client in &self.clients {
            want(client.socket.as_fd(), PollFlags::IN, Event::Message(client.number));
        }
        if !self.attachments.iter().any(Attachment::holds_back) {
            for (index, source) in self.sources.iter().enumerate() {
                want(source.fd.as_fd(), PollFlags::IN, Event::Output(index));
            }
        }
        for (index, attachment) in self.attachments.iter().enumerate() {
            if let Some(stdin) = attachment.stdin.as_ref().filter(|_| self.input.hungry()) {
                want(stdin.as_fd(), PollFlags::IN, Event::Input(index));
            }
            for (stream, sink) in [(Stream::Stdout, &attachment.stdout), (Stream::Stderr, &attachment.stderr)]
            {
                if let Some(sink) = sink {
                    let flags = if sink.waits() { PollFlags::OUT } else { PollFlags::empty() };
                    want(sink.pipe.as_fd(), flags, Event::Room(index, stream));
                }
            }
        }
        if let Some(fd) = self.input.blocked() {
            want(fd.as_fd(), PollFlags::OUT, Event::InputRoom);
        }
        for (index, session) in self.sessions.all.iter().enumerate() {
            if let Some(terminal) = &session.unread {
                want(terminal.as_fd(), PollFlags::IN, Event::Unread(index));
            }
        }
        match poll(&mut wanted, timeout) {
            Ok(_) => {
                let ready = wanted.iter().map(|fd| !fd.revents().is_empty());
                events.into_iter().zip(ready).filter(|(_, ready)| *ready).map(|(event, _)| event).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Signal => self.signalled(),
            Event::Connection => self.welcome(),
            Event::Message(number) => self.hear(number),
            Event::Output(index) => {
                let Some(source) = self.sources.get(index) else { return };
                match source.pump(&mut self.log, &mut self.attachments) {
                    Ok(true) => {}
                    Ok(false) => self.close_source(index),
                    Err(error) => self.status.error = format!("cannot keep the log: {error}"),
                }
            }
            Event::Input(index) => {
                if let Some(attachment) = self.attachments.get_mut(index) {
                    self.input.take(attachment);
                }
            }
            Event::Room(index, stream) => {
                let Some(attachment) = self.attachments.get_mut(index) else { return };
                let sink = match stream {
                    Stream::Stdout => &mut attachment.stdout,
                    Stream::Stderr => &mut attachment.stderr,
                };
                let open = sink.as_mut().is_some_and(|sink| sink.waits() && sink.flush());
                if !open {
                    *sink = None;
                }
            }
            Event::InputRoom => self.input.flush(),
            Event::Unread(index) => {
                let Some(session) = self.sessions.all.get_mut(index) else { return };
                let mut nowhere = [0u8; 4096];
                let over = session.unread.as_ref().is_none_or(|terminal| {
                    matches!(rustix::io::read(terminal, &mut nowhere), Ok(0) | Err(rustix::io::Errno::IO))
                });
                if over {
                    session.unread = None;
                }
            }
        }
    }

    /// A stream that has ended ends for its readers too.
    fn close_source(&mut self, index: usize) {
        if index >= self.sources.len() {
            return;
        }
        // Indices of later events of this round must stay valid: one source is closed per round at most.
        let closed = self.sources.remove(index).stream;
        if !self.sources.iter().any(|source| source.stream == closed) {
            for attachment in &mut self.attachments {
                match closed {
                    Stream::Stdout if attachment.stdout.as_ref().is_some_and(|sink| !sink.waits()) => {
                        attachment.stdout = None;
                    }
                    Stream::Stderr if attachment.stderr.as_ref().is_some_and(|sink| !sink.waits()) => {
                        attachment.stderr = None;
                    }
                    _ => {}
                }
            }
        }
    }

    fn signalled(&mut self) {
        while let Ok(Some(signal)) = signals::read(&self.signals) {
            if signal == TERMINATE {
                let _ = pidfd::send_signal(self.born.first.pidfd.as_fd(), TERMINATE);
            }
        }
        for (client, code) in self.sessions.reap() {
            self.answer(client, &Reply::ExecEnded(code), &[]);
        }
        if !self.ended
            && let Ok(Some(end)) = pidfd::wait(&self.born.first.pidfd, false)
        {
            self.end(end);
        }
    }

    /// The container has ended: the truth goes to disk first, then to whoever waits.
    fn end(&mut self, end: Ended) {
        self.ended = true;
        if !matches!(self.namespaces.pid, PidNamespace::New) {
            // Its PID namespace lives on: what it left there does not go with its first program.
            if let Err(error) = cgroups::kill_all(&self.cgroup_path) {
                self.status.error = error.message;
            }
        }
        for source in std::mem::take(&mut self.sources) {
            if let Err(error) = source.drain(&mut self.log, &mut self.attachments) {
                self.status.error = format!("cannot keep the log: {error}");
            }
        }
        if let Err(error) = self.log.finish() {
            self.status.error = format!("cannot keep the log: {error}");
        }
        self.status.state = State::Exited;
        self.status.first = None;
        self.status.exit_code = end.code();
        self.status.finished_at = Some(now());
        self.status.oom_killed = self.born.cgroup.oom_kills() > 0;
        // A full disk must not lose the exit code for those who wait: they are told all the same.
        if let Err(error) = self.status.write(Path::new(&self.folder)) {
            self.status.error = format!("cannot write the container's status: {error}");
        }
        // From here on nothing is written to the container's folder: it can be removed while we clear the rest away.
        self.lock = None;
        let told = Reply::Ended(Box::new(self.status.clone()));
        for client in self.clients.iter().filter(|client| client.waits) {
            reply(&client.socket, &told, &[]);
        }
        for attachment in &mut self.attachments {
            attachment.stdin = None;
            for sink in [&mut attachment.stdout, &mut attachment.stderr] {
                if sink.as_ref().is_some_and(|sink| !sink.waits()) {
                    *sink = None;
                }
            }
        }
    }

    /// Answers what was asked while the container ended, so that nobody who was heard is left without an answer.
    fn answer_the_last(&mut self) {
        for _ in 0..64 {
            let asked = self.wait_for_something(Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
            let asked: Vec<Event> =
                asked.into_iter().filter(|e| matches!(e, Event::Connection | Event::Message(_))).collect();
            if asked.is_empty() {
                return;
            }
            for event in asked {
                self.handle(event);
            }
        }
    }

    /// What goes after everybody has their answer: the group and the socket.
    fn clean_up(&mut self) {
        let _ = rustix::fs::unlink(format!("{}/{SOCKET}", self.run_folder));
        let _ = rustix::fs::rmdir(&*self.run_folder);
        remove_group(&self.cgroup_path);
    }

    fn welcome(&mut self) {
        let Ok(socket) = rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC) else { return };
        self.clients.push(Client { number: self.next_client, socket, waits: false });
        self.next_client += 1;
    }

    fn answer(&self, number: u64, word: &Reply, fds: &[BorrowedFd<'_>]) {
        if let Some(client) = self.clients.iter().find(|client| client.number == number) {
            reply(&client.socket, word, fds);
        }
    }

    fn hear(&mut self, number: u64) {
        let Some(client) = self.clients.iter().find(|client| client.number == number) else { return };
        let message = match channel::receive(&client.socket) {
            Ok(Some(message)) => message,
            Ok(None) | Err(_) => {
                self.clients.retain(|client| client.number != number);
                return;
            }
        };
        let answer = match serde_json::from_slice(&message.body) {
            Ok(request) => self.fulfil(request, message.fds, number),
            Err(error) => Err(Error::new("request", format!("cannot understand the request: {error}"))),
        };
        match answer {
            Ok(None) => {}
            Ok(Some((word, fd))) => {
                let fds: Vec<BorrowedFd<'_>> = fd.iter().map(AsFd::as_fd).collect();
                self.answer(number, &word, &fds);
            }
            Err(error) => self.answer(number, &Reply::Failed(error), &[]),
        }
    }

    fn fulfil(
        &mut self,
        request: Request,
        fds: Vec<OwnedFd>,
        number: u64,
    ) -> Result<Option<(Reply, Option<OwnedFd>)>> {
        let done = Ok(Some((Reply::Done, None)));
        match request {
            Request::Start(_) => Err(Error::new("request", "this supervisor has its container already")),
            Request::Signal(signal) => {
                pidfd::send_signal(self.born.first.pidfd.as_fd(), signal)
                    .step("signal", || format!("send signal {signal} to the container"))?;
                // A frozen process (version 1) dies only when it is thawed.
                if signal == 9 && self.status.state == State::Paused {
                    self.born.cgroup.freeze(false)?;
                }
                done
            }
            Request::Resize { rows, columns } => {
                self.resize(rows, columns)?;
                done
            }
            Request::Freeze(frozen) => {
                self.born.cgroup.freeze(frozen)?;
                self.status.state = if frozen { State::Paused } else { State::Running };
                self.status
                    .write(Path::new(&self.folder))
                    .step("status", || "write the container's status")?;
                done
            }
            Request::Attach(wanted) => {
                self.attach(wanted, fds)?;
                done
            }
            Request::Wait if self.ended => Ok(Some((Reply::Ended(Box::new(self.status.clone())), None))),
            Request::Wait => {
                for client in self.clients.iter_mut().filter(|client| client.number == number) {
                    client.waits = true;
                }
                Ok(None)
            }
            Request::Exec(exec) => self.exec(&exec, fds, number).map(Some),
        }
    }

    fn attach(&mut self, wanted: Attach, fds: Vec<OwnedFd>) -> Result<()> {
        let mut attachment = Attachment::new(wanted, fds, false).step("attach", || "attach to the client")?;
        if self.terminal.is_some() {
            attachment.stderr = None;
        }
        self.attachments.push(attachment);
        Ok(())
    }

    fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        let Some(terminal) = &self.terminal else { return Ok(()) };
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(terminal, size).step("terminal", || "resize the terminal")
    }

    fn exec(&mut self, exec: &Exec, fds: Vec<OwnedFd>, number: u64) -> Result<(Reply, Option<OwnedFd>)> {
        if self.ended {
            return Err(Error::new("exec", "the container is not running"));
        }
        if self.status.state == State::Paused {
            return Err(Error::new("exec", "the container is paused: unpause it before exec"));
        }
        let container = Container {
            first: self.born.first.pidfd.as_fd(),
            namespaces: &self.namespaces,
            cgroup: &self.born.cgroup,
        };
        let begun = self.sessions.begin(container, exec, fds, number)?;
        Ok((Reply::ExecStarted { pid: begun.pid, laps: begun.laps }, begun.terminal))
    }
}

enum Event {
    Signal,
    Connection,
    Message(u64),
    Output(usize),
    Input(usize),
    Room(usize, Stream),
    InputRoom,
    Unread(usize),
}

/// Ends a container that came to life and cannot be kept. The error that led here is the one to tell.
fn undo_birth(born: &Born, group: &str) {
    let _ = pidfd::send_signal(born.first.pidfd.as_fd(), 9);
    let _ = pidfd::wait(&born.first.pidfd, true);
    remove_group(group);
}

/// Removes the control group, once the last processes of it are on their way out.
fn remove_group(path: &str) {
    for _ in 0..100 {
        match cgroups::remove(path) {
            Ok(()) => break,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(2)),
        }
    }
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

/// Connects the new network namespace: a loopback link, and whatever networks it is on.
fn wire(namespace: BorrowedFd<'_>, endpoints: &[bulkhead_network::endpoint::Endpoint]) -> Result<()> {
    let failed = |error: bulkhead_network::Error| Error::new("network", error.to_string());
    if endpoints.is_empty() {
        return bulkhead_network::endpoint::loopback_up(namespace).map_err(failed);
    }
    for endpoint in endpoints {
        bulkhead_network::endpoint::attach(namespace, endpoint).map_err(failed)?;
    }
    Ok(())
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
