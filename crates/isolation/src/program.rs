//! The last steps before a program runs in a container, first or later: streams, user, capabilities,
//! system call filter, execve. From here on nothing of ours is left in the process.

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat, openat2};
use rustix::io::Errno;
use rustix::process::{Gid, Signal, Uid};

use crate::capabilities;
use crate::error::{Error, Kind, Result, Step, describe};
use crate::labels;
use crate::messages::Streams;
use crate::mounts::target;
use crate::plan::Process;
use crate::users::User;

const STEP: &str = "program";
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Becomes the program. Returns only the reason why not. At the other end of `socket` somebody hears of a filter that
/// asks.
pub(crate) fn execute(
    process: &Process,
    user: &User,
    console: Option<&OwnedFd>,
    streams: Option<&Streams>,
    socket: BorrowedFd<'_>,
) -> Result<Infallible> {
    take_streams(console, streams)?;
    labels::apply(&process.extras.labels)?;
    // A kernel without keyrings has none to leak; a user's quota being used up is the only other reason.
    if !process.extras.keeps_keyring {
        match bulkhead_sys::keyring::join_new_session() {
            Err(error) if error.raw_os_error() != Some(Errno::NOSYS.raw_os_error()) => {
                return Err(error).step("keyring", || "start a session keyring of its own");
            }
            _ => {}
        }
    }
    rustix::process::umask(Mode::from_raw_mode(process.extras.umask.unwrap_or(0o022)));
    let entered = enter_cwd(&process.cwd);
    if let Some(persona) = process.extras.personality {
        bulkhead_sys::scheduling::set_personality(persona).step(STEP, || "set the execution domain")?;
    }

    // Without no_new_privs only CAP_SYS_ADMIN may install a filter: before it is given up. With it, the filter
    // comes last, so that it need not allow what is done here.
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).step("no_new_privs", || "set no_new_privs")?;
    } else {
        filter(process, socket)?;
    }
    capabilities::bound(&process.capabilities)?;
    rustix::thread::set_keep_capabilities(true)
        .step("user", || "keep capabilities across the change of user")?;
    become_user(user)?;
    capabilities::apply(&process.capabilities, user.uid == 0)?;
    rustix::thread::set_keep_capabilities(false).step("user", || "stop keeping capabilities")?;
    // Some folders are open to the user and not to root (FUSE, NFS).
    entered
        .or_else(|_| enter_cwd(&process.cwd))
        .step("working directory", || format!("enter the working directory {}", process.cwd))?;
    if process.no_new_privileges {
        filter(process, socket)?;
    }
    // Last, since a change of user clears it: whatever happens to the supervisor, the container ends with it.
    if !process.extras.outlives_its_maker {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .step(STEP, || "ask to end with the supervisor")?;
        // One that was killed before that tells nobody of its death any more.
        if has_gone(socket) {
            return Err(Error::new(STEP, "the supervisor has gone"));
        }
    }
    bulkhead_sys::signals::reset();
    bulkhead_sys::process::close_on_exec_from(3 + process.extras.descriptors)
        .step(STEP, || "mark descriptors close-on-exec")?;
    Err(run(process, user))
}

/// Whether nobody has the other end of `socket` any more. Its owner keeps it until the program runs. (In a PID namespace of
/// its own, the child sees no parent whose number could change.)
fn has_gone(socket: BorrowedFd<'_>) -> bool {
    let mut socket = [PollFd::new(&socket, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut socket, Some(&now)), Ok(1)) && socket[0].revents().contains(PollFlags::HUP)
}

/// Makes the working directory if the image does not have it, as Docker does.
pub(crate) fn make_cwd(root: BorrowedFd<'_>, cwd: &str) -> Result<()> {
    match cwd_in(root, cwd) {
        Err(Errno::NOENT) => target::find(root, cwd, target::Kind::Folder).map(drop),
        // What is wrong with one that is there shows when it is entered.
        _ => Ok(()),
    }
}

