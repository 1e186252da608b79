//! How a container's output is kept: what the engine decides at its start and the supervisor carries out.
//!
//! There are two places for it, and a container may have both: a file, which `logs` reads, and a receiver, to whom each
//! line is sent. Everything here has been checked when it arrives.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Where output goes; nowhere if both are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// The file.
    pub file: Option<LogFile>,
    /// Who is told.
    pub receiver: Option<Receiver>,
}

/// A log file, and the older ones beside it: `PATH.1` (the youngest of them), `PATH.2`, …
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    /// The file that is written.
    pub path: String,
    /// What its lines look like.
    pub format: LogFormat,
    /// The largest size of one file in bytes; `None` is without end.
    pub max_size: Option<u64>,
    /// How many files there are at most, the written one included; at least 1.
    pub max_files: u32,
}

/// The form of a file's lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    /// Docker's json-file: an object for each line.
    Json {
        /// What each line tells about its container, as a JSON object.
        attrs: Option<String>,
    },
    /// `TIME STREAM F|P TEXT`, as Kubernetes' container runtimes write it: any bytes come back as they were. `P` marks a
    /// line that goes on in the next one of its stream.
    Plain,
}

/// Somebody to whom each line is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiver {
    /// What it understands.
    pub kind: ReceiverKind,
    /// Where it may be; the first that answers is taken.
    pub addresses: Vec<Address>,
    /// How many bytes may wait for it before what comes is lost; `None`: the container waits for it.
    pub buffer: Option<u64>,
}

/// What a receiver understands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceiverKind {
    /// The journal's native protocol: a datagram of fields for each line.
    Journald {
        /// What each line tells about its container: names and values.
        fields: Vec<(String, String)>,
    },
    /// syslog.
    Syslog {
        /// The form of a message.
        format: SyslogFormat,
        /// 0 to 23 (RFC 5424, table 1).
        facility: u8,
        /// What stands for the program's name.
        tag: String,
        /// This machine's name.
        hostname: String,
    },
}

/// The form of a syslog message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyslogFormat {
    /// What programs of this machine send to /dev/log: RFC 3164 without a host.
    Local,
    /// RFC 3164.
    Rfc3164,
    /// RFC 5424, times in seconds.
    Rfc5424,
    /// RFC 5424, times in microseconds.
    Rfc5424Micro,
}

/// Where a receiver is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// A stream socket of this machine.
    Stream(String),
    /// A datagram socket of this machine.
    Datagram(String),
    /// A UDP port.
    Udp(SocketAddr),
    /// A TCP port.
    Tcp(SocketAddr),
}

impl std::fmt::Display for Address {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Stream(path) | Address::Datagram(path) => out.write_str(path),
            Address::Udp(address) => write!(out, "udp://{address}"),
            Address::Tcp(address) => write!(out, "tcp://{address}"),
        }
    }
}
