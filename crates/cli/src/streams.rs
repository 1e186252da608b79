//! Between the user and a container: standard input, output and errors, signals, the terminal's size, and the
//! keys that detach. One poll loop, exact to the byte.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use bulkhead_engine::Connection;
use bulkhead_engine::detach_keys::DetachKeys;
use bulkhead_engine::protocol::{Attach, Reply, Request};
use bulkhead_sys::signals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::terminal;

const WINDOW_CHANGED: i32 = 28;

/// Our ends, and the container's, of the streams that connect them.
#[derive(Default)]
pub(crate) struct Streams {
    /// What goes into the container.
    input: Option<OwnedFd>,
    /// What comes out of it.
    output: Option<OwnedFd>,
    /// Its errors.
    errors: Option<OwnedFd>,
}

impl Streams {
    /// Pipes for what is wanted: ours, and the far ends in the protocol's order.
    pub(crate) fn pipes(wanted: Attach) -> io::Result<(Streams, Vec<OwnedFd>)> {
        let (mut ours, mut theirs) = (Streams::default(), Vec::new());
        let pipe = || pipe_with(PipeFlags::CLOEXEC);
        if wanted.stdin {
            let (read, write) = pipe()?;
            theirs.push(read);
            ours.input = Some(write);
        }
        if wanted.stdout {
            let (read, write) = pipe()?;
            theirs.push(write);
            ours.output = Some(read);
        }
        if wanted.stderr {
            let (read, write) = pipe()?;
            theirs.push(write);
            ours.errors = Some(read);
        }
        Ok((ours, theirs))
    }

    /// The own side of a terminal, for both directions.
    pub(crate) fn terminal(own: OwnedFd, input: bool) -> io::Result<Streams> {
        let writing = if input { Some(own.try_clone()?) } else { None };
        Ok(Streams { input: writing, output: Some(own), errors: None })
    }
}

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The program ended with this code.
    Ended(i32),
    /// The user typed the keys that detach.
    Detached,
    /// Nobody reads our standard output any more: a pipe's reader has gone.
    Unread,
    /// The supervisor ended without a word.
    Lost,
}

/// What [`pump`] is to do beside copying.
pub(crate) struct Session<'a> {
    /// The supervisor, which tells of the end.
    pub(crate) connection: &'a Connection,
    /// The keys that detach, if any do.
    pub(crate) detach_keys: DetachKeys,
    /// Whether the streams are those of an exec, which go straight to its program.
    pub(crate) is_exec: bool,
    /// Whether signals that this process gets go to the container.
    pub(crate) proxy_signals: bool,
    /// Whether the container has a terminal whose size follows the user's.
    pub(crate) resize: Resize<'a>,
}

/// Whose size follows the user's terminal.
#[derive(Clone, Copy)]
pub(crate) enum Resize<'a> {
    No,
    /// The container's terminal, by its supervisor.
    Container,
    /// An exec's own terminal.
    Own(BorrowedFd<'a>),
}

/// The signals that are passed on: all that a user or a service manager sends, and none that the kernel sends
/// for a fault.
const PROXIED: [i32; 9] = [1, 2, 3, 10, 12, 15, 18, 34, 35];

