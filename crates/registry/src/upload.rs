//! Sending a layer: its tar is written again, compressed and hashed while it is sent, so that nothing of it is kept.
//!
//! It goes in one PATCH without a stated length, as Docker sends it: all registries take that, while some take no upload in
//! numbered parts. When the line breaks, the registry is asked how much it has, and the rest is sent; the same layer
//! compresses to the same bytes each time, so they are made again up to there.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use bulkhead_image::{Digest, HashingWriter, ImageError, Store};
use flate2::Compression;
use flate2::write::GzEncoder;
use ureq::http::{Method, StatusCode, header};

use crate::address::{self, Origin, encoded};
use crate::client::{ATTEMPTS, Answer, Client, Content, Request, header as text_of};
use crate::{RegistryError, Result, failure};

/// How much is compressed before it is sent, and how many such parts may wait.
const PART: usize = 128 * 1024;
const WAITING: usize = 8;

/// Where an upload goes on.
pub(crate) type Place = (Origin, String);

/// A layer on its way out.
pub(crate) struct Upload<'a> {
    pub(crate) client: &'a Client,
    pub(crate) store: &'a Store,
    pub(crate) diff_id: Digest,
    pub(crate) repository: &'a str,
    pub(crate) scopes: &'a [String],
    pub(crate) stop: &'a AtomicBool,
}

