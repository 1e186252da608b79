//! A command on a host, and what came of it: like `std::process::Command`, with an end to every wait, and with
//! assertions that show everything when they fail.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::wait;

/// How long a command may run before the test fails.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A command to be run on a host. Made by [`Host::bulkhead`](crate::Host::bulkhead) and [`Host::sh`](crate::Host::sh).
#[derive(Debug)]
#[must_use = "a command does nothing until it is run"]
pub struct Cmd {
    shown: String,
    inner: Command,
    input: Vec<u8>,
    timeout: Duration,
}

impl Cmd {
    pub(crate) fn new(inner: Command, words: &[OsString]) -> Self {
        let mut shown = String::new();
        for word in words {
            let word = word.to_string_lossy();
            let short: String = word.chars().take(200).collect();
            let _ = write!(shown, "{}{short}", if shown.is_empty() { "" } else { " " });
        }
        Self { shown, inner, input: Vec::new(), timeout: TIMEOUT }
    }

    /// What the command reads from standard input; nothing, unless this says otherwise.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Sets a variable of the command's environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// How long it may take, where a minute is too little.
    pub fn timeout(mut self, seconds: u64) -> Self {
        self.timeout = Duration::from_secs(seconds);
        self
    }

    /// Starts it and leaves it running, with its input open until [`Running::finish`].
    ///
    /// # Panics
    /// When the helper cannot be started.
    #[track_caller]
    pub fn start(mut self) -> Running {
        self.inner.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.inner.spawn().unwrap();
        let out = Collector::of(child.stdout.take().unwrap());
        let err = Collector::of(child.stderr.take().unwrap());
        Running { shown: self.shown, child, out, err, timeout: self.timeout }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it takes longer than its timeout, or leaves somebody behind who holds its output open.
    #[track_caller]
    pub fn run(mut self) -> Output {
        let input = std::mem::take(&mut self.input);
        let mut running = self.start();
        let mut stdin = running.child.stdin.take().unwrap();
        // A command that does not read its input to the end is in its right.
        let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
        let output = running.finish();
        drop(writer);
        output
    }

    /// Runs it, asserts that it succeeds, and gives standard output without the last newline.
    #[track_caller]
    pub fn stdout(self) -> String {
        self.run().succeeds().stdout().trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Runs it, and asserts that it succeeds and prints exactly `expected` (and a newline or none).
    #[track_caller]
    pub fn prints(self, expected: &str) {
        let output = self.run();
        let printed = output.succeeds().stdout().trim_end_matches(['\r', '\n']).to_owned();
        assert!(printed == expected, "expected {expected:?} of {output}");
    }

    /// Runs it, and asserts that it ends with `code` and that standard error holds `needle`.
    #[track_caller]
    pub fn fails(self, code: i32, needle: &str) -> Output {
        let output = self.run();
        output.ends_with(code);
        output.says(needle);
        output
    }
}

/// A command that was started and not yet waited for.
#[derive(Debug)]
pub struct Running {
    shown: String,
    child: Child,
    out: Collector,
    err: Collector,
    timeout: Duration,
}

impl Running {
    /// Sends `bytes` to its standard input, which stays open.
    ///
    /// # Panics
    /// When it has closed it.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.child.stdin.as_mut().unwrap().write_all(bytes.as_ref()).unwrap();
    }

    /// Waits until standard output holds `needle`.
    #[track_caller]
    pub fn expect(&self, needle: &str) {
        let shown = &self.shown;
        if wait::poll(wait::PATIENCE, || if self.out.text().contains(needle) { Ok(()) } else { Err(()) })
            .is_err()
        {
            panic!("waited in vain for {needle:?} of `{shown}`, which printed\n{}", self.out.text());
        }
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Closes its input and waits for its end.
    ///
    /// # Panics
    /// As [`Cmd::run`].
    #[track_caller]
    pub fn finish(&mut self) -> Output {
        drop(self.child.stdin.take());
        let start = Instant::now();
        let waited = wait::poll(self.timeout, || self.child.try_wait().unwrap().ok_or(()));
        let Ok(status) = waited else {
            let _ = self.child.kill();
            let (shown, timeout) = (&self.shown, self.timeout);
            panic!(
                "`{shown}` has not ended after {timeout:?}; it printed\n{}{}",
                self.out.text(),
                self.err.text()
            );
        };
        let held = "its output is held open by somebody whom it left behind";
        assert!(self.out.ended() && self.err.ended(), "`{}` has ended, but {held}", self.shown);
        let code = status
            .code()
            .unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap());
        let (stdout, stderr) = (self.out.take(), self.err.take());
        Output { shown: self.shown.clone(), code, stdout, stderr, took: start.elapsed() }
    }
}

/// Reads a pipe as it fills.
#[derive(Debug)]
struct Collector {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Collector {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes.lock().unwrap())
    }

    /// Whether the last writer has let go, or does so in a moment.
    fn ended(&self) -> bool {
        wait::poll(Duration::from_secs(5), || if self.reader.is_finished() { Ok(()) } else { Err(()) })
            .is_ok()
    }
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    shown: String,
    code: i32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    took: Duration,
}

impl Output {
    /// The exit code; 128 + the signal's number for one that a signal ended, as a shell has it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.code
    }

    /// Standard output as text.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output as it came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.stdout
    }

    /// Standard error as text.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Asserts exit code 0.
    #[track_caller]
    pub fn succeeds(&self) -> &Self {
        self.ends_with(0)
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn ends_with(&self, code: i32) -> &Self {
        assert!(self.code == code, "expected exit code {code} of {self}");
        self
    }

    /// Asserts that standard error holds `needle`, whatever the case of its letters.
    #[track_caller]
    pub fn says(&self, needle: &str) -> &Self {
        let holds = self.stderr().to_lowercase().contains(&needle.to_lowercase());
        assert!(holds, "expected {needle:?} on stderr of {self}");
        self
    }

    /// Asserts that standard output holds `needle`.
    #[track_caller]
    pub fn shows(&self, needle: &str) -> &Self {
        assert!(self.stdout().contains(needle), "expected {needle:?} on stdout of {self}");
        self
    }

    /// Asserts that standard output does not hold `needle`.
    #[track_caller]
    pub fn hides(&self, needle: &str) -> &Self {
        assert!(!self.stdout().contains(needle), "did not expect {needle:?} on stdout of {self}");
        self
    }

    /// Asserts that standard error is empty.
    #[track_caller]
    pub fn quietly(&self) -> &Self {
        assert!(self.stderr.is_empty(), "expected nothing on stderr of {self}");
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shorten = |text: String| -> String {
            if text.len() <= 8192 { text } else { text.chars().take(8192).collect::<String>() + " […]" }
        };
        let (shown, code, took) = (&self.shown, self.code, self.took);
        writeln!(out, "`{shown}`\n  ended with {code} after {took:?}")?;
        writeln!(out, "--- stdout\n{}\n--- stderr\n{}\n---", shorten(self.stdout()), shorten(self.stderr()))
    }
}
