//! The logs of several containers as one, in the order of their times; each line begins with its container's name.

use std::io::IsTerminal;

use bulkhead_engine::log_reader::follow::{self, Follower};
use bulkhead_engine::log_reader::{Logs as Reader, stamp};

use super::printer::Printer;
use super::{Done, Shown, View};

/// What may wait for its end of one line: whoever never ends one gets it in parts.
const LONGEST: usize = 1024 * 1024;
/// Colours that can be read on light and dark (ECMA-48): cyan, yellow, green, magenta, blue, red.
const COLOURS: [&str; 6] = ["36", "33", "32", "35", "34", "31"];

/// One of them.
struct Source {
    /// What its lines begin with.
    prefix: String,
    reader: Reader,
    follower: Option<Follower>,
    /// Its next line or piece of one.
    next: Option<Piece>,
    /// What each stream has begun.
    begun: [Vec<u8>; 2],
    over: bool,
    /// Whether it has nothing to show any more.
    done: bool,
}

struct Piece {
    at: [u8; 30],
    stderr: bool,
    head: Vec<u8>,
    text: Vec<u8>,
}

impl Source {
    /// Reads on to its next line that is shown.
    fn fill(&mut self, view: &mut View) -> Result<(), bulkhead_engine::Error> {
        while self.next.is_none() && !self.done {
            let Some(line) = self.reader.next_line()? else { break };
            match view.of(&line) {
                Shown::NotYet => {}
                Shown::NoMore => self.done = true,
                Shown::Yes => {
                    let mut head = Vec::new();
                    view.head(&line, &mut head);
                    let (at, text) = (stamp(line.time), line.text.to_vec());
                    self.next = Some(Piece { at, stderr: line.stderr, head, text });
                }
            }
        }
        Ok(())
    }

    /// Adds a piece to its line; prints that when it is whole.
    fn take(&mut self, piece: &Piece, printer: &mut Printer) -> std::io::Result<()> {
        let [stdout, stderr] = &mut self.begun;
        let begun = if piece.stderr { stderr } else { stdout };
        if begun.is_empty() {
            begun.extend_from_slice(&piece.head);
        }
        begun.extend_from_slice(&piece.text);
        if !begun.ends_with(b"\n") && begun.len() < LONGEST {
            return Ok(());
        }
        print(&self.prefix, begun, piece.stderr, printer)
    }

    /// Prints what no newline will end.
    fn end(&mut self, printer: &mut Printer) -> std::io::Result<()> {
        let [stdout, stderr] = &mut self.begun;
        for (begun, is_stderr) in [(stdout, false), (stderr, true)] {
            if !begun.is_empty() {
                print(&self.prefix, begun, is_stderr, printer)?;
            }
        }
        Ok(())
    }
}

fn print(prefix: &str, line: &mut Vec<u8>, stderr: bool, printer: &mut Printer) -> std::io::Result<()> {
    printer.write(stderr, |out| {
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            out.push(b'\n');
        }
    })?;
    line.clear();
    Ok(())
}

/// Shows them.
pub(super) fn show(all: Vec<(String, Reader, Option<Follower>)>, view: &mut View) -> Done {
    let width = all.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    let coloured =
        std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut sources: Vec<Source> = all
        .into_iter()
        .zip(COLOURS.iter().cycle())
        .map(|((name, reader, follower), colour)| {
            let plain = format!("{name:<width$} | ");
            let prefix = if coloured { format!("\x1b[{colour}m{plain}\x1b[0m") } else { plain };
            let begun = [Vec::new(), Vec::new()];
            Source { prefix, reader, follower, next: None, begun, over: false, done: false }
        })
        .collect();
    let mut printer = Printer::new();
    loop {
        for source in &mut sources {
            source.over = source.follower.as_ref().is_none_or(Follower::is_over);
        }
        loop {
            for source in &mut sources {
                source.fill(view)?;
                let last = source.next.is_none() && source.over;
                if last && source.end(&mut printer).is_err() {
                    return Ok(0);
                }
            }
            let earliest = sources.iter_mut().filter(|source| source.next.is_some());
            let Some(source) = earliest.min_by_key(|source| source.next.as_ref().map(|next| next.at)) else {
                break;
            };
            if let Some(piece) = source.next.take()
                && source.take(&piece, &mut printer).is_err()
            {
                return Ok(0);
            }
        }
        let left = view.time_left();
        let late = left.is_some_and(|left| left.is_zero());
        for source in sources.iter_mut().filter(|source| source.over || source.done || late) {
            if source.end(&mut printer).is_err() {
                return Ok(0);
            }
        }
        if printer.flush().is_err() || late || sources.iter().all(|source| source.over || source.done) {
            return Ok(0);
        }
        let mut waiting: Vec<&mut Follower> =
            sources.iter_mut().filter(|source| !source.done).filter_map(|s| s.follower.as_mut()).collect();
        if !follow::wait(&mut waiting, &printer.outputs(), left)? {
            return Ok(0);
        }
    }
}
