//! Name look-ups to measure, as a C library makes them: a socket for each, one question for an A record, one answer.
//! They are asked of the first name server in /etc/resolv.conf, whoever wrote it.

use std::ffi::OsStr;
use std::net::UdpSocket;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bulkhead_tests::measure::median;

/// Asks `rounds` times for the name's address, one question in each `period` (microseconds), or as soon as the answer to
/// the last came, if that took longer. Prints the median time in microseconds.
pub(crate) fn resolve(name: &OsStr, rounds: &OsStr, period: &OsStr) -> ExitCode {
    let number = |word: &OsStr| word.to_str().unwrap().parse::<u32>().unwrap();
    let (rounds, period) = (number(rounds), Duration::from_micros(number(period).into()));
    let resolvers = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    let server = resolvers.lines().find_map(|line| line.strip_prefix("nameserver ")).unwrap().trim();
    let begin = Instant::now();
    let times = (0..rounds).map(|round| {
        std::thread::sleep((period * round).saturating_sub(begin.elapsed()));
        let question = question(name.to_str().unwrap(), u16::try_from(round % 65_536).unwrap());
        let mut buffer = [0; 512];
        let start = Instant::now();
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.connect((server, 53)).unwrap();
        socket.send(&question).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        let took = start.elapsed();
        let answer = &buffer[..length];
        // Its number, no error, and at least one address.
        assert!(length > 12 && answer[..2] == question[..2], "not an answer: {}", answer.escape_ascii());
        assert!(answer[3] & 15 == 0 && answer[6..8] != [0, 0], "no address: {}", answer.escape_ascii());
        took.as_secs_f64() * 1e6
    });
    println!("{}", median(times.collect()));
    ExitCode::SUCCESS
}

/// A question for an A record (RFC 1035, section 4), recursion desired.
fn question(name: &str, number: u16) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}