impl Upload<'_> {
    /// Sends it, beginning at `place` if the registry has given one; gives what was sent. `told` hears how much of the
    /// tar has gone.
    pub(crate) fn send(&self, mut place: Option<Place>, told: &mut dyn FnMut(u64)) -> Result<(Digest, u64)> {
        let (mut at, mut attempt, mut whole) = (0, 0, None);
        loop {
            match self.attempt(&mut place, at, &mut whole, told) {
                Ok(sent) => return Ok(sent),
                Err(error) if error.is_passing() && attempt + 1 < ATTEMPTS => {
                    thread::sleep(self.client.settings.pause(attempt));
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
            at = match place.take().map(|old| self.status(old)) {
                Some(Ok((next, have))) if whole.is_none_or(|(_, length)| have <= length) => {
                    place = Some(next);
                    have
                }
                // It knows nothing of it any more.
                _ => 0,
            };
        }
    }

    fn attempt(
        &self,
        place: &mut Option<Place>,
        at: u64,
        whole: &mut Option<(Digest, u64)>,
        told: &mut dyn FnMut(u64),
    ) -> Result<(Digest, u64)> {
        let from = match place {
            Some(from) => from.clone(),
            None => place.insert(begin(self.client, self.repository, self.scopes)?).clone(),
        };
        let (sent, from) = match *whole {
            Some(sent) if sent.1 == at => (sent, from),
            _ => {
                let (sent, next) = self.stream(from, at, told)?;
                (*place, *whole) = (Some(next.clone()), Some(sent));
                (sent, next)
            }
        };
        finish(self.client, from, &sent.0, b"", self.scopes)?;
        Ok(sent)
    }

    /// One PATCH of everything from byte `at` on; gives what all of it is, and where to go on.
    fn stream(&self, from: Place, at: u64, told: &mut dyn FnMut(u64)) -> Result<((Digest, u64), Place)> {
        let (to, parts) = sync_channel(WAITING);
        let read = AtomicU64::new(0);
        thread::scope(|scope| {
            let made = scope.spawn(|| compress(self.store, &self.diff_id, to, &read));
            let mut rest =
                Rest { parts, part: Vec::new(), at: 0, skip: at, read: &read, told, stop: self.stop };
            let request = Request {
                method: Method::PATCH,
                origin: from.0,
                path: from.1,
                headers: vec![(header::CONTENT_TYPE, "application/octet-stream".into())],
                content: Content::Stream(&mut rest),
                scopes: self.scopes,
            };
            let answer = self.client.send(request);
            // Ends the other thread, if it is still at it.
            drop(rest);
            let made = made.join().map_err(|_| RegistryError::Cancelled)?;
            if self.stop.load(Ordering::Relaxed) {
                return Err(RegistryError::Cancelled);
            }
            let made = match made {
                // It was ended because the line was, or by an answer that came early.
                Err(Made::Stopped) => None,
                // What could not be read here is the cause of whatever came of it.
                Err(Made::Failed(error)) => return Err(error.into()),
                Ok(made) => Some(made),
            };
            let answer = answer?;
            match answer.response.status() {
                StatusCode::ACCEPTED | StatusCode::NO_CONTENT | StatusCode::CREATED => {
                    let next = location(self.client, &answer)?;
                    let early = || self.client.broken("ends an upload before all was sent");
                    Ok((made.ok_or_else(early)?, next))
                }
                _ => Err(failure::of_answer(answer, &self.client.endpoint.origin)),
            }
        })
    }

    /// How much of an upload the registry has.
    fn status(&self, place: Place) -> Result<(Place, u64)> {
        let mut request = self.client.request(Method::GET, place.1, self.scopes);
        request.origin = place.0;
        let answer = self.client.send(request)?;
        if answer.response.status() != StatusCode::NO_CONTENT {
            return Err(failure::of_answer(answer, &self.client.endpoint.origin));
        }
        // `0-LAST`, which for nothing is `0-0`: then one byte may be there, or none.
        let range = text_of(answer.response.headers(), &header::RANGE).unwrap_or_default();
        let last =
            range.trim_start_matches("bytes=").split_once('-').and_then(|(_, last)| last.parse::<u64>().ok());
        match last {
            Some(last) if last > 0 => Ok((location(self.client, &answer)?, last.saturating_add(1))),
            _ => Err(RegistryError::Unavailable("the upload begins anew".into())),
        }
    }
}

/// Begins an upload.
pub(crate) fn begin(client: &Client, repository: &str, scopes: &[String]) -> Result<Place> {
    let mut request = client.request(Method::POST, format!("/v2/{repository}/blobs/uploads/"), scopes);
    request.content = Content::Bytes(b"");
    let answer = client.send(request)?;
    match answer.response.status() {
        StatusCode::ACCEPTED => location(client, &answer),
        _ => Err(failure::of_answer(answer, &client.endpoint.origin)),
    }
}

/// Ends it: `rest` is the last of the content.
pub(crate) fn finish(
    client: &Client,
    place: Place,
    digest: &Digest,
    rest: &[u8],
    scopes: &[String],
) -> Result<()> {
    let path = address::with_query(&place.1, &format!("digest={}", encoded(&digest.to_string())));
    let headers = vec![(header::CONTENT_TYPE, "application/octet-stream".into())];
    let content = Content::Bytes(rest);
    let answer =
        client.send(Request { method: Method::PUT, origin: place.0, path, headers, content, scopes })?;
    match answer.response.status() {
        StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
        _ => Err(failure::of_answer(answer, &client.endpoint.origin)),
    }
}

/// Where an upload goes on. It may be another host, which then gets no credentials, but never one without TLS after one with.
pub(crate) fn location(client: &Client, answer: &Answer) -> Result<Place> {
    let location = text_of(answer.response.headers(), &header::LOCATION)
        .ok_or_else(|| client.broken("says not where an upload goes on"))?;
    let place = address::join(&answer.origin, &answer.path, location)?;
    if answer.origin.https && !place.0.https {
        return Err(client.broken(&format!("wants an upload sent from https to {}", place.0)));
    }
    Ok(place)
}

/// Why a layer was not compressed to its end.
enum Made {
    /// Nobody takes the rest.
    Stopped,
    Failed(ImageError),
}

impl From<ImageError> for Made {
    fn from(error: ImageError) -> Made {
        match error {
            ImageError::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => Made::Stopped,
            error => Made::Failed(error),
        }
    }
}

fn compress(
    store: &Store,
    diff_id: &Digest,
    to: SyncSender<Vec<u8>>,
    read: &AtomicU64,
) -> Result<(Digest, u64), Made> {
    let failed =
        |error: io::Error| Made::from(ImageError::io(format!("compress the layer {diff_id}"), error));
    let parts = Parts { part: Vec::with_capacity(PART), to };
    let mut gzip = GzEncoder::new(HashingWriter::new(parts), Compression::default());
    store.layer_tar(diff_id, Counted { inner: &mut gzip, read })?;
    let (mut parts, digest, length) = gzip.finish().map_err(failed)?.finish();
    parts.pass_on().map_err(failed)?;
    Ok((digest, length))
}

/// Counts what is written to another.
struct Counted<'a, W> {
    inner: W,
    read: &'a AtomicU64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end where compressed bytes go in.
struct Parts {
    part: Vec<u8>,
    to: SyncSender<Vec<u8>>,
}

impl Parts {
    fn pass_on(&mut self) -> io::Result<()> {
        let part = std::mem::replace(&mut self.part, Vec::with_capacity(PART));
        self.to.send(part).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end where they come out, without what the registry has.
struct Rest<'a> {
    parts: Receiver<Vec<u8>>,
    part: Vec<u8>,
    at: usize,
    skip: u64,
    read: &'a AtomicU64,
    told: &'a mut dyn FnMut(u64),
    stop: &'a AtomicBool,
}

impl Read for Rest<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("cancelled"));
            }
            let left = self.part.get(self.at..).unwrap_or_default();
            if left.is_empty() {
                match self.parts.recv() {
                    Ok(part) => (self.part, self.at) = (part, 0),
                    // Also when it failed: what was sent then has no digest, and is not asked to be kept.
                    Err(_) => return Ok(0),
                }
                continue;
            }
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(left.len());
            if skipped > 0 {
                self.skip -= skipped as u64;
                self.at += skipped;
                continue;
            }
            let n = left.len().min(buffer.len());
            if let (Some(to), Some(from)) = (buffer.get_mut(..n), left.get(..n)) {
                to.copy_from_slice(from);
            }
            self.at += n;
            (self.told)(self.read.load(Ordering::Relaxed));
            return Ok(n);
        }
    }
}
