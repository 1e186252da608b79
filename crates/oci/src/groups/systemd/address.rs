//! Where systemd listens, and the talk before the first message (the D-Bus specification, "Server Addresses" and
//! "Authentication Protocol").

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

const VARIABLE: &str = "DBUS_SYSTEM_BUS_ADDRESS";
/// systemd's own, for root.
const PRIVATE: &str = "/run/systemd/private";
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";
/// The longest line of the talk, in bytes.
const LONGEST: u64 = 1024;

/// Connects; says whether systemd itself is at the other side.
pub(super) fn connect() -> Result<(UnixStream, bool), String> {
    let named = std::env::var(VARIABLE).ok().filter(|address| !address.is_empty());
    if let Some(address) = named {
        let connected = connect_to(&address).map(|socket| (socket, false));
        return connected.map_err(|why| format!("{VARIABLE} says {address}: {why}"));
    }
    match UnixStream::connect(PRIVATE) {
        Ok(socket) => Ok((socket, true)),
        Err(first) => connect_to(SYSTEM_BUS).map(|socket| (socket, false)).map_err(|why| {
            format!("{PRIVATE}: {}; the system bus: {why}", bulkhead_isolation::describe(&first))
        }),
    }
}

/// Connects to the first of several addresses at which somebody listens.
fn connect_to(addresses: &str) -> Result<UnixStream, String> {
    let mut failed = "it names no socket".to_owned();
    for address in addresses.split(';').filter(|address| !address.is_empty()) {
        let connected = match socket_of(address) {
            Some(place) => place.and_then(|place| UnixStream::connect_addr(&place)),
            None => {
                failed = "only sockets of this machine are known (unix:path= and unix:abstract=)".into();
                continue;
            }
        };
        match connected {
            Ok(socket) => return Ok(socket),
            Err(error) => failed = bulkhead_isolation::describe(&error),
        }
    }
    Err(failed)
}

/// The socket of one address; `None`: it is of another kind.
fn socket_of(address: &str) -> Option<io::Result<SocketAddr>> {
    let pairs = address.strip_prefix("unix:")?;
    pairs.split(',').filter_map(|pair| pair.split_once('=')).find_map(|(key, value)| match key {
        "path" => Some(SocketAddr::from_pathname(std::ffi::OsString::from(
            String::from_utf8(unescape(value)?).ok()?,
        ))),
        "abstract" => Some(SocketAddr::from_abstract_name(unescape(value)?)),
        _ => None,
    })
}

/// A value with its bytes that are written as `%` and two digits.
fn unescape(value: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push(u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?);
    }
    Some(bytes)
}

/// Says who we are, which the other side knows from the socket.
///
/// # Errors
/// It does not believe it, or talks otherwise.
pub(super) fn authenticate(socket: &mut BufReader<UnixStream>) -> io::Result<()> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let uid: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
    // All in one: systemd passes over a first message that comes together with the end of the talk, until there is another.
    socket.get_mut().write_all(format!("\0AUTH EXTERNAL {uid}\r\nBEGIN\r\n").as_bytes())?;
    let mut line = String::new();
    socket.by_ref().take(LONGEST).read_line(&mut line)?;
    if !line.starts_with("OK ") {
        return Err(io::Error::other(format!("it does not know this user: {:?}", line.trim())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{connect_to, socket_of, unescape};
    use proptest::prelude::*;

    #[test]
    fn addresses_name_sockets() {
        let path = |address: &str| {
            let place = socket_of(address).unwrap().unwrap();
            place.as_pathname().map(|path| path.to_str().unwrap().to_owned())
        };
        assert_eq!(path("unix:path=/a%20b,guid=1").as_deref(), Some("/a b"));
        assert_eq!(path("unix:guid=1,path=/a").as_deref(), Some("/a"));
        assert_eq!(path("unix:abstract=a"), None);
        assert!(socket_of("tcp:host=localhost").is_none());
        assert!(socket_of("unix:dir=/a").is_none());
        assert_eq!(unescape("%4"), None);
        assert_eq!(unescape("%zz"), None);
    }

    #[test]
    fn whoever_cannot_be_reached_is_told() {
        assert!(connect_to("").unwrap_err().contains("no socket"));
        assert!(connect_to("tcp:host=a").unwrap_err().contains("unix:path="));
        let both = "unix:path=/nowhere/at/all;unix:path=/nor/there";
        assert!(connect_to(both).unwrap_err().contains("no such file"));
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(connect_to(&format!("unix:path=/nowhere;unix:path={}", socket.display())).is_ok());
    }

    proptest! {
        #[test]
        fn no_address_makes_it_panic(address in "(unix:)?(path=|abstract=)?\\PC{0,30}") {
            let _ = socket_of(&address);
        }
    }
}
