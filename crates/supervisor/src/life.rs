//! A container's life, seen from its supervisor: birth, one poll loop, the end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::Instant;

use bulkhead_isolation::birth::Born;
use bulkhead_isolation::cgroups::supervisors;
use bulkhead_isolation::namespaces::Namespaces;
use bulkhead_isolation::seccomp::Program;
use bulkhead_isolation::trace::Trace;
use bulkhead_sys::pidfd;
use bulkhead_sys::{channel, memory, signals};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};

use crate::attachments::Attachment;
use crate::client::SOCKET;
use crate::health::Checks;
use crate::identity::Identity;
use crate::input::Input;
use crate::later::Later;
use crate::log::{Log, Stream};
use crate::names::{self, Names};
use crate::networks::{Token, Wiring};
use crate::output::Source;
use crate::protocol::{Reply, Request, Start};
use crate::restart::Restart;
use crate::sessions::Sessions;
use crate::status::Status;
use crate::telling::Telling;

pub(crate) const CHILD_ENDED: i32 = 17;
pub(crate) const TERMINATE: i32 = 15;

/// Runs one container, as the first message on standard input says, until it has ended.
pub fn supervise() -> ExitCode {
    match stand_alone().and_then(|first| Ok((first.try_clone()?, channel::receive(&first)?))) {
        Ok((first, Some(message))) => match serde_json::from_slice(&message.body) {
            Ok(Request::Start(start)) => live(*start, message.fds, first),
            _ => {
                let why =
                    "bulkhead and bulkhead-supervisor are not of the same version: install both together";
                reply(&first, &Reply::Failed(bulkhead_isolation::Error::new("supervisor", why)), &[]);
                ExitCode::from(125)
            }
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
    // Root needs no groups beyond its own, and what it does for a container must not be done with those of a login.
    rustix::thread::set_thread_groups(&[])?;
    rustix::process::setsid()?;
    // Where that is not allowed, it stays in its starter's.
    let _ = supervisors::enter();
    // It talks to as many clients as it may; what it starts is given limits of its own.
    let mut files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    files.current = files.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, files)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::thread::set_name(c"bulkhead-superv")?;
    Ok(first)
}

fn live(mut start: Start, fds: Vec<OwnedFd>, first: OwnedFd) -> ExitCode {
    let mut trace = Trace::new(start.trace);
    match Life::begin(&mut start, fds, &mut trace) {
        Ok((mut life, warnings)) => {
            let leaves_ids = life.born.leaves_ids;
            reply(&first, &Reply::Started { warnings, laps: trace.into_laps(), leaves_ids }, &[]);
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
    let failed = std::process::Command::new(program)
        .args(args)
        .env_clear()
        .envs(bulkhead_sys::fail::environment())
        .exec();
    ExitCode::from(if failed.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}

/// Answers; a client that has gone needs none.
pub(crate) fn reply(socket: impl AsFd, reply: &Reply, fds: &[BorrowedFd<'_>]) {
    if let Ok(body) = serde_json::to_vec(reply) {
        let _ = channel::send(socket, &body, fds);
    }
}

pub(crate) struct Client {
    pub(crate) number: u64,
    pub(crate) socket: OwnedFd,
    /// Whether it is told of the container's end.
    pub(crate) waits: bool,
}

/// A container and all that belongs to it.
pub(crate) struct Life {
    pub(crate) identity: Identity,
    pub(crate) lock: Option<OwnedFd>,
    pub(crate) folder: String,
    pub(crate) run_folder: String,
    pub(crate) cgroup_path: String,
    pub(crate) finish: Option<Vec<String>>,
    pub(crate) client_stays: bool,
    pub(crate) namespaces: Namespaces,
    pub(crate) filter: Option<Program>,
    pub(crate) later: Later,
    /// Its place on its networks.
    pub(crate) wiring: Wiring,
    pub(crate) born: Born,
    pub(crate) status: Status,
    pub(crate) ended: bool,
    /// When this run began.
    pub(crate) begun: Instant,
    /// When the next run is to begin, after the end of this one.
    pub(crate) due: Option<Instant>,
    pub(crate) restart: Option<Restart>,
    pub(crate) checks: Option<Checks>,
    pub(crate) telling: Telling,
    pub(crate) signals: OwnedFd,
    pub(crate) listener: OwnedFd,
    /// Kept for when there are no descriptors left.
    pub(crate) reserve: Option<OwnedFd>,
    /// Whether this end is not followed by another run.
    pub(crate) down: bool,
    pub(crate) clients: Vec<Client>,
    pub(crate) next_client: u64,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) sources: Vec<Source>,
    pub(crate) terminal: Option<OwnedFd>,
    pub(crate) input: Input,
    pub(crate) log: Log,
    pub(crate) sessions: Sessions,
    pub(crate) names: Option<Box<Names>>,
}

impl Life {
    /// The loop. Gives the command to execute last, if any.
    fn run(&mut self) -> Option<Vec<String>> {
        while !self.is_over() {
            let ready = self.wait_for_something(self.alarm().as_ref());
            for event in ready {
                self.handle(event);
            }
            self.check_health();
            self.wiring.proxy.tidy();
            if let Some(names) = &mut self.names {
                names.pass_time();
            }
            self.attachments.retain(|attachment| !attachment.is_over());
        }
        self.last_command()
    }

    /// How long until something is due by the clock: no timer ever wakes the supervisor of a container whose health is
    /// not checked, which does not wait to be started again, whose ports the kernel leads to it, and for which nobody is being
    /// asked for names.
    fn alarm(&self) -> Option<Timespec> {
        let check = self.checks.as_ref().filter(|_| !self.ended).and_then(Checks::due);
        let again = self.due.filter(|_| !self.attachments.iter().any(Attachment::holds_on));
        let names = self.names.as_ref().and_then(|names| names.due());
        let due = check.into_iter().chain(again).chain(names).chain(self.wiring.proxy.due()).min()?;
        let left = due.saturating_duration_since(Instant::now());
        Some(Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        })
    }

    /// Sleeps until there is something to do.
    pub(crate) fn wait_for_something(&self, timeout: Option<&Timespec>) -> Vec<Event> {
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
        if let Some((socket, flags)) = self.log.watched() {
            want(socket, flags, Event::Log);
        }
        if !self.log.holds_back() && !self.attachments.iter().any(Attachment::holds_back) {
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
        if let Some(output) = self.checks.as_ref().and_then(Checks::output) {
            want(output.as_fd(), PollFlags::IN, Event::Check);
        }
        self.wiring.proxy.watch(|fd, flags, token| want(fd, flags, Event::Proxy(token)));
        if let Some(names) = &self.names {
            names.watch(&mut |fd, flags, ready| want(fd, flags, Event::Names(ready)));
        }
        match poll(&mut wanted, timeout) {
            Ok(_) => {
                let ready = wanted.iter().map(|fd| !fd.revents().is_empty());
                events.into_iter().zip(ready).filter(|(_, ready)| *ready).map(|(event, _)| event).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    pub(crate) fn handle(&mut self, event: Event) {
        match event {
            Event::Signal => self.signalled(),
            Event::Connection => self.welcome(),
            Event::Message(number) => self.hear(number),
            Event::Output(index) => {
                let Some(source) = self.sources.get(index) else { return };
                if !source.pump(&mut self.log, &mut self.attachments) {
                    self.close_source(index);
                }
                self.hear_of_the_log();
            }
            Event::Log => {
                self.log.ready();
                self.hear_of_the_log();
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
            Event::Proxy(token) => self.wiring.proxy.handle(token),
            Event::Check => {
                if let Some(checks) = &mut self.checks {
                    checks.read();
                }
            }
            Event::Names(ready) => {
                if let Some(names) = &mut self.names {
                    names.handle(ready);
                }
            }
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

    /// What is lost of the log is for whoever inspects the container to see while it runs.
    fn hear_of_the_log(&mut self) {
        if let Some(news) = self.log.news() {
            self.status.error = news;
            // The disk may be full, which is why the log is short of something: the end writes it again.
            self.write_status();
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
            self.tell("exec_die", [("exitCode", code.to_string())]);
            if let Some(client) = client {
                self.answer(client, &Reply::ExecEnded(code), &[]);
            }
        }
        self.reap_check();
        if !self.ended
            && let Ok(Some(end)) = pidfd::wait(&self.born.first.pidfd, false)
        {
            self.end(end);
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Event {
    Signal,
    Connection,
    Message(u64),
    Output(usize),
    Log,
    Input(usize),
    Room(usize, Stream),
    InputRoom,
    Proxy(Token),
    Unread(usize),
    Check,
    Names(names::Ready),
}
