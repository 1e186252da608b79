//! What the account files mean and how they change, tried in folders that each test makes.

mod any_bytes;
mod editors;
mod ranges;
mod reading;
mod remapping;
mod users;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use super::{Etc, Range};

/// A root folder with an etc.
struct Root {
    folder: tempfile::TempDir,
}

impl Root {
    fn new(files: &[(&str, &str)]) -> Root {
        let root = Root { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(root.folder.path().join("etc")).unwrap();
        for (name, contents) in files {
            root.write(name, contents);
        }
        root
    }

    /// A machine as Debian installs it, with one person and Docker's user.
    fn usual() -> Root {
        Root::new(&[
            (
                "passwd",
                "root:x:0:0:root:/root:/bin/bash\n\
                 nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
                 alice:x:1000:1000:Alice:/home/alice:/bin/bash\n\
                 sshd:x:998:65534::/run/sshd:/usr/sbin/nologin\n",
            ),
            ("group", "root:x:0:\nnogroup:x:65534:\nalice:x:1000:\nstaff:x:50:alice\nssl:x:999:\n"),
            ("subuid", "docker:100000:65536\n"),
            ("subgid", "docker:100000:65536\n"),
        ])
    }

    fn etc(&self) -> Etc {
        Etc::at(self.folder.path().join("etc"))
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.etc().folder().join(name), contents).unwrap();
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.etc().folder().join(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        std::fs::metadata(self.etc().folder().join(name)).unwrap().permissions().mode() & 0o7777
    }

    /// All files but the lock, which may come and has nothing in it.
    fn all(&self) -> BTreeMap<String, Vec<u8>> {
        let files = std::fs::read_dir(self.etc().folder()).unwrap().map(|entry| entry.unwrap());
        let mut all = BTreeMap::new();
        for entry in files.filter(|entry| entry.file_name() != ".pwd.lock") {
            let contents = std::fs::read(entry.path()).unwrap_or_default();
            all.insert(entry.file_name().into_string().unwrap(), contents);
        }
        all
    }

    /// Does something that must fail and change nothing, and gives what it said.
    fn refused<T: std::fmt::Debug>(&self, what: impl FnOnce(&Etc) -> crate::error::Result<T>) -> String {
        let before = self.all();
        let error = what(&self.etc()).unwrap_err().to_string();
        assert_eq!(self.all(), before, "{error}");
        error
    }
}

fn range(first: u32, count: u32) -> Range {
    Range { first, count }
}

/// A copy of this test program that runs one test of this module alone, with something to know.
fn again(test: &str, know: &std::ffi::OsStr) -> std::process::Command {
    let module = module_path!().split_once("::").unwrap().1;
    let mut program = std::process::Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", &format!("{module}::{test}"), "--ignored"]).env("ACCOUNTS_TEST", know);
    program.stdout(std::process::Stdio::null());
    program
}
