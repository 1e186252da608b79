//! A client's session with a program: attached to a container, or to an exec.
//!
//! The server copies between the client and pipes that lead to the program's supervisor (or, for an exec, to the program
//! itself). It keeps one piece of each stream, so a client that does not read costs that and no more: the pipe fills, and
//! then it is as with any pipe's reader (docs/api.md says whom that holds back).
//!
//! Without a terminal the two streams come in frames: the stream's number, three zeros, the length as four bytes with the
//! highest first, and as many bytes (Docker's reference, "Stream format" of attach).

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use bulkhead_engine::detach_keys::DetachKeys;
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::descriptors::{Hangup, Stream};
use crate::flow::Flow;
use crate::pending::Place;

/// What is read of a stream at once.
const PIECE: usize = 16 * 1024;
/// A frame's head.
const HEAD: usize = 8;
/// How long an exec that has ended may still say something: what it left behind may hold its streams open for ever.
const AFTERWARDS: Duration = Duration::from_millis(200);

/// How long a client that was told everything may take to go.
const AT_THE_END: Duration = Duration::from_secs(5);

/// Where a session's bytes come from and go to.
#[derive(Default)]
pub(crate) struct Session {
    /// What goes into the program.
    pub(crate) input: Option<Arc<Stream>>,
    /// What it says.
    pub(crate) output: Option<Arc<Stream>>,
    /// What it says of errors.
    pub(crate) errors: Option<Arc<Stream>>,
    /// Whether the client is told which is which.
    pub(crate) framed: bool,
    /// What ends the session and not the program.
    pub(crate) keys: DetachKeys,
    /// What was said before.
    pub(crate) before: Option<Flow>,
    /// Whether the program has ended, if that is not shown by its streams.
    pub(crate) ended: Option<watch::Receiver<bool>>,
    /// Its place among those that wait for a start.
    pub(crate) place: Option<Place>,
}

impl Session {
    /// Serves the client, which has sent `early` already, until either side has gone.
    pub(crate) async fn serve<S: AsyncRead + AsyncWrite>(
        self,
        client: S,
        early: Bytes,
        hangup: Option<Hangup>,
    ) {
        let Session { input, output, errors, framed, keys, before, ended, mut place } = self;
        let (mut reader, mut writer) = tokio::io::split(client);
        // An exec goes on without its client, and nobody else reads what it says.
        let unheard = ended.clone().map(|ended| (ended, [output.clone(), errors.clone()]));
        let said_all = watch::Sender::new(false);
        let all_is_said = async || drop(said_all.subscribe().wait_for(|said| *said).await);
        let only_speaks = output.is_none() && errors.is_none();
        let waited = input.clone().filter(|_| only_speaks);
        let telling = async {
            if let Some(before) = before {
                pass_on(before, &mut writer).await?;
            }
            match waited {
                Some(input) => {
                    tokio::select! {
                        () = input.unread() => {}
                        () = all_is_said() => {}
                    }
                    // The program's input ends; what was said waits for it in the pipe, if it has not begun.
                    drop(input);
                    if let Some(place) = &mut place {
                        place.taken().await;
                    }
                }
                None => tell([output, errors], framed, ended, &mut writer).await?,
            }
            io::Result::Ok(())
        };
        let feeding = async {
            match feed(&mut reader, early, input, keys).await {
                Fed::Left => {}
                Fed::All => {
                    said_all.send_replace(true);
                    // It may still listen.
                    pending().await
                }
            }
        };
        // What a client said before it went is passed on, as far as the program takes it.
        let rest = async || drop(timeout(AT_THE_END, all_is_said()).await);
        let going = async {
            gone(hangup).await;
            rest().await;
        };
        let told = async {
            // A client that cannot be written to has gone.
            if telling.await.is_err() {
                rest().await;
            }
        };
        tokio::select! {
            () = feeding => {}
            () = told => {}
            () = going => {}
        }
        drop(place);
        if let Some((ended, streams)) = unheard.filter(|(ended, _)| !*ended.borrow()) {
            let mut nowhere = tokio::io::sink();
            tokio::spawn(async move { drop(tell(streams, false, Some(ended), &mut nowhere).await) });
        }
        let _ = writer.shutdown().await;
        // A socket that is closed with something unread in it is a reset connection to the other side, which may not have
        // read all either.
        let _ = timeout(AT_THE_END, tokio::io::copy(&mut reader, &mut tokio::io::sink())).await;
    }
}

