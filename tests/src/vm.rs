//! A virtual machine for what this machine's kernel cannot show: Debian's kernel (6.1 in Debian 12) with cgroup version 2
//! alone.
//!
//! QEMU runs it in software (no /dev/kvm is needed) with a small initramfs: busybox, some files, and a script that
//! reports on the serial console. It boots in seconds, has no network to the outside and one empty disk, and is gone
//! when the script ends. The kernel comes from Debian's package, unpacked into `target/test-images` and not installed.
//!
//! | file | holds |
//! |---|---|
//! | [`initramfs`] | the archive that the kernel starts from |
//! | [`kernel`] | the kernel and its modules |
//! | [`report`] | what the script says on the console |

pub mod initramfs;
pub mod kernel;
pub mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use initramfs::Archive;
use report::Report;

const QEMU: &str = "qemu-system-x86_64";
/// A machine that hangs is ended after this; it usually takes a tenth.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a machine is made of.
#[derive(Debug, Default)]
pub struct Machine {
    files: Vec<(String, PathBuf)>,
}

impl Machine {
    /// A machine with busybox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a copy of `source` at `path` (as `usr/bin/bulkhead`), executable.
    #[must_use]
    pub fn with(mut self, path: &str, source: impl Into<PathBuf>) -> Self {
        self.files.push((path.to_owned(), source.into()));
        self
    }

    /// Puts a copy of `program` of this computer where it is, with the libraries that ldd(1) names.
    ///
    /// # Panics
    /// When ldd cannot be run.
    #[must_use]
    pub fn with_libraries(mut self, program: &str) -> Self {
        let named = Command::new("ldd").arg(program).output().unwrap_or_else(|error| panic!("ldd: {error}"));
        let named = String::from_utf8_lossy(&named.stdout).into_owned();
        let paths = named.split_whitespace().filter(|word| word.starts_with('/'));
        for path in std::iter::once(program).chain(paths) {
            let inside = path.trim_start_matches('/');
            if !self.files.iter().any(|(known, _)| known == inside) {
                self.files.push((inside.to_owned(), PathBuf::from(path)));
            }
        }
        self
    }

    /// Boots, runs `checks` (which /bin/sh of busybox reads after the helpers of `report.sh`), and powers off.
    /// `Err` says what this computer lacks to do so.
    ///
    /// # Errors
    /// No QEMU, no kernel package, another architecture.
    ///
    /// # Panics
    /// When a file cannot be read or QEMU cannot be run.
    pub fn run(&self, checks: &str) -> Result<Report, String> {
        if !cfg!(target_arch = "x86_64") {
            return Err("the virtual machine is known for x86_64 only".into());
        }
        let found = Command::new(QEMU).arg("--version").stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            return Err(format!("{QEMU} is not installed: run `make setup`"));
        }
        let kernel = kernel::get()?;
        let scratch = tempfile::tempdir().unwrap();
        let initrd = scratch.path().join("initrd");
        fs::write(&initrd, self.initramfs(&kernel, checks)).unwrap();
        let disk = scratch.path().join("disk");
        fs::File::create(&disk).unwrap().set_len(512 << 20).unwrap();
        Ok(boot(&kernel.join("vmlinuz"), &initrd, &disk))
    }

    fn initramfs(&self, kernel: &Path, checks: &str) -> Vec<u8> {
        let mut archive = Archive::new();
        for (path, mode, content) in [
            ("init", 0o755, include_str!("vm/init.sh")),
            ("report.sh", 0o644, include_str!("vm/report.sh")),
            ("checks.sh", 0o644, checks),
        ] {
            archive.file(path, mode, content.as_bytes());
        }
        archive.busybox();
        for module in kernel::modules_of(kernel) {
            let name = module.file_name().unwrap().to_str().unwrap();
            archive.file(&format!("modules/{name}"), 0o644, &fs::read(&module).unwrap());
        }
        for (path, source) in &self.files {
            let content =
                fs::read(source).unwrap_or_else(|error| panic!("cannot read {}: {error}", source.display()));
            archive.file(path, 0o755, &content);
        }
        archive.finish()
    }
}

fn boot(vmlinuz: &Path, initrd: &Path, disk: &Path) -> Report {
    let mut qemu = Command::new(QEMU);
    // Without cx16, which newer kernels use and QEMU 7.2 gets wrong.
    qemu.args(["-accel", "tcg", "-cpu", "max,-cx16", "-smp", "2", "-m", "1024", "-nographic", "-no-reboot"]);
    qemu.args(["-nodefaults", "-serial", "stdio", "-kernel"]).arg(vmlinuz).arg("-initrd").arg(initrd);
    qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,cache=unsafe", disk.display()));
    qemu.args(["-append", "console=ttyS0 quiet panic=-1 oops=panic mitigations=off"]);
    let console = disk.with_file_name("console");
    let out = fs::File::create(&console).unwrap();
    qemu.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
    let begin = Instant::now();
    let mut machine = qemu.spawn().unwrap_or_else(|error| panic!("{qemu:?}: {error}"));
    while machine.try_wait().unwrap().is_none() {
        if begin.elapsed() > PATIENCE {
            machine.kill().unwrap();
            machine.wait().unwrap();
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let console = fs::read(&console).unwrap();
    Report::read(&String::from_utf8_lossy(&console))
}
