//! A terminal with a command of a host on it, driven from outside as a person at the keyboard drives it. See pty(7).

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::wait;

/// A running command and the master side of its terminal.
#[derive(Debug)]
pub struct Pty {
    shown: String,
    child: Child,
    master: File,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
    /// How much of the screen [`Pty::expect`] has gone over.
    seen: usize,
}

impl Pty {
    /// Puts `command` on a new terminal of 80 columns and 24 rows, which becomes its controlling terminal.
    pub(crate) fn start(mut command: Command, shown: String) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, winsize(80, 24)).unwrap();
        let slave = File::from(ioctl_tiocgptpeer(&master, flags).unwrap());
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        let child = command.spawn().unwrap();
        // It holds the slave side for as long as it lives, and then the end of the output would never be seen.
        drop(command);
        let master = File::from(master);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (sink, mut source) = (Arc::clone(&screen), master.try_clone().unwrap());
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            // The end is EIO: nobody has the slave side open any more.
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        debug_assert!(rustix::fs::fcntl_getfl(&master).is_ok_and(|flags| flags.contains(OFlags::RDWR)));
        Self { shown, child, master, screen, reader, seen: 0 }
    }

    /// Types `text`.
    ///
    /// # Panics
    /// When the terminal is gone.
    #[track_caller]
    pub fn send(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Types `text` and the return key.
    #[track_caller]
    pub fn line(&mut self, text: &str) {
        self.send(&format!("{text}\r"));
    }

    /// Waits until `needle` is printed after what was expected before, and gives all that was printed up to it.
    /// The echo of what was typed counts too: type `echo a''b` to expect `ab`.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn expect(&mut self, needle: &str) -> String {
        let from = self.seen;
        let found = wait::poll(wait::PATIENCE, || {
            let screen = self.screen.lock().unwrap();
            let rest = &screen[from..];
            let at = rest.windows(needle.len()).position(|window| window == needle.as_bytes());
            at.map(|at| (at + needle.len(), String::from_utf8_lossy(&rest[..at]).into_owned())).ok_or(())
        });
        let Ok((length, before)) = found else {
            panic!(
                "waited in vain for {needle:?} on the terminal of `{}`; it shows\n{}",
                self.shown,
                self.text()
            );
        };
        self.seen += length;
        before
    }

    /// Runs `command` in the shell on this terminal, and gives what it printed.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn ask(&mut self, command: &str) -> String {
        // The marks are typed with quotes inside them, so the echo of the typed line does not look like them.
        self.line(&format!("echo beg''in; {command}; echo e''nd"));
        self.expect("begin\r\n");
        self.expect("end\r\n").replace('\r', "").trim_end().to_owned()
    }

    /// Everything that the terminal has shown.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Changes the size of the window, as a window manager does.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(&self.master, winsize(columns, rows)).unwrap();
    }

    /// The terminal's modes, to see whether a command has left them as they were.
    #[must_use]
    pub fn modes(&self) -> String {
        format!("{:?}", rustix::termios::tcgetattr(&self.master).unwrap())
    }

    /// Waits for the end of the command, and gives its exit code and all that it showed.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn wait(mut self) -> (i32, String) {
        let Ok(status) = wait::poll(wait::PATIENCE, || self.child.try_wait().unwrap().ok_or(())) else {
            panic!("`{}` has not ended; its terminal shows\n{}", self.shown, self.text());
        };
        wait::until("the terminal has been read to its end", || self.reader.is_finished());
        let code = status
            .code()
            .unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap());
        (code, self.text())
    }

    /// As [`Pty::wait`], asserting the exit code.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> String {
        let shown = self.shown.clone();
        let (ended, text) = self.wait();
        assert!(
            ended == code,
            "expected exit code {code}, not {ended}, of `{shown}`; its terminal shows\n{text}"
        );
        text
    }
}

fn winsize(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
