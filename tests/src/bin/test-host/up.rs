//! Making a host: cgroups first, then all namespaces at once, then its first process.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use bulkhead_tests::cgroups::{Hierarchy, V2_LEAF};
use bulkhead_tests::wait;
use rustix::thread::UnshareFlags;

/// Makes the host, prints the pid of its first process, and waits for that process to end.
pub(crate) fn up(name: &OsStr, bin: &OsStr, images: &OsStr) -> ExitCode {
    let hierarchies = Hierarchy::all().unwrap();
    let hosts_name = name.to_str().unwrap();
    for hierarchy in &hierarchies {
        hierarchy.make(hosts_name).unwrap();
        hierarchy.join(&hierarchy.folder(hosts_name)).unwrap();
    }
    let namespaces = UnshareFlags::NEWNS
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWCGROUP;
    // The safe name of this call is deprecated for CLONE_FILES, which is not among the flags.
    #[allow(deprecated)]
    rustix::thread::unshare(namespaces).unwrap();
    for hierarchy in hierarchies.iter().filter(|hierarchy| hierarchy.v2) {
        let leaf = hierarchy.folder(hosts_name).join(V2_LEAF);
        fs::create_dir(&leaf).unwrap();
        hierarchy.join(&leaf).unwrap();
    }
    let mut first = Command::new("/proc/self/exe")
        .arg0("test-host")
        .arg("init")
        .args([name, bin, images])
        .spawn()
        .unwrap();
    println!("{}", first.id());
    let status = first.wait().unwrap();
    ExitCode::from(u8::from(!status.success()))
}

/// Removes the host's cgroups, for those who do not start it by the harness.
pub(crate) fn down(name: &OsStr) -> ExitCode {
    for hierarchy in Hierarchy::all().unwrap() {
        let removed = wait::poll(wait::PATIENCE, || hierarchy.remove(name.to_str().unwrap()));
        removed.unwrap_or_else(|error| panic!("{}: {error}", hierarchy.mount.display()));
    }
    ExitCode::SUCCESS
}
