//! What clients ask of a running container's supervisor, and how it is fulfilled.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use bulkhead_isolation::capabilities::{Set, bounding_set};
use bulkhead_isolation::cgroups;
use bulkhead_isolation::enter::Container;
use bulkhead_isolation::{Error, Result, Step};
use bulkhead_sys::{channel, pidfd};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::attachments::Attachment;
use crate::life::{Client, Life, reply};
use crate::protocol::{Attach, Exec, Reply, Request};
use crate::restart::Restart;
use crate::sessions::null;
use crate::status::State;

impl Life {
    pub(crate) fn welcome(&mut self) {
        let accept = || rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC);
        let socket = match accept() {
            Ok(socket) => socket,
            Err(Errno::MFILE | Errno::NFILE) => {
                // Nobody more can be heard; who waits for that would have the listener ready for ever. The newcomer is
                // turned away by the descriptor that is kept for this.
                self.reserve = None;
                drop(accept());
                self.reserve = null().ok();
                return;
            }
            Err(_) => return,
        };
        self.clients.push(Client { number: self.next_client, socket, waits: false });
        self.next_client += 1;
    }

    pub(crate) fn answer(&self, number: u64, word: &Reply, fds: &[BorrowedFd<'_>]) {
        if let Some(client) = self.clients.iter().find(|client| client.number == number) {
            reply(&client.socket, word, fds);
        }
    }

    pub(crate) fn hear(&mut self, number: u64) {
        let Some(client) = self.clients.iter().find(|client| client.number == number) else { return };
        let message = match channel::receive(&client.socket) {
            Ok(Some(message)) => message,
            Ok(None) | Err(_) => {
                self.clients.retain(|client| client.number != number);
                self.sessions.abandon(number);
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
            // What waits to be started again has no process; that it is not is said by another request.
            Request::Signal(_) if self.due.is_some() => done,
            Request::Signal(signal) => {
                pidfd::send_signal(self.born.first.pidfd.as_fd(), signal)
                    .step("signal", || format!("send signal {signal} to the container"))?;
                // A frozen process (version 1) dies only when it is thawed, whoever froze it.
                if signal == 9 {
                    cgroups::thaw_all(&self.cgroup_path)?;
                }
                self.tell("kill", [("signal", signal.to_string())]);
                done
            }
            Request::Resize { rows, columns } => {
                self.resize(rows, columns)?;
                done
            }
            Request::Rename { name, link } => {
                self.wiring.rename(&name)?;
                if let Some(names) = &mut self.names {
                    names.renamed(&name)?;
                }
                self.identity.name = name;
                self.identity.link = link;
                done
            }
            // The next run begins with what the record has.
            Request::Update(_) if self.ended => Ok(Some((Reply::Updated { warnings: Vec::new() }, None))),
            Request::Update(resources) => {
                let warnings = self.born.cgroup.limit(&resources)?;
                Ok(Some((Reply::Updated { warnings }, None)))
            }
            Request::Freeze(_) if self.ended => Err(self.not_running("pause")),
            Request::Freeze(frozen) => {
                let before = self.status.state;
                self.born.cgroup.freeze(frozen)?;
                self.status.state = if frozen { State::Paused } else { State::Running };
                let written = self.status.write(Path::new(&self.folder));
                if let (Err(_), true) = (&written, frozen) {
                    // Nobody would know that it is frozen.
                    self.born.cgroup.freeze(false)?;
                    self.status.state = before;
                }
                written.step("status", || "write the container's status")?;
                self.tell(if frozen { "pause" } else { "unpause" }, []);
                if let (Some(checks), Some(health)) = (&mut self.checks, self.status.health) {
                    if frozen { checks.freeze() } else { checks.thaw(health) }
                }
                done
            }
            Request::Attach(_) if self.ended => Err(self.not_running("attach")),
            Request::Attach(wanted) => {
                self.attach(wanted, fds)?;
                done
            }
            Request::Restart(restart) => {
                let (count, waited) = (self.status.restarts, self.status.waited);
                self.restart = restart.map(|restart| Restart { count, waited, ..restart });
                if self.restart.is_none() && self.due.is_some() {
                    self.stay_down();
                }
                done
            }
            Request::StayDown => {
                self.status.stopped = true;
                self.stay_down();
                done
            }
            Request::GoDown => {
                self.stay_down();
                done
            }
            Request::Wait if self.ended && self.due.is_none() => {
                Ok(Some((Reply::Ended(Box::new(self.status.clone())), None)))
            }
            Request::Wait => {
                for client in self.clients.iter_mut().filter(|client| client.number == number) {
                    client.waits = true;
                }
                Ok(None)
            }
            Request::Connect(_) | Request::Disconnect(_) if self.ended => Err(self.not_running("network")),
            Request::Connect(membership) => {
                self.connect(*membership)?;
                done
            }
            Request::Disconnect(id) => {
                self.disconnect(&id)?;
                done
            }
            Request::Exec(exec) => self.exec(&exec, fds, number).map(Some),
        }
    }

    /// Docker's words, in both cases.
    fn not_running(&self, step: &'static str) -> Error {
        Error::new(
            step,
            match self.due {
                Some(_) => format!(
                    "Container {} is restarting, wait until the container is running",
                    self.identity.id
                ),
                None => format!("Container {} is not running", self.identity.id),
            },
        )
    }

    fn attach(&mut self, wanted: Attach, fds: Vec<OwnedFd>) -> Result<()> {
        let mut attachment = Attachment::new(wanted, fds, false).step("attach", || "attach to the client")?;
        if self.terminal.is_some() {
            attachment.stderr = None;
        }
        self.attachments.push(attachment);
        self.tell("attach", []);
        Ok(())
    }

    fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        let Some(terminal) = &self.terminal else { return Ok(()) };
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(terminal, size).step("terminal", || "resize the terminal")
    }

    fn exec(&mut self, exec: &Exec, fds: Vec<OwnedFd>, number: u64) -> Result<(Reply, Option<OwnedFd>)> {
        if self.due.is_some() && self.identity.is(&exec.container) {
            return Err(self.not_running("exec"));
        }
        // Once it has ended, its name may be another's.
        if self.ended || !self.identity.is(&exec.container) {
            return Ok((Reply::NotMe, None));
        }
        if self.status.state == State::Paused {
            return Err(Error::new("exec", "the container is paused: unpause it before exec"));
        }
        let all = if exec.privileged { bounding_set() } else { Set::NONE };
        let mut process = self.later.program(exec, all)?;
        if !exec.privileged {
            process.seccomp.clone_from(&self.filter);
        }
        let container = Container {
            first: self.born.first.pidfd.as_fd(),
            namespaces: &self.namespaces,
            cgroup: &self.born.cgroup,
        };
        let begun = match self.sessions.begin(container, exec, &process, fds, number) {
            // ESRCH: its first program has ended this moment, which the loop sees next.
            Err(error) if error.errno == Some(3) => return Err(self.not_running("exec")),
            begun => begun?,
        };
        let words = exec.args.join(" ");
        self.tell(&format!("exec_create: {words}"), []);
        self.tell(&format!("exec_start: {words}"), []);
        let container = self.identity.name.clone();
        Ok((Reply::ExecStarted { container, pid: begun.pid, laps: begun.laps }, begun.terminal))
    }
}
