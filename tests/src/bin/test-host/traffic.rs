//! TCP traffic to measure: a server, and clients that print what they got from it. Nothing but system calls is in the
//! figures: no protocol, no copy, a thread for each connection.
//!
//! The first byte of a connection says what it is for: after `FLOOD` the server counts bytes to the end, and answers with
//! their number; after `ASK` it answers each request with as many bytes.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bulkhead_tests::measure::median;

const FLOOD: u8 = b'f';
const ASK: u8 = b'a';
/// The bytes of a request, and of an answer.
const REQUEST: usize = 128;
/// The bytes of a write of a flood.
const CHUNK: usize = 128 << 10;
/// How long a client waits for a server that is just starting.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until it is ended.
pub(crate) fn serve(port: &OsStr) -> ExitCode {
    let listener = TcpListener::bind(("0.0.0.0", parse(port))).unwrap();
    loop {
        let Ok((stream, _)) = listener.accept() else { continue };
        // Whoever breaks a connection off has had what it wanted.
        std::thread::spawn(move || answer(stream));
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    if kind == [FLOOD] {
        let (mut buffer, mut sum) = (vec![0; 2 * CHUNK], 0_u64);
        while let count @ 1.. = stream.read(&mut buffer)? {
            sum += u64::try_from(count).unwrap();
        }
        return stream.write_all(&sum.to_le_bytes());
    }
    let mut request = [0; REQUEST];
    loop {
        stream.read_exact(&mut request)?;
        stream.write_all(&request)?;
    }
}

/// Sends for so many seconds over one connection, and prints the gigabits per second that arrived.
pub(crate) fn flood(address: &OsStr, seconds: &OsStr) -> ExitCode {
    let address = ready(address);
    let mut stream = TcpStream::connect(address).unwrap();
    let (start, span) = (Instant::now(), Duration::from_secs_f64(parse(seconds)));
    stream.write_all(&[FLOOD]).unwrap();
    let chunk = vec![0; CHUNK];
    while start.elapsed() < span {
        stream.write_all(&chunk).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let mut sum = [0; 8];
    stream.read_exact(&mut sum).unwrap();
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    let bits = u64::from_le_bytes(sum) as f64 * 8.0;
    println!("{}", bits / 1e9 / start.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}

/// Asks over so many connections for so many seconds, one request under way on each, and prints the requests per second.
pub(crate) fn ask(address: &OsStr, seconds: &OsStr, connections: &OsStr) -> ExitCode {
    let address = ready(address);
    let span = Duration::from_secs_f64(parse(seconds));
    let one = || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&[ASK]).unwrap();
        let (start, mut count) = (Instant::now(), 0_u32);
        while start.elapsed() < span {
            exchange(&mut stream).unwrap();
            count += 1;
        }
        f64::from(count) / start.elapsed().as_secs_f64()
    };
    let rate: f64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..parse::<usize>(connections)).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    println!("{rate}");
    ExitCode::SUCCESS
}

/// Prints the median of so many new connections' times, each with one request and its answer, so that whoever only accepts for
/// another has had to connect to it.
pub(crate) fn connect(address: &OsStr, rounds: &OsStr) -> ExitCode {
    let address = ready(address);
    let times = (0..parse::<usize>(rounds)).map(|_| {
        let start = Instant::now();
        reach(address).unwrap();
        start.elapsed().as_secs_f64() * 1e6
    });
    println!("{}", median(times.collect()));
    ExitCode::SUCCESS
}

/// Waits until somebody answers there.
fn ready(address: &OsStr) -> &str {
    let (address, start) = (address.to_str().unwrap(), Instant::now());
    while let Err(error) = reach(address) {
        assert!(start.elapsed() < PATIENCE, "nobody serves at {address}: {error}");
        std::thread::sleep(Duration::from_millis(10));
    }
    address
}

/// One connection, one request, one answer.
fn reach(address: &str) -> std::io::Result<()> {
    let address = address.parse().map_err(|error| std::io::Error::new(ErrorKind::InvalidInput, error))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[ASK])?;
    exchange(&mut stream)
}

fn exchange(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut answer = [0; REQUEST];
    stream.write_all(&[b'x'; REQUEST])?;
    stream.read_exact(&mut answer)
}

fn parse<T: FromStr>(word: &OsStr) -> T {
    let text = word.to_str().unwrap();
    text.parse().unwrap_or_else(|_| panic!("'{text}' is no number of the kind that is asked for"))
}
