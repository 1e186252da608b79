//! A registry of the tests' own: each answer is what the test says, down to how many of its bytes are sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bulkhead_tests::Host;
use bulkhead_tests::archive::{Layer, digest, gzip, image_config};
use serde_json::{Value, json};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A question, as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    /// What came of the content; less than was said if the line was cut by `Reply::cut_input`.
    pub(crate) content: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// The length that is stated; `None`: it comes in chunks.
    pub(crate) stated: Option<usize>,
    /// After so many bytes of the body the line is cut.
    pub(crate) cut: Option<usize>,
    /// After so many bytes of the body nothing more comes.
    pub(crate) stall: Option<usize>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        let body = body.into();
        Reply { status, headers: Vec::new(), stated: Some(body.len()), body, cut: None, stall: None }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }
}

type Handler = dyn Fn(&Asked, usize) -> Reply + Send + Sync;

/// A running server. Its threads end when the test process does.
pub(crate) struct Server {
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Serves on `127.0.0.1:PORT` of the host; `handler` gets the question and how many of the same kind came before.
    pub(crate) fn start(
        host: &Host,
        port: u16,
        handler: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static,
    ) -> Server {
        Server::reading(host, port, None, handler)
    }

    /// The same; of the first content that is longer than `cut_input` only so much is read, and the line is cut.
    pub(crate) fn reading(
        host: &Host,
        port: u16,
        cut_input: Option<usize>,
        handler: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let listener = host.in_network(|| TcpListener::bind(("127.0.0.1", port)).unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (all, handler): (_, Arc<Handler>) = (Arc::clone(&asked), Arc::new(handler));
        let cut_input = Arc::new(Mutex::new(cut_input));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (all, handler, cut) = (Arc::clone(&all), Arc::clone(&handler), Arc::clone(&cut_input));
                std::thread::spawn(move || drop(talk(&stream, &all, &cut, handler.as_ref())));
            }
        });
        Server { asked }
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Those whose path contains `part`.
    pub(crate) fn about(&self, part: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.path.contains(part)).collect()
    }
}

fn talk(
    stream: &TcpStream,
    all: &Mutex<Vec<Asked>>,
    cut_input: &Mutex<Option<usize>>,
    handler: &Handler,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut input = BufReader::new(stream);
    loop {
        let mut asked = Asked::default();
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_ascii_whitespace().map(str::to_owned);
        asked.method = words.next().unwrap_or_default();
        asked.path = words.next().unwrap_or_default();
        loop {
            let mut line = String::new();
            input.read_line(&mut line)?;
            match line.trim().split_once(": ") {
                Some((name, value)) => asked.headers.push((name.to_ascii_lowercase(), value.to_owned())),
                None => break,
            }
        }
        let limit = *cut_input.lock().unwrap();
        let whole = content(&mut input, &mut asked, limit)?;
        let before = {
            let mut all = all.lock().unwrap();
            let same = |other: &&Asked| (&other.method, &other.path) == (&asked.method, &asked.path);
            let before = all.iter().filter(same).count();
            all.push(asked.clone());
            before
        };
        let reply = handler(&asked, before);
        if !whole {
            *cut_input.lock().unwrap() = None;
            return stream.shutdown(Shutdown::Both);
        }
        if !answer(stream, &asked, &reply)? {
            return stream.shutdown(Shutdown::Both);
        }
    }
}