/// Copies until the program has ended and all that it wrote has been passed on.
pub(crate) fn pump(mut streams: Streams, session: &Session<'_>) -> io::Result<Outcome> {
    let mut caught = vec![WINDOW_CHANGED];
    if session.proxy_signals {
        caught.extend(PROXIED);
    }
    let inbox = signals::descriptor(&caught)?;
    let mut keys = session.detach_keys.clone();
    let mut pending: Vec<u8> = Vec::new();
    let mut ending = false;
    let mut outcome: Option<Outcome> = None;
    let mut buffer = vec![0u8; 4096];
    if let Some(input) = &streams.input {
        rustix::io::ioctl_fionbio(input, true)?;
    }
    while outcome.is_none() || streams.output.is_some() || streams.errors.is_some() {
        if ending && pending.is_empty() {
            streams.input = None;
        }
        let stdin = rustix::stdio::stdin();
        let mut wanted = vec![PollFd::new(&inbox, PollFlags::IN)];
        let mut kinds = vec![Kind::Signal];
        if outcome.is_none() {
            wanted.push(PollFd::new(session.connection, PollFlags::IN));
            kinds.push(Kind::Word);
        }
        if let Some(input) = &streams.input {
            if pending.is_empty() {
                wanted.push(PollFd::new(&stdin, PollFlags::IN));
                kinds.push(Kind::Stdin);
                wanted.push(PollFd::new(input, PollFlags::empty()));
            } else {
                wanted.push(PollFd::new(input, PollFlags::OUT));
            }
            kinds.push(Kind::InputRoom);
        }
        for (stream, kind) in [(&streams.output, Kind::Output), (&streams.errors, Kind::Errors)] {
            if let Some(stream) = stream {
                wanted.push(PollFd::new(stream, PollFlags::IN));
                kinds.push(kind);
            }
        }
        // Once an exec has ended, only what is there already is passed on: a process that it left behind may hold its
        // pipes open for ever. Those of the container itself its supervisor closes, when it has passed on everything.
        let no_wait = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        let patience = outcome.as_ref().filter(|_| session.is_exec).map(|_| &no_wait);
        match poll(&mut wanted, patience) {
            Ok(0) if outcome.is_some() => break,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<(Kind, PollFlags)> =
            kinds.into_iter().zip(&wanted).map(|(kind, fd)| (kind, fd.revents())).collect();
        for (kind, events) in ready.into_iter().filter(|(_, events)| !events.is_empty()) {
            match kind {
                Kind::Signal => pass_signals(&inbox, session)?,
                Kind::Word => outcome = hear(session.connection)?,
                Kind::Stdin => match rustix::io::read(stdin, buffer.as_mut_slice()) {
                    Ok(0) => ending = true,
                    Ok(length) => {
                        if keys.see(buffer.get(..length).unwrap_or_default(), &mut pending) {
                            return Ok(Outcome::Detached);
                        }
                        flush(&mut streams.input, &mut pending);
                        widen(&mut buffer, length);
                    }
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    // A terminal that has gone, or one that we may not read in the background.
                    Err(_) => ending = true,
                },
                Kind::InputRoom if events.intersects(PollFlags::ERR | PollFlags::HUP) => {
                    streams.input = None;
                    pending.clear();
                }
                Kind::InputRoom => flush(&mut streams.input, &mut pending),
                Kind::Output => match copy(&mut streams.output, &mut buffer, rustix::stdio::stdout()) {
                    Ok(()) => {}
                    Err(Errno::PIPE) => return Ok(Outcome::Unread),
                    Err(error) => return Err(io::Error::from(error)),
                },
                // Errors that nobody reads are no reason to stop.
                Kind::Errors => drop(copy(&mut streams.errors, &mut buffer, rustix::stdio::stderr())),
            }
        }
    }
    Ok(outcome.unwrap_or(Outcome::Lost))
}

#[derive(Clone, Copy)]
enum Kind {
    Signal,
    Word,
    Stdin,
    InputRoom,
    Output,
    Errors,
}

fn pass_signals(inbox: &OwnedFd, session: &Session<'_>) -> io::Result<()> {
    while let Some(signal) = signals::read(inbox)? {
        if signal != WINDOW_CHANGED {
            // If it cannot be sent, the supervisor has ended, which the connection tells next.
            let _ = session.connection.send(&Request::Signal(signal), &[]);
            continue;
        }
        let size = terminal::size();
        match session.resize {
            Resize::No => {}
            Resize::Container => {
                let request = Request::Resize { rows: size.rows, columns: size.columns };
                let _ = session.connection.send(&request, &[]);
            }
            Resize::Own(own) => {
                let size = rustix::termios::Winsize {
                    ws_row: size.rows,
                    ws_col: size.columns,
                    ws_xpixel: 0,
                    ws_ypixel: 0,
                };
                let _ = rustix::termios::tcsetwinsize(own, size);
            }
        }
    }
    Ok(())
}

/// What the supervisor says; answers to signals and sizes need no attention.
fn hear(connection: &Connection) -> io::Result<Option<Outcome>> {
    Ok(match connection.receive()? {
        Some((Reply::Ended(status), _)) => Some(Outcome::Ended(status.exit_code)),
        Some((Reply::ExecEnded(code), _)) => Some(Outcome::Ended(code)),
        Some(_) => None,
        None => Some(Outcome::Lost),
    })
}

/// Writes what the container takes.
fn flush(input: &mut Option<OwnedFd>, pending: &mut Vec<u8>) {
    let mut taken = 0;
    while let (Some(fd), Some(rest)) = (&*input, pending.get(taken..).filter(|rest| !rest.is_empty())) {
        match rustix::io::write(fd, rest) {
            Ok(length) => taken += length,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(_) => {
                *input = None;
                pending.clear();
                return;
            }
        }
    }
    pending.drain(..taken);
}

/// Reads once and writes all of it; a stream that has ended, or cannot be written any further, is closed.
fn copy(from: &mut Option<OwnedFd>, buffer: &mut Vec<u8>, to: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let Some(fd) = &*from else { return Ok(()) };
    let length = match rustix::io::read(fd, buffer.as_mut_slice()) {
        Ok(length) if length > 0 => length,
        Err(Errno::INTR | Errno::AGAIN) => return Ok(()),
        // Its end; EIO is that of a terminal (pty(7)).
        Ok(_) | Err(_) => {
            *from = None;
            return Ok(());
        }
    };
    let mut rest = buffer.get(..length).unwrap_or_default();
    while !rest.is_empty() {
        match rustix::io::write(to, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // Somebody gave us a non-blocking terminal or pipe.
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::from_borrowed_fd(to, PollFlags::OUT)], None);
            }
            Err(error) => {
                *from = None;
                return Err(error);
            }
        }
    }
    widen(buffer, length);
    Ok(())
}

/// Makes room for more after a read that filled the buffer: most programs say little, and zeroed pages are not free.
fn widen(buffer: &mut Vec<u8>, filled: usize) {
    if filled == buffer.len() {
        buffer.resize(64 * 1024, 0);
    }
}
