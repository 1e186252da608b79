//! A host of its own for a test, and the commands that are run on it.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::cgroups::{self, Hierarchy};
use crate::command::Cmd;
use crate::images::{self, Image};
use crate::pty::Pty;
use crate::wait;

/// Where the host sees the executables under test, which are first in its PATH.
pub const BIN: &str = "/run/host/bin";
/// Where the host sees the archives of the test images, read-only.
pub const IMAGES: &str = "/run/host/images";
/// Where the host sees the helper executable.
pub const HELPER: &str = "/run/host/test-host";
/// Where the host keeps the upper folders of its own `/etc`, `/var`, ….
pub const OVERLAYS: &str = "/run/host/overlays";

/// What the names of the hosts' cgroups start with; the test's pid and a number follow.
const PREFIX: &str = "bulkhead-test-";
/// How long a container's last traces may outlive the command that removed it.
const GRACE: Duration = Duration::from_secs(5);

/// A host of its own. It ends with [`Host::finish`], which looks for leftovers; dropping it does the same, unless the
/// test is failing already.
#[derive(Debug)]
pub struct Host {
    name: String,
    hierarchies: Vec<Hierarchy>,
    /// The helper that made the host; it waits for `first`, and both end when its input does.
    helper: Child,
    /// The host's first process, by its pid on the machine.
    first: u32,
    ended: bool,
}

