//! `bulkhead logs`.

use std::io::{self, Write};
use std::time::Duration;

use bulkhead_engine::commands::logs::Line;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Done;
use crate::Context;
use crate::failure::Failure;
use crate::output::times::parse_time;

/// Show what a container wrote
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
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all")]
    tail: String,
    /// Show when each line was written
    #[arg(short, long)]
    timestamps: bool,
    /// The container, by name or ID
    container: String,
}

impl Logs {
    pub(super) fn run(self, context: &Context) -> Done {
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
        let tail = match self.tail.as_str() {
            "all" | "-1" => None,
            number => {
                let bad = |_| {
                    Failure::new(format!(
                        "invalid argument {number:?} for \"-n, --tail\" flag: all or a number"
                    ))
                };
                Some(number.parse::<usize>().map_err(bad)?)
            }
        };
        let engine = context.engine()?;
        let container = engine.container(&self.container)?;
        let Some(mut logs) = engine.logs(&container)? else { return Ok(0) };
        if let Some(count) = tail {
            logs.seek_to_last(count)?;
        }
        let mut out = io::BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        let mut errors = io::stderr().lock();
        loop {
            // Looked at before the lines are: what is written between the two is read in the next round.
            let more = self.follow && engine.still_writes(&container)?;
            while let Some(line) = logs.next_line()? {
                let at = OffsetDateTime::parse(&line.time, &Rfc3339).unwrap_or(now);
                if until.is_some_and(|until| at > until) {
                    out.flush()?;
                    return Ok(0);
                }
                if since.is_none_or(|since| at >= since) && !self.show(&line, &mut out, &mut errors) {
                    // Nobody reads any more.
                    return Ok(0);
                }
            }
            if out.flush().is_err() || !more {
                return Ok(0);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn show(&self, line: &Line, out: &mut impl Write, errors: &mut impl Write) -> bool {
        let stamp = if self.timestamps { format!("{} ", line.time) } else { String::new() };
        let text = format!("{stamp}{}", line.log);
        if line.stream == "stderr" {
            out.flush().and_then(|()| errors.write_all(text.as_bytes())).is_ok()
        } else {
            out.write_all(text.as_bytes()).is_ok()
        }
    }
}
