//! `bulkhead logs`.

mod printer;
mod several;

use std::time::Duration;

use bulkhead_engine::log_reader::details::Details;
use bulkhead_engine::log_reader::follow::{self, Follower};
use bulkhead_engine::log_reader::{Line, Logs as Reader, stamp};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Done;
use crate::Context;
use crate::failure::Failure;
use crate::output::times::parse_time;
use printer::Printer;

/// Show what containers wrote
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// Go on until the container ends
    #[arg(short, long)]
    follow: bool,
    /// From when on: a moment, or how long ago, such as 10m
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until when
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How many of the last lines
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all", allow_negative_numbers = true)]
    tail: String,
    /// Show when each line was written
    #[arg(short, long)]
    timestamps: bool,
    /// Show what the log tells of the container: labels, variables and the tag that `--log-opt` asked for
    #[arg(long)]
    details: bool,
    /// The containers, by name or ID; of several, each line begins with the name
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// What is shown of a log.
#[derive(Debug)]
struct View {
    since: Option<[u8; 30]>,
    until: Option<OffsetDateTime>,
    until_stamp: Option<[u8; 30]>,
    timestamps: bool,
    details: Option<Details>,
}

/// Whether a line is shown.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    Yes,
    NotYet,
    NoMore,
}

impl View {
    fn of(&self, line: &Line<'_>) -> Shown {
        if self.since.is_none() && self.until.is_none() {
            return Shown::Yes;
        }
        let at = stamp(line.time);
        if self.until_stamp.is_some_and(|until| at > until) {
            Shown::NoMore
        } else if self.since.is_some_and(|since| at < since) {
            Shown::NotYet
        } else {
            Shown::Yes
        }
    }

    /// What stands before a line, after it has been added to `out`.
    fn head(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        if self.timestamps {
            out.extend_from_slice(&stamp(line.time));
            out.push(b' ');
        }
        if let Some(details) = &mut self.details {
            out.extend_from_slice(details.of(line.attrs).as_bytes());
            out.push(b' ');
        }
    }

    /// How long it makes sense to wait for more.
    fn time_left(&self) -> Option<Duration> {
        let left = self.until? - OffsetDateTime::now_utc();
        Some(Duration::try_from(left).unwrap_or_default())
    }
}

impl Logs {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut view = self.view()?;
        let tail = self.tail()?;
        let engine = context.engine()?;
        let open = |name: &String| -> Result<Option<(String, Reader, Option<Follower>)>, Failure> {
            let container = engine.container(name)?;
            // Before the first look, so that nothing falls between.
            let follower = self.follow.then(|| engine.follow(&container)).transpose()?;
            let Some(mut reader) = engine.logs(&container)? else { return Ok(None) };
            if let Some(count) = tail {
                reader.seek_to_last(count)?;
            }
            Ok(Some((container.name, reader, follower)))
        };
        if let [name] = &self.containers[..] {
            return match open(name)? {
                Some((_, reader, follower)) => one(reader, follower, &mut view),
                None => Ok(0),
            };
        }
        let mut all = Vec::new();
        for name in &self.containers {
            all.extend(open(name)?);
        }
        several::show(all, &mut view)
    }

    fn view(&self) -> Result<View, Failure> {
        let now = OffsetDateTime::now_utc();
        let moment = |flag: &str, text: &Option<String>| {
            text.as_deref()
                .map(|text| {
                    parse_time(text, now)
                        .map_err(|error| Failure::new(format!("invalid value for \"{flag}\": {error}")))
                })
                .transpose()
        };
        let (since, until) = (moment("since", &self.since)?, moment("until", &self.until)?);
        let stamped = |time: OffsetDateTime| time.format(&Rfc3339).map(|time| stamp(&time)).ok();
        Ok(View {
            since: since.and_then(stamped),
            until,
            until_stamp: until.and_then(stamped),
            timestamps: self.timestamps,
            details: self.details.then(Details::default),
        })
    }

    fn tail(&self) -> Result<Option<usize>, Failure> {
        let number = match self.tail.as_str() {
            // As Docker, which has no fewer lines than none.
            "all" => return Ok(None),
            text if text.strip_prefix('-').is_some_and(|digits| digits.parse::<u64>().is_ok()) => {
                return Ok(None);
            }
            text => text.parse::<usize>(),
        };
        number.map(Some).map_err(|_| {
            let text = &self.tail;
            Failure::new(format!("invalid argument {text:?} for \"-n, --tail\" flag: all or a number"))
        })
    }
}

/// Shows the log of one container.
fn one(mut reader: Reader, mut follower: Option<Follower>, view: &mut View) -> Done {
    let mut printer = Printer::new();
    // Whether each stream is amid a line, whose later pieces have no head.
    let mut amid = [false; 2];
    loop {
        // Looked at before the lines are: what is written between the two is read in the next round.
        let over = follower.as_ref().is_none_or(Follower::is_over);
        while let Some(line) = reader.next_line()? {
            match view.of(&line) {
                Shown::Yes => {}
                Shown::NotYet => continue,
                Shown::NoMore => {
                    let _ = printer.flush();
                    return Ok(0);
                }
            }
            let [stdout, stderr] = &mut amid;
            let amid = if line.stderr { stderr } else { stdout };
            let written = printer.write(line.stderr, |out| {
                if !*amid {
                    view.head(&line, out);
                }
                out.extend_from_slice(line.text);
            });
            *amid = !line.text.ends_with(b"\n");
            if written.is_err() {
                // Nobody reads any more.
                return Ok(0);
            }
        }
        let left = view.time_left();
        if printer.flush().is_err() || over || left.is_some_and(|left| left.is_zero()) {
            return Ok(0);
        }
        let Some(follower) = &mut follower else { return Ok(0) };
        if !follow::wait(&mut [follower], &printer.outputs(), left)? {
            return Ok(0);
        }
    }
}
