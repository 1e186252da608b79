//! A pseudo-terminal of the container's own devpts (pty(7)): its own side goes to the supervisor, the other
//! becomes the program's controlling terminal.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Gid, Mode, OFlags, Uid, fchown, fstat, open};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::error::{Error, Result, Step};
use crate::messages::{Word, tell};
use crate::plan::TerminalSize;

const STEP: &str = "terminal";

/// In the child, in the container's root: makes a terminal, sends its own side to the supervisor, and gives
/// the program's side, owned by the program's user.
pub(crate) fn allocate(size: TerminalSize, uid: u32, socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let own = open("/dev/pts/ptmx", flags, Mode::empty()).step(STEP, || "open /dev/pts/ptmx")?;
    let stat = fstat(&own).step(STEP, || "look at /dev/pts/ptmx")?;
    // In a container that may mount, anything can stand there; only the real one goes to the supervisor.
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice
        || (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)) != (5, 2)
    {
        return Err(Error::new(
            STEP,
            "cannot make a terminal: /dev/pts/ptmx in the container is not a terminal device",
        ));
    }
    unlockpt(&own).step(STEP, || "unlock the terminal")?;
    let peer = ioctl_tiocgptpeer(&own, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .step(STEP, || "open the terminal")?;
    if size.rows > 0 && size.columns > 0 {
        let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&own, size).step(STEP, || "set the terminal's size")?;
    }
    fchown(&peer, Some(Uid::from_raw(uid)), None::<Gid>)
        .step(STEP, || "give the terminal to the program's user")?;
    tell(socket, &Word::Terminal, &[own.as_fd()]);
    Ok(peer)
}

/// In the child: shows the terminal as /dev/console too.
pub(crate) fn mount_console(peer: &OwnedFd) -> Result<()> {
    let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let place = open("/dev/console", flags, Mode::from_raw_mode(0o620)).step(STEP, || "make /dev/console")?;
    let copy =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let mount = open_tree(peer, "", copy).step(STEP, || "bind the terminal")?;
    let by_descriptors =
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH.union(MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH);
    move_mount(&mount, "", &place, "", by_descriptors).step(STEP, || "mount /dev/console")
}
