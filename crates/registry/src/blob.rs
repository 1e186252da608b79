//! A blob of a registry as a reader, which goes on where it was when the line breaks.
//!
//! What is read is not verified here: whoever reads hashes it anyway. Verified is the length, since it bounds what is read.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use ureq::BodyReader;
use ureq::http::{Method, StatusCode, header};

use crate::client::{ATTEMPTS, Client, header as text_of};
use crate::{RegistryError, Result, failure};

/// So much must come between two failures for the second to be counted as the first.
const HEADWAY: u64 = 1 << 20;

/// A blob that is being downloaded.
pub(crate) struct Blob<'a> {
    client: &'a Client,
    path: String,
    scopes: &'a [String],
    size: u64,
    at: u64,
    body: Option<BodyReader<'static>>,
    /// How often the line broke since there was headway, and where that was.
    failures: u32,
    since: u64,
    stop: &'a AtomicBool,
    told: Box<dyn FnMut(u64) + 'a>,
    /// Why it ended, for whoever gets to see only an error of input.
    pub(crate) failure: Option<RegistryError>,
}

impl<'a> Blob<'a> {
    /// The blob at `path` of `size` bytes. `told` hears how far it is; `stop` ends it.
    pub(crate) fn new(
        client: &'a Client,
        path: String,
        scopes: &'a [String],
        size: u64,
        stop: &'a AtomicBool,
        told: Box<dyn FnMut(u64) + 'a>,
    ) -> Blob<'a> {
        let (at, body, failures, since, failure) = (0, None, 0, 0, None);
        Blob { client, path, scopes, size, at, body, failures, since, stop, told, failure }
    }

    fn step(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(RegistryError::Cancelled);
            }
            match self.advance(buffer) {
                Ok(n) => {
                    self.at += n as u64;
                    (self.told)(self.at);
                    return Ok(n);
                }
                Err(error) if error.is_passing() => {
                    self.body = None;
                    if self.at >= self.since + HEADWAY {
                        (self.failures, self.since) = (0, self.at);
                    }
                    self.failures += 1;
                    if self.failures >= ATTEMPTS {
                        return Err(error);
                    }
                    std::thread::sleep(self.client.settings.pause(self.failures - 1));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn advance(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = self.size - self.at;
        if left == 0 && self.body.is_none() && self.size > 0 {
            return Ok(0);
        }
        let body = match &mut self.body {
            Some(body) => body,
            none => none.insert(open(self.client, &self.path, self.scopes, self.at, self.size)?),
        };
        // At the end a byte more is asked for: there must be none.
        let mut more = [0];
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = if left == 0 { &mut more[..] } else { buffer.get_mut(..wanted).unwrap_or_default() };
        let origin = &self.client.endpoint.origin;
        let n = body
            .read(buffer)
            .map_err(|error| failure::of_line(origin, error.into(), self.client.settings.patience))?;
        match (left, n) {
            (0, 0) => {
                self.body = None;
                Ok(0)
            }
            (0, _) => Err(self
                .client
                .broken(&format!("sends more than the {} bytes that the manifest says", self.size))),
            (_, 0) => Err(ended(self.client, self.at, self.size)),
            _ => Ok(n),
        }
    }
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.step(buffer).map_err(|error| {
            let shown = io::Error::other(error.to_string());
            self.failure.get_or_insert(error);
            shown
        })
    }
}

fn ended(client: &Client, at: u64, size: u64) -> RegistryError {
    let origin = &client.endpoint.origin;
    RegistryError::Unavailable(format!(
        "the registry {origin} ended the connection after {at} of {size} bytes"
    ))
}

/// Asks for the blob from byte `at` on.
fn open(client: &Client, path: &str, scopes: &[String], at: u64, size: u64) -> Result<BodyReader<'static>> {
    let mut request = client.request(Method::GET, path.to_owned(), scopes);
    if at > 0 {
        request.headers.push((header::RANGE, format!("bytes={at}-")));
    }
    let answer = client.send(request)?;
    let from = match answer.response.status() {
        StatusCode::OK => 0,
        StatusCode::PARTIAL_CONTENT => {
            // `bytes FIRST-LAST/ALL`: it must be what was asked for.
            let range = text_of(answer.response.headers(), &header::CONTENT_RANGE).unwrap_or_default();
            let first = range.trim().strip_prefix("bytes ").and_then(|rest| rest.split('-').next());
            if first.and_then(|first| first.trim().parse::<u64>().ok()) != Some(at) {
                return Err(client.broken("answers with another part of a blob than was asked for"));
            }
            at
        }
        _ => return Err(failure::of_answer(answer, &client.endpoint.origin)),
    };
    if let Some(length) = answer.response.body().content_length()
        && length != size - from
    {
        return Err(client.broken(&format!(
            "says that a blob has {} bytes, and the manifest says {size}",
            length.saturating_add(from)
        )));
    }
    let mut body = answer.response.into_body().into_with_config().limit(u64::MAX).reader();
    // One that knows no parts sends all of it again.
    let again = at - from;
    let skipped = io::copy(&mut body.by_ref().take(again), &mut io::sink())
        .map_err(|error| failure::of_line(&client.endpoint.origin, error.into(), client.settings.patience))?;
    if skipped < again {
        return Err(ended(client, skipped, size));
    }
    Ok(body)
}
