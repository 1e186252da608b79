//! `linux.seccomp.listenerPath`: whoever answers what a filter asks gets the descriptor for that, and the container process
//! state (config-linux.md, "The Container Process State"): one message on a connection of its own.
//!
//! A container that is created and started has its filter installed by `start`, as its last step but the program, so that
//! it is then that the message is sent.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use bulkhead_isolation::seccomp::Seccomp;
use bulkhead_isolation::{Error, Result, Step};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};
use serde::Serialize;

use crate::spec::VERSION;
use crate::state::{Shown, State, Status};

/// What the message says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    oci_version: &'static str,
    fds: [&'static str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: Shown<'a>,
}

/// Sends what the process `pid` of a container asks at.
pub(crate) fn send(state: &State, status: Status, pid: i32, listener: &OwnedFd) -> Result<()> {
    let nobody = || Error::new("seccomp", "the system call filter asks, and there is no listenerPath");
    let seccomp = state.seccomp.as_ref().ok_or_else(nobody)?;
    let path = seccomp.listener_path.as_deref().ok_or_else(nobody)?;
    let metadata = seccomp.listener_metadata.as_deref().unwrap_or_default();
    let shown = state.shown(status, String::new());
    let told = Told { oci_version: VERSION, fds: ["seccompFd"], pid, metadata, state: shown };
    let body = serde_json::to_vec(&told)
        .map_err(|error| Error::new("seccomp", format!("cannot write the process state: {error}")))?;
    deliver(path, &body, listener).step("seccomp", || format!("send the filter's descriptor to {path}"))
}

fn deliver(path: &str, body: &[u8], listener: &OwnedFd) -> std::io::Result<()> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let fds = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let mut rest = body;
    while !rest.is_empty() {
        // The descriptor goes with the first part alone.
        let sent = rustix::net::sendmsg(&socket, &[IoSlice::new(rest)], &mut control, SendFlags::NOSIGNAL)?;
        control = SendAncillaryBuffer::default();
        rest = rest.get(sent..).unwrap_or_default();
    }
    Ok(())
}

/// Refuses what says that somebody is told something and not who.
pub(crate) fn check(seccomp: &Seccomp) -> crate::error::Result<()> {
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if given(&seccomp.listener_metadata) && !given(&seccomp.listener_path) {
        return Err(crate::error::Error::invalid(
            "config.json: linux.seccomp.listenerMetadata: it needs a listenerPath",
        ));
    }
    Ok(())
}
