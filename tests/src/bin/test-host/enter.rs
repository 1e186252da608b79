//! Running a command on a host, from outside.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode};

use bulkhead_tests::cgroups::{Hierarchy, V2_LEAF};
use bulkhead_tests::host::HELPER;
use rustix::process::{Pid, PidfdFlags, Signal};
use rustix::thread::ThreadNameSpaceType;

/// Makes standard input the controlling terminal of a new session, and becomes `command`. It is done on the host, whose
/// PID namespace must know the session and the terminal's foreground group.
pub(crate) fn session(command: &[&OsStr]) -> ExitCode {
    rustix::process::setsid().unwrap();
    rustix::process::ioctl_tiocsctty(std::io::stdin()).unwrap();
    let Some((&program, args)) = command.split_first() else { panic!("no command was given") };
    let error = Command::new(program).args(args).exec();
    panic!("{} could not be run on the host: {error}", program.display());
}

/// Joins the host's cgroups and namespaces, runs `command` there, and ends as it ended. With `tty`, it gets
/// a session of its own, with standard input as its terminal.
pub(crate) fn enter(name: &OsStr, pid: &OsStr, tty: bool, command: &[&OsStr]) -> ExitCode {
    let first = rustix::process::pidfd_open(
        Pid::from_raw(pid.to_str().unwrap().parse().unwrap()).unwrap(),
        PidfdFlags::empty(),
    )
    .unwrap();
    for hierarchy in Hierarchy::all().unwrap() {
        let folder = hierarchy.folder(name.to_str().unwrap());
        hierarchy.join(&if hierarchy.v2 { folder.join(V2_LEAF) } else { folder }).unwrap();
    }
    let namespaces = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::CONTROL_GROUP;
    rustix::thread::move_into_thread_name_spaces(first.as_fd(), namespaces).unwrap();
    drop(first);
    let Some((&program, args)) = command.split_first() else { panic!("no command was given") };
    // The PID namespace holds for children only; hence a child, and a parent that ends as it does.
    let mut child = Command::new(if tty { HELPER.as_ref() } else { program });
    if tty {
        child.arg("session").arg(program);
    }
    let status = match child.args(args).current_dir("/").status() {
        Ok(status) => status,
        Err(error) => panic!("{} could not be run on the host: {error}", program.display()),
    };
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    }
    ExitCode::from(u8::try_from(status.code().unwrap_or(255)).unwrap_or(255))
}
