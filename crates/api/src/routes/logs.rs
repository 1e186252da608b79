//! `GET /containers/{id}/logs`: what a container wrote, and writes.
//!
//! Without a terminal the two streams come in frames: the stream's number, three zeros, the length as four bytes with the
//! highest first, and as many bytes (Docker's reference, "Stream format" of attach).

use std::io::{BufWriter, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use bulkhead_engine::log_reader::details::Details;
use bulkhead_engine::log_reader::follow::{self, Follower};
use bulkhead_engine::log_reader::{Line, stamp};
use bulkhead_engine::{Container, Engine};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Query, is_on};
use crate::failure::Failure;
use crate::house::House;
use crate::moments::{moment, time_left};
use crate::worker::{Form, Out, flow, gone};

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new().route("/containers/{id}/logs", get(logs))
}

#[derive(Deserialize)]
struct LogsQuery {
    follow: Option<String>,
    stdout: Option<String>,
    stderr: Option<String>,
    since: Option<String>,
    until: Option<String>,
    timestamps: Option<String>,
    tail: Option<String>,
    details: Option<String>,
}

/// What is asked for.
pub(super) struct Asked {
    follow: bool,
    stdout: bool,
    stderr: bool,
    since: Option<[u8; 30]>,
    until: Option<SystemTime>,
    last: Option<[u8; 30]>,
    timestamps: bool,
    details: bool,
    tail: Option<usize>,
}

impl Asked {
    /// All that these streams said so far.
    pub(super) fn all(stdout: bool, stderr: bool) -> Asked {
        Asked {
            follow: false,
            stdout,
            stderr,
            since: None,
            until: None,
            last: None,
            timestamps: false,
            details: false,
            tail: None,
        }
    }
}

async fn logs(
    State(house): State<Arc<House>>,
    Path(id): Path<String>,
    Query(query): Query<LogsQuery>,
) -> Result<Response, Failure> {
    let asked = asked(&query)?;
    flow(&house, move |engine, out| {
        let container = engine.container(&id)?;
        show(engine, &container, &asked, out)
    })
    .await
}

fn asked(query: &LogsQuery) -> Result<Asked, Failure> {
    let (stdout, stderr) = (is_on(query.stdout.as_ref()), is_on(query.stderr.as_ref()));
    if !stdout && !stderr {
        return Err(Failure::bad("Bad parameters: you must choose at least one stream"));
    }
    let stamped =
        |moment: SystemTime| OffsetDateTime::from(moment).format(&Rfc3339).ok().map(|text| stamp(&text));
    let until = moment("until", query.until.as_deref())?;
    Ok(Asked {
        follow: is_on(query.follow.as_ref()),
        stdout,
        stderr,
        since: moment("since", query.since.as_deref())?.and_then(stamped),
        until,
        last: until.and_then(stamped),
        timestamps: is_on(query.timestamps.as_ref()),
        details: is_on(query.details.as_ref()),
        // As Docker: what is no number means all.
        tail: query.tail.as_deref().and_then(|tail| tail.parse().ok()),
    })
}

pub(super) fn show(
    engine: &mut Engine,
    container: &Container,
    asked: &Asked,
    out: &mut Out,
) -> Result<(), Failure> {
    // Before the first look, so that nothing falls between.
    let mut follower = asked.follow.then(|| engine.follow(container)).transpose()?;
    let reader = engine.logs(container)?;
    let terminal = container.config.tty.unwrap_or(false);
    let out = out.begin(if terminal { Form::Raw } else { Form::Multiplexed })?;
    let Some(mut reader) = reader else { return Ok(()) };
    if let Some(count) = asked.tail {
        reader.seek_to_last(count)?;
    }
    let mut writer = Writer {
        out: BufWriter::new(out),
        terminal,
        timestamps: asked.timestamps,
        details: asked.details.then(Details::default),
        amid: [false; 2],
        head: Vec::new(),
    };
    loop {
        // Looked at before the lines are: what is written between the two is read in the next round.
        let over = follower.as_ref().is_none_or(Follower::is_over);
        while let Some(line) = reader.next_line()? {
            let at = stamp(line.time);
            if asked.last.is_some_and(|last| at > last) {
                return writer.out.flush().map_err(gone);
            }
            let wanted = if line.stderr { asked.stderr } else { asked.stdout };
            if wanted && asked.since.is_none_or(|since| at >= since) {
                writer.write(&line).map_err(gone)?;
            }
        }
        writer.out.flush().map_err(gone)?;
        let left = time_left(asked.until);
        if over || left.is_some_and(|left| left.is_zero()) {
            return Ok(());
        }
        let Some(follower) = &mut follower else { return Ok(()) };
        if !follow::wait(&mut [follower], &[writer.out.get_ref().as_fd()], left)? {
            return Ok(());
        }
    }
}

struct Writer<'a> {
    out: BufWriter<&'a mut std::fs::File>,
    terminal: bool,
    timestamps: bool,
    details: Option<Details>,
    /// Whether each stream is amid a line, whose later pieces have no time and no details.
    amid: [bool; 2],
    /// What stands before a line.
    head: Vec<u8>,
}

impl Writer<'_> {
    fn write(&mut self, line: &Line<'_>) -> std::io::Result<()> {
        let [stdout, stderr] = &mut self.amid;
        let amid = if line.stderr { stderr } else { stdout };
        self.head.clear();
        if self.timestamps && !*amid {
            self.head.extend_from_slice(&stamp(line.time));
            self.head.push(b' ');
        }
        if let Some(details) = self.details.as_mut().filter(|_| !*amid) {
            self.head.extend_from_slice(details.of(line.attrs).as_bytes());
            self.head.push(b' ');
        }
        *amid = !line.text.ends_with(b"\n");
        if !self.terminal {
            let length = line.text.len() + self.head.len();
            let length = u32::try_from(length).map_err(std::io::Error::other)?;
            self.out.write_all(&[if line.stderr { 2 } else { 1 }, 0, 0, 0])?;
            self.out.write_all(&length.to_be_bytes())?;
        }
        self.out.write_all(&self.head)?;
        self.out.write_all(line.text)
    }
}
