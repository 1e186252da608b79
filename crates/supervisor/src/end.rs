//! What follows a container's end: the truth is written down and told, and either everything is cleared away, or the
//! next run is waited for ([`restart`](crate::restart)).

use std::path::Path;
use std::time::{Duration, Instant};

use bulkhead_isolation::cgroups;
use bulkhead_isolation::namespaces::pid::PidNamespace;
use bulkhead_sys::fail;
use bulkhead_sys::pidfd::Ended;
use rustix::event::Timespec;

use crate::attachments::Attachment;
use crate::client::SOCKET;
use crate::identity::withdraw;
use crate::life::{Event, Life, reply};
use crate::protocol::Reply;
use crate::status::{State, now};

impl Life {
    /// Whether the supervisor has nothing left to do but to go.
    pub(crate) fn is_over(&self) -> bool {
        match self.due {
            None => self.ended && !self.attachments.iter().any(Attachment::waits),
            // Who held the container back while it ran may do so still; others have had their time.
            Some(due) => due <= Instant::now() && !self.attachments.iter().any(Attachment::holds_on),
        }
    }

    /// The container has ended: the truth goes to disk first, then to whoever waits.
    pub(crate) fn end(&mut self, end: Ended) {
        self.ended = true;
        if !matches!(self.namespaces.pid, PidNamespace::New) {
            // Its PID namespace lives on: what it left there does not go with its first program.
            if let Err(error) = cgroups::kill_all(&self.cgroup_path) {
                self.status.error = error.message;
            }
        }
        fail::point("end: seen");
        for source in std::mem::take(&mut self.sources) {
            source.drain(&mut self.log, &mut self.attachments);
        }
        self.log.finish();
        // Whoever is told of the end, or waits for the next run, finds it under no name.
        self.names = None;
        if let Some(news) = self.log.news() {
            self.status.error = news;
        }
        self.status.first = None;
        self.status.exit_code = end.code();
        self.status.finished_at = Some(now());
        self.status.oom_killed = self.born.cgroup.oom_kills() > 0;
        let ran = self.begun.elapsed();
        let restart = self.restart.as_ref().filter(|_| !self.down);
        match restart.and_then(|restart| restart.wait_after(end.code(), ran)) {
            Some(wait) => {
                self.status.state = State::Restarting;
                self.status.waited = wait;
                self.due = Some(Instant::now() + Duration::from_millis(wait));
            }
            None => self.status.state = State::Exited,
        }
        self.write_status();
        fail::point("end: status written");
        if self.status.oom_killed {
            self.tell("oom", []);
        }
        let exit_code = end.code().to_string();
        self.tell("die", [("exitCode", exit_code), ("execDuration", ran.as_secs().to_string())]);
        self.tell_of_networks("disconnect");
        // Who hears of the end finds the ports free. For the rest of it nobody has to wait.
        if self.wiring.publishes() {
            self.wiring.withdraw();
        }
        if self.due.is_none() {
            self.let_go();
        }
        fail::point("end: lock given back");
        self.tell_the_end();
        fail::point("end: told");
        for attachment in &mut self.attachments {
            attachment.end();
        }
        self.wiring.withdraw();
        if self.due.is_some() {
            remove_group(&self.cgroup_path);
        }
    }

    /// The container stays down when it ends, or now that it has.
    pub(crate) fn stay_down(&mut self) {
        self.down = true;
        if self.due.take().is_some() {
            self.status.state = State::Exited;
            self.write_status();
            fail::point("again: given up");
            self.let_go();
            self.tell_the_end();
        } else if !self.ended {
            self.write_status();
        }
    }

    /// A full disk must not lose the exit code for those who wait: they are told all the same.
    pub(crate) fn write_status(&mut self) {
        if let Err(error) = self.status.write(Path::new(&self.folder)) {
            self.status.error = format!("cannot write the container's status: {error}");
        }
    }

    /// From here on nothing is written to the container's folder: it can be removed while the rest is cleared away.
    fn let_go(&mut self) {
        // While the lock keeps its name from being another's.
        withdraw(Path::new(&self.identity.link), Path::new(&self.run_folder));
        self.lock = None;
    }

    fn tell_the_end(&mut self) {
        let told = Reply::Ended(Box::new(self.status.clone()));
        for client in self.clients.iter_mut().filter(|client| client.waits) {
            reply(&client.socket, &told, &[]);
            client.waits = false;
        }
    }

    /// What the supervisor becomes when all is done: the command that starts the container again, or that removes it if
    /// nobody else will; or nothing.
    pub(crate) fn last_command(&mut self) -> Option<Vec<String>> {
        if self.due.is_some() {
            fail::point("again: due");
            // The socket and the lock go when that begins. Whoever asks in between asks again.
            return self.restart.take().map(|restart| restart.command);
        }
        self.answer_the_last();
        fail::point("end: all answered");
        self.clean_up();
        let owner_is_here = self.client_stays && self.clients.iter().any(|client| client.number == 0);
        self.finish.take().filter(|_| !owner_is_here)
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
        fail::point("end: socket gone");
        remove_group(&self.cgroup_path);
        fail::point("end: group gone");
        // Last: by this folder a group is found that nobody else knows any more.
        let _ = std::fs::remove_dir_all(&self.run_folder);
    }
}

/// Removes the control group, once the last processes of it are on their way out.
pub(crate) fn remove_group(path: &str) {
    for _ in 0..100 {
        match cgroups::remove(path) {
            Ok(()) => break,
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}
