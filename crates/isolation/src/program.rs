//! The last steps before a program runs in a container, first or later: streams, limits, user, capabilities,
//! system call filter, execve. From here on nothing of ours is left in the process.

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Gid, Signal, Uid};

use crate::birth::Streams;
use crate::capabilities;
use crate::error::{Error, Kind, Result, Step, describe};
use crate::plan::Process;
use crate::rlimits;
use crate::users::User;

const STEP: &str = "program";
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Becomes the program. Returns only the reason why not.
pub(crate) fn execute(
    process: &Process,
    user: &User,
    console: Option<&OwnedFd>,
    streams: Option<&Streams>,
) -> Result<Infallible> {
    take_streams(console, streams)?;
    rlimits::apply(&process.rlimits)?;
    // A kernel without keyrings has none to leak; a user's quota being used up is the only other reason.
    match bulkhead_sys::keyring::join_new_session() {
        Err(error) if !matches!(error.raw_os_error(), Some(libc_enosys) if libc_enosys == Errno::NOSYS.raw_os_error()) =>
        {
            return Err(error).step("keyring", || "start a session keyring of its own");
        }
        _ => {}
    }
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let entered = rustix::process::chdir(&*process.cwd);

    // Without no_new_privs only CAP_SYS_ADMIN may install a filter: before it is given up. With it, the filter
    // comes last, so that it need not allow what is done here.
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).step("no_new_privs", || "set no_new_privs")?;
    } else {
        filter(process)?;
    }
    capabilities::bound(&process.capabilities)?;
    rustix::thread::set_keep_capabilities(true)
        .step("user", || "keep capabilities across the change of user")?;
    become_user(user)?;
    capabilities::apply(&process.capabilities, user.uid == 0)?;
    rustix::thread::set_keep_capabilities(false).step("user", || "stop keeping capabilities")?;
    // Some folders are open to the user and not to root (FUSE, NFS).
    entered
        .or_else(|_| rustix::process::chdir(&*process.cwd))
        .step("working directory", || format!("enter the working directory {}", process.cwd))?;
    if process.no_new_privileges {
        filter(process)?;
    }
    // Last, since a change of user clears it: whatever happens to the supervisor, the container ends with it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .step(STEP, || "ask to end with the supervisor")?;
    bulkhead_sys::signals::reset();
    bulkhead_sys::process::close_on_exec_from(3).step(STEP, || "mark descriptors close-on-exec")?;
    Err(run(process, user))
}

/// Makes the working directory if the image does not have it, as Docker does.
pub(crate) fn make_cwd(cwd: &str) -> Result<()> {
    match std::fs::create_dir_all(cwd) {
        Ok(()) => Ok(()),
        // What cannot be made (a read-only mount) may still be there, or chdir says what is wrong.
        Err(_) if std::fs::metadata(cwd).is_ok() => Ok(()),
        Err(error) => Err(error).step("working directory", || format!("make the working directory {cwd}")),
    }
}

fn take_streams(console: Option<&OwnedFd>, streams: Option<&Streams>) -> Result<()> {
    if let Some(console) = console {
        rustix::process::ioctl_tiocsctty(console).step("terminal", || "take the terminal")?;
    }
    let stream = |index: usize| console.or_else(|| streams.and_then(|streams| streams.get(index)));
    if let (Some(input), Some(output), Some(errors)) = (stream(0), stream(1), stream(2)) {
        rustix::stdio::dup2_stdin(input.as_fd())
            .and_then(|()| rustix::stdio::dup2_stdout(output.as_fd()))
            .and_then(|()| rustix::stdio::dup2_stderr(errors.as_fd()))
            .step("standard streams", || "take the standard streams")?;
    }
    Ok(())
}

fn filter(process: &Process) -> Result<()> {
    let Some(program) = &process.seccomp else { return Ok(()) };
    let instructions: Vec<bulkhead_sys::seccomp::Instruction> = program
        .instructions
        .iter()
        .map(|i| bulkhead_sys::seccomp::Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k })
        .collect();
    bulkhead_sys::seccomp::install(&instructions, program.flags)
        .map(drop)
        .step("seccomp", || "install the system call filter")
}

fn become_user(user: &User) -> Result<()> {
    let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    rustix::thread::set_thread_groups(&groups)
        .step("user", || format!("take the groups {:?}", user.groups))?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .step("user", || format!("become group {}", user.gid))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).step("user", || format!("become user {}", user.uid))
}

/// Looks the program up along PATH, as execvp(3) does, and executes it.
fn run(process: &Process, user: &User) -> Error {
    let Some(name) = process.args.first().filter(|name| !name.is_empty()) else {
        return Error::new(STEP, "no command specified");
    };
    let plain = |text: &String| CString::new(text.as_bytes()).map_err(|_| text.clone());
    let args: std::result::Result<Vec<CString>, String> = process.args.iter().map(plain).collect();
    let mut variables = process.env.clone();
    if !variables.iter().any(|line| line.starts_with("HOME=")) {
        variables.push(format!("HOME={}", user.home));
    }
    let env: std::result::Result<Vec<CString>, String> = variables.iter().map(plain).collect();
    let (args, env) = match (args, env) {
        (Ok(args), Ok(env)) => (args, env),
        (Err(text), _) | (_, Err(text)) => {
            return Error::new(STEP, format!("an argument or variable holds a null byte: {text:?}"));
        }
    };
    let path = process.env.iter().find_map(|line| line.strip_prefix("PATH=")).unwrap_or(USUAL_PATH);
    let candidates: Vec<String> = if name.contains('/') {
        vec![name.clone()]
    } else {
        path.split(':')
            .map(|folder| format!("{}/{name}", if folder.is_empty() { "." } else { folder }))
            .collect()
    };
    let mut denied: Option<io::Error> = None;
    for candidate in candidates {
        let Ok(candidate) = CString::new(candidate) else { continue };
        let error = bulkhead_sys::process::exec(&candidate, &args, &env);
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if !candidate_exists(&candidate) => {}
            _ => denied = denied.or(Some(error)),
        }
    }
    explain(name, denied)
}

/// A script whose interpreter is missing fails as if it were missing itself.
fn candidate_exists(candidate: &CString) -> bool {
    rustix::fs::stat(candidate.as_c_str()).is_ok()
}

fn explain(name: &str, denied: Option<io::Error>) -> Error {
    let error = |kind, reason: String, errno| Error {
        step: STEP.into(),
        message: format!("exec: \"{name}\": {reason}"),
        kind,
        errno,
    };
    match denied {
        None if name.contains('/') => {
            error(Kind::NotFound, format!("stat {name}: no such file or directory"), Some(2))
        }
        None => error(Kind::NotFound, "executable file not found in $PATH".into(), Some(2)),
        Some(cause) if cause.kind() == io::ErrorKind::NotFound => error(
            Kind::NotFound,
            "no such file or directory (the interpreter or loader that it names is missing)".into(),
            Some(2),
        ),
        Some(cause) => error(Kind::NotExecutable, describe(&cause), cause.raw_os_error()),
    }
}