async fn gone(hangup: Option<Hangup>) {
    match hangup {
        Some(hangup) => hangup.wait().await,
        None => pending().await,
    }
}

/// How what a client says has ended.
enum Fed {
    /// It left by its keys.
    Left,
    /// It has nothing more to say.
    All,
}

/// Copies what the client says to the program.
async fn feed<S: AsyncRead>(
    reader: &mut ReadHalf<S>,
    early: Bytes,
    mut input: Option<Arc<Stream>>,
    mut keys: DetachKeys,
) -> Fed {
    let mut buffer = vec![0; PIECE];
    let mut passed = Vec::new();
    let mut said = early;
    loop {
        let left = keys.see(&said, &mut passed);
        if let Some(stream) = &input
            && stream.write_all(&passed).await.is_err()
        {
            // The program takes no more. What the client says is read all the same: the keys may be in it.
            input = None;
        }
        if left {
            return Fed::Left;
        }
        passed.clear();
        match reader.read(&mut buffer).await {
            Ok(length) if length > 0 => {
                said = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
            }
            // Its end is the input's.
            _ => return Fed::All,
        }
    }
}

async fn pass_on(mut flow: Flow, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    while let Some(frame) = flow.frame().await {
        if let Ok(data) = frame?.into_data() {
            writer.write_all(&data).await?;
        }
    }
    Ok(())
}

/// Copies what the program says to the client, until its end: of an exec that is not before its exit code is known.
async fn tell(
    streams: [Option<Arc<Stream>>; 2],
    framed: bool,
    mut ended: Option<watch::Receiver<bool>>,
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let [mut output, mut errors] = streams;
    let (mut first, mut second) = (vec![0; HEAD + PIECE], vec![0; HEAD + PIECE]);
    let mut over = false;
    while output.is_some() || errors.is_some() {
        let next = async {
            tokio::select! {
                read = piece(output.as_deref(), &mut first) => (1, read),
                read = piece(errors.as_deref(), &mut second) => (2, read),
                () = end(ended.as_mut()), if !over => (0, Ok(0)),
            }
        };
        let next = if over { timeout(AFTERWARDS, next).await } else { Ok(next.await) };
        let (number, length) = match next {
            Err(_silence) => return Ok(()),
            Ok((0, _)) => {
                over = true;
                continue;
            }
            Ok((number, read)) => (number, read.unwrap_or(0)),
        };
        let stream = if number == 1 { &mut output } else { &mut errors };
        if length == 0 {
            *stream = None;
            continue;
        }
        let buffer = if number == 1 { &mut first } else { &mut second };
        let said = buffer.get_mut(..HEAD + length).unwrap_or_default();
        if framed {
            let [a, b, c, d] = u32::try_from(length).unwrap_or_default().to_be_bytes();
            for (place, byte) in said.iter_mut().zip([number, 0, 0, 0, a, b, c, d]) {
                *place = byte;
            }
        }
        writer.write_all(said.get(if framed { 0 } else { HEAD }..).unwrap_or_default()).await?;
    }
    if ended.is_some() {
        end(ended.as_mut()).await;
    }
    Ok(())
}

/// Reads behind the room for a frame's head.
async fn piece(stream: Option<&Stream>, buffer: &mut [u8]) -> io::Result<usize> {
    match stream {
        Some(stream) => stream.read(buffer.get_mut(HEAD..).unwrap_or_default()).await,
        None => pending().await,
    }
}

async fn end(ended: Option<&mut watch::Receiver<bool>>) {
    match ended {
        Some(ended) => drop(ended.wait_for(|ended| *ended).await),
        None => pending().await,
    }
}