/// Reads the content; gives whether all of it.
fn content(input: &mut impl BufRead, asked: &mut Asked, limit: Option<usize>) -> std::io::Result<bool> {
    let limit = limit.unwrap_or(usize::MAX);
    if let Some(length) = asked.header("content-length").and_then(|length| length.parse().ok()) {
        let mut bytes = vec![0; length];
        input.read_exact(&mut bytes)?;
        asked.content = bytes;
    }
    while asked.header("transfer-encoding").is_some() {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        let mut bytes = vec![0; length + 2];
        input.read_exact(&mut bytes)?;
        asked.content.extend_from_slice(&bytes[..length]);
        if length == 0 {
            break;
        }
        if asked.content.len() > limit {
            asked.content.truncate(limit);
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives whether the line is still good.
fn answer(mut stream: &TcpStream, asked: &Asked, reply: &Reply) -> std::io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    match reply.stated {
        Some(length) => head += &format!("Content-Length: {length}\r\n\r\n"),
        None => head += "Transfer-Encoding: chunked\r\n\r\n",
    }
    stream.write_all(head.as_bytes())?;
    if asked.method == "HEAD" {
        return Ok(true);
    }
    let end = reply.cut.or(reply.stall).unwrap_or(reply.body.len()).min(reply.body.len());
    if reply.stated.is_none() {
        stream.write_all(format!("{end:x}\r\n").as_bytes())?;
    }
    stream.write_all(&reply.body[..end])?;
    if reply.stated.is_none() {
        stream.write_all(b"\r\n0\r\n\r\n")?;
    }
    if reply.stall.is_some() {
        // Until the other side has had enough of it.
        let _ = stream.read(&mut [0; 64]);
        return Ok(false);
    }
    Ok(reply.cut.is_none())
}

/// An image of one layer with bytes that do not compress, and one with a little program's worth of nothing.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
    pub(crate) blobs: Vec<Vec<u8>>,
}

impl Sample {
    pub(crate) fn new() -> Sample {
        Sample::packed("+gzip", gzip)
    }

    pub(crate) fn packed(suffix: &str, pack: impl Fn(&[u8]) -> Vec<u8>) -> Sample {
        // Larger than what counts as headway between two failures.
        let mut seed = 0x2545_f491_4f6c_dd1du64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed.to_le_bytes()[0]
        })
        .take(3 << 20)
        .collect();
        let tars =
            [Layer::new().file("noise", 0o644, noise).done(), Layer::new().file("b", 0o644, b"b").done()];
        let diffs: Vec<String> = tars.iter().map(|tar| digest(tar)).collect();
        let config = image_config(&json!({ "Cmd": ["x"] }), &diffs);
        let blobs: Vec<Vec<u8>> = tars.iter().map(|tar| pack(tar)).collect();
        let layer =
            |blob: &Vec<u8>| described(&format!("application/vnd.oci.image.layer.v1.tar{suffix}"), blob);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": described("application/vnd.oci.image.config.v1+json", &config),
            "layers": blobs.iter().map(layer).collect::<Vec<_>>(),
        });
        Sample { manifest: serde_json::to_vec(&manifest).unwrap(), config, blobs }
    }

    /// What a well-behaved registry answers.
    pub(crate) fn reply(&self, asked: &Asked) -> Reply {
        if asked.path == "/v2/" {
            return Reply::new(200, "{}");
        }
        if asked.path.contains("/manifests/") {
            return Reply::new(200, self.manifest.clone()).with("Content-Type", MANIFEST);
        }
        let all = self.blobs.iter().chain([&self.config]);
        match all.into_iter().find(|blob| asked.path.ends_with(&digest(blob))) {
            Some(blob) => part(blob, asked),
            None => Reply::new(404, r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}"#),
        }
    }

    /// The path of the large layer.
    pub(crate) fn large(&self) -> String {
        format!("/blobs/{}", digest(&self.blobs[0]))
    }
}

/// The part of a blob that was asked for.
fn part(blob: &[u8], asked: &Asked) -> Reply {
    let range =
        asked.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match range {
        None => Reply::new(200, blob),
        Some(from) => {
            let from: usize = from;
            let said = format!("bytes {from}-{}/{}", blob.len() - 1, blob.len());
            Reply::new(206, &blob[from..]).with("Content-Range", said)
        }
    }
}

pub(crate) fn described(media_type: &str, blob: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(blob), "size": blob.len() })
}
