//! The process behind a [`bulkhead_tests::Host`]; the harness starts it, and a person only to enter a kept host.
//!
//! - `test-host up NAME BIN IMAGES`: makes the host NAME, in which the folder BIN holds the executables under test,
//!   and lets it live until its standard input ends;
//! - `test-host enter NAME PID [--tty] -- COMMAND…`: runs a command on the host whose first process is PID;
//! - `test-host down NAME`: removes the cgroups of the host NAME, whose processes have ended;
//! - `test-host time SECONDS -- COMMAND…`: after a pause, how many microseconds the command takes, on the host;
//! - `test-host pss NAME…`: the memory of all processes of these names in KiB, each page divided by its sharers;
//! - `test-host peak -- COMMAND…`: the most memory that the command's processes have at one time in KiB;
//! - `test-host peek SECONDS PATH`: an attack, run inside a container: whether PATH shows in the root of any process;
//! - `test-host tmpfile FOLDER NAME`, `test-host setxattr PATH NAME HEX`: attacks that no shell command makes, run
//!   inside a container;
//! - `test-host listen KIND ADDRESS [hold]`: a receiver of log lines, on the host;
//! - `test-host serve PORT`, and its clients `flood ADDRESS SECONDS` (Gb/s), `ask ADDRESS SECONDS CONNECTIONS` (requests/s),
//!   `connect ADDRESS ROUNDS` (median microseconds of a new connection and one answer), anywhere;
//! - `test-host resolve NAME ROUNDS PERIOD`: median microseconds of a look-up, one in each PERIOD microseconds;
//! - `test-host swap PATH PATH`: an attack, run inside a container: exchanges two names, again and again;
//! - `test-host look`: lists what is left over, on the host where it is run;
//! - `test-host images`: makes the test images that are missing, and prints where they are.
//!
//! It has one thread until `listen`, `serve` or `ask` needs another, which unshare(2) of a mount namespace and setns(2) ask for.

// Whoever started it reads its last words on stderr.
#![allow(clippy::unwrap_used, clippy::panic)]

mod attack;
mod enter;
mod init;
mod listen;
mod measure;
mod peek;
mod resolve;
mod traffic;
mod up;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Commands hold what a test wants, valid UTF-8 or not.
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    let (verb, rest) =
        args.split_first().map_or(("", [].as_slice()), |(verb, rest)| (verb.to_str().unwrap_or(""), rest));
    match (verb, rest) {
        ("up", [name, bin, images]) => up::up(name, bin, images),
        ("init", [name, bin, images]) => init::init(name, bin, images),
        ("enter", [name, pid, tty, dashes, command @ ..]) if *tty == "--tty" && *dashes == "--" => {
            enter::enter(name, pid, true, command)
        }
        ("enter", [name, pid, dashes, command @ ..]) if *dashes == "--" => {
            enter::enter(name, pid, false, command)
        }
        ("session", command) => enter::session(command),
        ("time", [pause, dashes, command @ ..]) if *dashes == "--" => measure::time(pause, command),
        ("peak", [dashes, command @ ..]) if *dashes == "--" => measure::peak(command),
        ("pss", names) => measure::pss(names),
        ("peek", [seconds, path]) => peek::peek(seconds, path),
        ("tmpfile", [folder, name]) => attack::tmpfile(folder, name),
        ("setxattr", [path, name, hex]) => attack::setxattr(path, name, hex),
        ("swap", [one, other]) => attack::swap(one, other),
        ("lend", [socket, folder]) => attack::lend(socket, folder),
        ("borrow", [socket, name]) => attack::borrow(socket, name),
        ("listen", [kind, address]) => listen::listen(kind, address, false),
        ("listen", [kind, address, hold]) if *hold == "hold" => listen::listen(kind, address, true),
        ("serve", [port]) => traffic::serve(port),
        ("flood", [address, seconds]) => traffic::flood(address, seconds),
        ("ask", [address, seconds, connections]) => traffic::ask(address, seconds, connections),
        ("connect", [address, rounds]) => traffic::connect(address, rounds),
        ("resolve", [name, rounds, period]) => resolve::resolve(name, rounds, period),
        ("down", [name]) => up::down(name),
        ("look", []) => {
            for line in bulkhead_tests::leftovers::look() {
                println!("{line}");
            }
            ExitCode::SUCCESS
        }
        ("images", []) => {
            for path in bulkhead_tests::images::make_all() {
                println!("{}", path.display());
            }
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!(
                "usage: test-host up|enter|down|time|pss|look|images; the first comment of its source explains them"
            );
            ExitCode::from(2)
        }
    }
}
