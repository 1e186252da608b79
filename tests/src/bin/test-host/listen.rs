//! A receiver of log lines: a socket on the host, and what comes to it, a line for each message or line.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::ExitCode;

/// Listens at `address` as `kind` (`unixgram`, `unix`, `udp`, `tcp`), says `ready`, and prints what comes, escaped, until
/// standard input ends. With `hold` it takes nothing before a line comes from there.
pub(crate) fn listen(kind: &OsStr, address: &OsStr, hold: bool) -> ExitCode {
    let text = address.to_str().unwrap();
    if text.starts_with('/') {
        // One that was there before.
        let _ = std::fs::remove_file(text);
    }
    match kind.to_str().unwrap() {
        "unixgram" => {
            let socket = UnixDatagram::bind(text).unwrap();
            begin(hold);
            messages(|buffer| socket.recv(buffer))
        }
        "udp" => {
            let socket = UdpSocket::bind(text).unwrap();
            begin(hold);
            messages(|buffer| socket.recv(buffer))
        }
        "unix" => {
            let socket = UnixListener::bind(text).unwrap();
            begin(hold);
            loop {
                lines(socket.accept().unwrap().0);
            }
        }
        "tcp" => {
            let socket = TcpListener::bind(text).unwrap();
            begin(hold);
            loop {
                lines(socket.accept().unwrap().0);
            }
        }
        other => panic!("no such kind of socket: {other}"),
    }
}

fn begin(hold: bool) {
    println!("ready");
    let mut input = BufReader::new(std::io::stdin());
    if hold {
        input.read_line(&mut String::new()).unwrap();
    }
    std::thread::spawn(move || {
        let _ = input.read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

fn messages(receive: impl Fn(&mut [u8]) -> std::io::Result<usize>) -> ExitCode {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = receive(&mut buffer).unwrap();
        println!("{}", buffer[..length].escape_ascii());
    }
}

fn lines(stream: impl Read) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        println!("{}", line.escape_ascii());
        line.clear();
    }
}