impl Host {
    /// Makes a host. `name` is for whoever reads `ps` while the tests run.
    ///
    /// # Panics
    /// When that fails: without root, or without a built executable.
    #[track_caller]
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::with_executables(name, &executables())
    }

    /// The same with the executables of another build than the usual, such as `debug`.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[track_caller]
    #[must_use]
    pub fn of_build(name: &str, build: &str) -> Self {
        let bin = built().join(build);
        assert!(
            bin.join("bulkhead").is_file(),
            "{} has no executables: run `make build` first",
            bin.display()
        );
        Self::with_executables(name, &bin)
    }

    #[track_caller]
    fn with_executables(name: &str, bin: &Path) -> Self {
        static SWEPT: Once = Once::new();
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        assert!(rustix::process::geteuid().is_root(), "end-to-end tests make namespaces and so need root");
        let images = images::folder();
        let hierarchies = Hierarchy::all().unwrap();
        SWEPT.call_once(|| cgroups::sweep(&hierarchies, PREFIX));
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{name}", std::process::id());
        let mut helper = Command::new(helper())
            .args([OsStr::new("up"), OsStr::new(&name), bin.as_os_str(), images.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // A pid and `ready`, from two processes, in either order.
        let said: Vec<String> =
            BufReader::new(helper.stdout.take().unwrap()).lines().map_while(Result::ok).take(2).collect();
        let first = said.iter().find_map(|line| line.parse().ok()).unwrap_or(0);
        let host = Self { name, hierarchies, helper, first, ended: false };
        assert!(said.len() == 2 && first != 0, "the host {} did not come up", host.name);
        if keep() {
            let (name, first, helper) = (&host.name, host.first, self::helper());
            eprintln!("KEPT: enter by: {} enter {name} {first} -- sh", helper.display());
        }
        host
    }

    /// Loads the image `busybox` into the host's engine.
    #[track_caller]
    #[must_use]
    pub fn with_busybox(self) -> Self {
        self.with(Image::Busybox)
    }

    /// Loads one of the test images into the host's engine, under its own name.
    ///
    /// # Panics
    /// When it cannot be made or loaded.
    #[track_caller]
    #[must_use]
    pub fn with(self, image: Image) -> Self {
        images::make(image);
        self.bulkhead(["load", "--quiet", "--input", &image.on_host()]).run().succeeds();
        self
    }

    /// A `bulkhead` command on this host.
    pub fn bulkhead<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Cmd {
        let mut words = vec![OsString::from("bulkhead")];
        words.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self.command(&words)
    }

    /// A shell script on this host, in which `bulkhead` is in the PATH.
    pub fn sh(&self, script: &str) -> Cmd {
        self.command(&["sh", "-ec", script].map(OsString::from))
    }

    /// A `bulkhead` command on this host, on a terminal of its own.
    #[track_caller]
    pub fn pty<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Pty {
        let words = args.into_iter().map(|arg| arg.as_ref().to_owned());
        self.pty_of(std::iter::once(OsString::from("bulkhead")).chain(words))
    }

    /// Any command on this host, on a terminal of its own.
    #[track_caller]
    pub fn pty_of<I: IntoIterator<Item: AsRef<OsStr>>>(&self, words: I) -> Pty {
        let words: Vec<OsString> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        let shown = words.join(OsStr::new(" ")).to_string_lossy().into_owned();
        Pty::start(self.entering(true, &words), shown)
    }

    /// Does `work` in the host's network, on a thread of its own: what it binds stays there.
    ///
    /// # Panics
    /// When the host has ended, or `work` panics.
    #[track_caller]
    pub fn in_network<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let network = std::fs::File::open(format!("/proc/{}/ns/net", self.first)).unwrap();
        let inside = move || {
            rustix::thread::move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&network),
                Some(rustix::thread::LinkNameSpaceType::Network),
            )
            .unwrap();
            work()
        };
        std::thread::scope(|scope| scope.spawn(inside).join().unwrap())
    }

    /// A path of this host as the rest of the machine reaches it.
    #[must_use]
    pub fn on_machine(&self, path: &str) -> String {
        format!("/proc/{}/root{path}", self.first)
    }

    /// The host's name, which is its hostname and its cgroups' too.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn command(&self, words: &[OsString]) -> Cmd {
        Cmd::new(self.entering(false, words), words)
    }

    fn entering(&self, tty: bool, words: &[OsString]) -> Command {
        let mut command = Command::new(helper());
        command.args(["enter", &self.name, &self.first.to_string()]);
        if tty {
            command.arg("--tty");
        }
        command.arg("--").args(words).env_clear();
        command.env("PATH", format!("{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
        command.envs([("HOME", "/root"), ("LANG", "C.UTF-8"), ("TERM", "xterm")]);
        command
    }

    /// Runs a container in the background and gives its ID: `bulkhead run -d ARGS…`.
    #[track_caller]
    pub fn run_detached<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> String {
        let mut words = vec![OsString::from("run"), OsString::from("-d")];
        words.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        let id = self.bulkhead(words).stdout();
        assert!(id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()), "not an ID alone: {id:?}");
        id
    }

    /// What `inspect --format` says of a container or image.
    #[track_caller]
    pub fn inspect(&self, name: &str, format: &str) -> String {
        self.bulkhead(["inspect", "--format", format, name]).stdout()
    }

    /// Removes all containers by force, and asserts that nothing of any kind is left. Then the host ends.
    #[track_caller]
    pub fn finish(self) {
        let all = self.bulkhead(["ps", "-aq", "--no-trunc"]).stdout();
        if !all.is_empty() {
            self.bulkhead(["rm", "-f", "-v"].into_iter().chain(all.lines())).run().succeeds();
        }
        self.finish_clean();
    }

    /// Asserts that no container exists and nothing of any kind is left. Then the host ends.
    ///
    /// # Panics
    /// When something is left.
    #[track_caller]
    pub fn finish_clean(mut self) {
        self.bulkhead(["ps", "-aq"]).prints("");
        self.assert_nothing_left();
        self.end();
    }

    /// Asserts that no process, mount, link, cgroup or file of a container is left; the host goes on.
    ///
    /// # Panics
    /// When something is left.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        let look = || {
            let left = self.command(&[HELPER, "look"].map(OsString::from)).stdout();
            if left.is_empty() { Ok(()) } else { Err(left) }
        };
        if let Err(left) = wait::poll(GRACE, look) {
            panic!("left over on the host {}:\n{left}", self.name);
        }
    }

    /// Ends the host with whatever is left on it: for those that run other engines there.
    pub fn abandon(mut self) {
        self.end();
    }

    /// Ends all processes of the host, and with them its namespaces; then removes its cgroups.
    fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if keep() {
            eprintln!("KEPT: {}: press Ctrl-C to end it", self.name);
            loop {
                std::thread::park();
            }
        }
        // A process that is frozen on version 1 cannot end, and its namespace would wait for it for ever.
        for hierarchy in &self.hierarchies {
            cgroups::thaw(&hierarchy.folder(&self.name));
        }
        drop(self.helper.stdin.take());
        let _ = self.helper.wait();
        for hierarchy in &self.hierarchies {
            let removed = wait::poll(GRACE, || hierarchy.remove(&self.name));
            if let Err(error) = removed {
                eprintln!("the cgroup {} stays: {error}", hierarchy.folder(&self.name).display());
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !self.ended && !std::thread::panicking() {
            self.assert_nothing_left();
        }
        self.end();
    }
}

fn keep() -> bool {
    std::env::var_os("BULKHEAD_TEST_KEEP").is_some_and(|value| value == "1")
}

/// The folder `target/TUPLE` that the running test executable is below of.
fn built() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    // target/TUPLE/debug/deps/story-0123…
    own.ancestors().nth(3).unwrap().to_owned()
}

/// The helper executable, beside the test executables' folder.
fn helper() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let helper = own.parent().and_then(Path::parent).unwrap().join("test-host");
    assert!(helper.is_file(), "{} is not built: use `cargo test -p bulkhead-tests`", helper.display());
    helper
}

/// The folder that holds the executables under test.
///
/// # Panics
/// When they are not built.
#[must_use]
pub fn executables() -> PathBuf {
    let named = std::env::var_os("BULKHEAD_BIN").map(PathBuf::from);
    let bulkhead = named.unwrap_or_else(|| built().join("release/bulkhead"));
    assert!(bulkhead.is_file(), "{} is not built: run `make build` first", bulkhead.display());
    bulkhead.canonicalize().unwrap().parent().unwrap().to_owned()
}