/// The working directory, whatever links the image holds, and none of the kernel's magic ones: they lead by
/// descriptors, not by paths.
fn cwd_in(root: BorrowedFd<'_>, cwd: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(root, cwd, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

fn enter_cwd(cwd: &str) -> rustix::io::Result<()> {
    let root = openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::process::fchdir(cwd_in(root.as_fd(), cwd)?)
}

/// The container's own null device in the place of the host's: through a stream the container could change the
/// host's mode and owner.
fn own_null(stream: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    let is_null = |stat: &rustix::fs::Stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)) == (1, 3)
    };
    let step = "standard streams";
    if !is_null(&fstat(stream).step(step, || "look at a standard stream")?) {
        return Ok(None);
    }
    let own =
        open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK, Mode::empty())
            .step(step, || "open the container's /dev/null")?;
    if !is_null(&fstat(&own).step(step, || "look at the container's /dev/null")?) {
        return Err(Error::new(step, "/dev/null in the container is not the null device"));
    }
    Ok(Some(own))
}

/// Makes them this process's own: the terminal, or `streams`; with neither, what there is stays.
pub(crate) fn take_streams(console: Option<&OwnedFd>, streams: Option<&Streams>) -> Result<()> {
    if let Some(console) = console {
        rustix::process::ioctl_tiocsctty(console).step("terminal", || "take the terminal")?;
    }
    let stream = |index: usize| console.or_else(|| streams.and_then(|streams| streams.get(index)));
    if let (Some(input), Some(output), Some(errors)) = (stream(0), stream(1), stream(2)) {
        let own = [own_null(input.as_fd())?, own_null(output.as_fd())?, own_null(errors.as_fd())?];
        let [own_input, own_output, own_errors] = &own;
        rustix::stdio::dup2_stdin(own_input.as_ref().unwrap_or(input).as_fd())
            .and_then(|()| rustix::stdio::dup2_stdout(own_output.as_ref().unwrap_or(output).as_fd()))
            .and_then(|()| rustix::stdio::dup2_stderr(own_errors.as_ref().unwrap_or(errors).as_fd()))
            .step("standard streams", || "take the standard streams")?;
    }
    Ok(())
}

fn filter(process: &Process, socket: BorrowedFd<'_>) -> Result<()> {
    let Some(program) = &process.seccomp else { return Ok(()) };
    let instructions: Vec<bulkhead_sys::seccomp::Instruction> = program
        .instructions
        .iter()
        .map(|i| bulkhead_sys::seccomp::Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k })
        .collect();
    let listener = bulkhead_sys::seccomp::install(&instructions, program.flags)
        .step("seccomp", || "install the system call filter")?;
    listener.map_or(Ok(()), |listener| crate::listener::hand_over(socket, &listener))
}

fn become_user(user: &User) -> Result<()> {
    let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    rustix::thread::set_thread_groups(&groups).step("user", || {
        format!("take the groups {:?} (are they all in the container's ID range?)", user.groups)
    })?;
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

/// Whether the program is there, and a program for anybody: of one that is held, whoever has it made should hear that it cannot
/// run, not only whoever starts it. What its user may do shows when it is run.
pub(crate) fn look_for(process: &Process) -> Result<()> {
    let name = process.args.first().map(String::as_str).unwrap_or_default();
    let path = process.env.iter().find_map(|line| line.strip_prefix("PATH=")).unwrap_or(USUAL_PATH);
    let candidates: Vec<String> = match name.split_once('/') {
        Some(("", _)) => vec![name.to_owned()],
        // What is meant from the working directory may lie where only its user can go.
        Some(_) => return Ok(()),
        None if path.split(':').any(|folder| !folder.starts_with('/')) => return Ok(()),
        None => path.split(':').map(|folder| format!("{folder}/{name}")).collect(),
    };
    let mut denied = None;
    for stat in candidates.iter().filter_map(|candidate| rustix::fs::stat(candidate.as_str()).ok()) {
        if FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_mode & 0o111 != 0 {
            return Ok(());
        }
        denied = Some(Errno::ACCESS.into());
    }
    Err(explain(name, denied))
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

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    #[test]
    fn a_supervisor_that_was_killed_is_missed_and_one_that_says_nothing_is_not() {
        let (ours, theirs) = bulkhead_sys::channel::pair().unwrap();
        assert!(!super::has_gone(theirs.as_fd()));
        bulkhead_sys::channel::send(&ours, b"said before", &[]).unwrap();
        assert!(!super::has_gone(theirs.as_fd()));
        drop(ours);
        assert!(super::has_gone(theirs.as_fd()));
    }
}
