//! A container's life, seen from its supervisor: birth, one poll loop, the end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use bulkhead_isolation::birth::Born;
use bulkhead_isolation::cgroups;
use bulkhead_isolation::namespaces::{Namespaces, pid::PidNamespace};
use bulkhead_isolation::seccomp::Program;
use bulkhead_isolation::trace::Trace;
use bulkhead_sys::pidfd::{self, Ended};
use bulkhead_sys::{channel, memory, signals};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};

use crate::attachments::Attachment;
use crate::client::SOCKET;
use crate::identity::{Identity, withdraw};
use crate::input::Input;
use crate::later::Later;
use crate::log::{Log, Stream};
use crate::output::Source;
use crate::protocol::{Reply, Request, Start};
use crate::sessions::Sessions;
use crate::status::{State, Status, now};

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
    let failed = std::process::Command::new(program).args(args).env_clear().exec();
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
    pub(crate) namespaces: Namespaces,
    pub(crate) filter: Option<Program>,
    pub(crate) later: Later,
    pub(crate) born: Born,
    pub(crate) status: Status,
    pub(crate) ended: bool,
    pub(crate) signals: OwnedFd,
    pub(crate) listener: OwnedFd,
    pub(crate) clients: Vec<Client>,
    pub(crate) next_client: u64,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) sources: Vec<Source>,
    pub(crate) terminal: Option<OwnedFd>,
    pub(crate) input: Input,
    pub(crate) log: Log,
    pub(crate) sessions: Sessions,
}

impl Life {
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
            let _ = self.status.write(Path::new(&self.folder));
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
            source.drain(&mut self.log, &mut self.attachments);
        }
        self.log.finish();
        if let Some(news) = self.log.news() {
            self.status.error = news;
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
        // While the lock keeps its name from being another's.
        withdraw(Path::new(&self.identity.link), Path::new(&self.run_folder));
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
}

enum Event {
    Signal,
    Connection,
    Message(u64),
    Output(usize),
    Log,
    Input(usize),
    Room(usize, Stream),
    InputRoom,
    Unread(usize),
}

/// Removes the control group, once the last processes of it are on their way out.
pub(crate) fn remove_group(path: &str) {
    for _ in 0..100 {
        match cgroups::remove(path) {
            Ok(()) => break,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(2)),
        }
    }
}
