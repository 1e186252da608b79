//! The same executable as PID 1 of a container (`--init`): it starts the program, passes signals on to it,
//! and reaps orphans, which a program that does not know itself to be PID 1 would leave as zombies.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use bulkhead_sys::process::{CloneArgs, Cloned, clone3};
use bulkhead_sys::signals;
use rustix::process::{WaitOptions, wait};

/// Runs `args` (the program and its arguments, after an optional `--`) and ends with its exit code.
pub fn run_as_init(mut args: Vec<OsString>) -> ExitCode {
    if args.first().is_some_and(|word| word == "--") {
        args.remove(0);
    }
    let mut args = args.into_iter();
    let Some(program) = args.next() else {
        eprintln!("docker-init: no program was given");
        return ExitCode::from(127);
    };
    let all: Vec<i32> = (1..=64).filter(|signal| ![9, 19].contains(signal)).collect();
    let Ok(inbox) = signals::descriptor(&all) else {
        eprintln!("docker-init: cannot receive signals");
        return ExitCode::from(125);
    };
    let child = match clone3(&CloneArgs::default()) {
        Ok(Cloned::Parent { pidfd, pid }) => (pidfd, rustix::process::Pid::from_raw(pid)),
        Ok(Cloned::Child) => return become_program(&program, args),
        Err(error) => {
            eprintln!("docker-init: cannot make a process: {error}");
            return ExitCode::from(125);
        }
    };
    let (child, Some(pid)) = child else { return ExitCode::from(125) };
    loop {
        let mut wanted = [rustix::event::PollFd::new(&inbox, rustix::event::PollFlags::IN)];
        let _ = rustix::event::poll(&mut wanted, None);
        while let Ok(Some(signal)) = signals::read(&inbox) {
            if signal != 17 {
                // It may have ended this moment; then it is reaped below.
                let _ = bulkhead_sys::pidfd::send_signal(child.as_fd(), signal);
            }
        }
        while let Ok(Some((ended, status))) = wait(WaitOptions::NOHANG) {
            if ended == pid {
                let code = status.exit_status().or_else(|| status.terminating_signal().map(|n| 128 + n));
                return ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255));
            }
        }
    }
}

/// In the child: a process group of its own, in the terminal's foreground, so that ^C reaches the program once and
/// not twice; then the program.
fn become_program(program: &OsString, args: impl Iterator<Item = OsString>) -> ExitCode {
    let _ = rustix::process::setpgid(None, None);
    // Without a terminal there is no foreground to take.
    let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpid());
    signals::reset();
    let error = Command::new(program).args(args).exec();
    eprintln!("docker-init: exec {}: {error}", program.display());
    ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
}
