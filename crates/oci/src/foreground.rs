//! A program that this process stays for: signals are passed on, its terminal is shown, and its code is ours.

use std::os::fd::{AsFd, OwnedFd};

use bulkhead_isolation::birth::Running;
use bulkhead_sys::{pidfd, signals};
use rustix::event::{PollFd, PollFlags, poll};

use crate::error::{Doing, Result};
use crate::relay::Relay;

/// All that can be passed on: not KILL and STOP, which nobody sees, nor CHLD, which is about us, nor what a process does to
/// itself.
const PASSED: [i32; 13] = [1, 2, 3, 6, 10, 12, 14, 15, 18, 20, 23, 28, 30];
const WINDOW_CHANGED: i32 = 28;

/// Signals from now on wait to be passed on. Asked for before there is anybody to get them, so that none is lost.
pub(crate) fn catch() -> Result<OwnedFd> {
    signals::descriptor(&PASSED).doing(|| "receive signals".into())
}

/// Waits for the program's end, and gives its code.
pub(crate) fn wait(program: Running, inbox: &OwnedFd) -> Result<u8> {
    let Running { pidfd: program, terminal, .. } = program;
    let mut relay = terminal.map(Relay::begin).transpose().doing(|| "show the terminal".into())?;
    let ended = loop {
        if let Some(ended) = pidfd::wait(&program, false).doing(|| "wait for the program".into())? {
            break ended;
        }
        let stdin = std::io::stdin();
        let mut watched = vec![PollFd::new(&program, PollFlags::IN), PollFd::new(inbox, PollFlags::IN)];
        if let Some(relay) = &relay {
            let mut flags = PollFlags::IN;
            flags.set(PollFlags::OUT, relay.has_pending());
            watched.push(PollFd::from_borrowed_fd(relay.terminal(), flags));
            let input = if relay.wants_input() { PollFlags::IN } else { PollFlags::empty() };
            watched.push(PollFd::from_borrowed_fd(stdin.as_fd(), input));
        }
        match poll(&mut watched, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.doing(|| "wait for the program".into())?,
        };
        let seen: Vec<PollFlags> = watched.iter().map(PollFd::revents).collect();
        drop(watched);
        let at = |index: usize| seen.get(index).copied().unwrap_or(PollFlags::empty());
        if !at(1).is_empty() {
            pass(inbox, &program, relay.as_ref());
        }
        if let Some(shown) = &mut relay {
            let has_output = at(2).intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
            if at(2).contains(PollFlags::OUT) {
                shown.give();
            }
            if at(3).intersects(PollFlags::IN | PollFlags::HUP) && shown.wants_input() {
                shown.take_input();
            }
            if has_output && !shown.take_output() && at(2).contains(PollFlags::HUP) {
                // Nobody has the terminal open any more; the program may go on without.
                relay = None;
            }
        }
    };
    // What it wrote last is in the terminal still.
    if let Some(relay) = &relay {
        while relay.take_output() {}
    }
    Ok(u8::try_from(ended.code()).unwrap_or(u8::MAX))
}

fn pass(inbox: &OwnedFd, program: &OwnedFd, relay: Option<&Relay>) {
    while let Ok(Some(signal)) = signals::read(inbox) {
        if let (WINDOW_CHANGED, Some(relay)) = (signal, relay) {
            relay.resize();
        }
        // One that has ended needs none.
        let _ = pidfd::send_signal(program.as_fd(), signal);
    }
}
