//! Questions of one program to another in other namespaces, over TCP and UDP, and whether they are answered.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use bulkhead_network::firewall::Protocol;

use super::Namespace;

/// How long an answer may take that must come.
const LONG: Duration = Duration::from_secs(5);
/// How long one is waited for that must not.
const SHORT: Duration = Duration::from_millis(250);

/// A program that answers in a namespace, at all its addresses of both families.
pub(crate) enum Server {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Server {
    pub(crate) fn new(namespace: &Namespace, protocol: Protocol, address: IpAddr) -> Self {
        Self::at(namespace, protocol, SocketAddr::new(address, 0))
    }

    pub(crate) fn at(namespace: &Namespace, protocol: Protocol, address: SocketAddr) -> Self {
        namespace.run(|| match protocol {
            Protocol::Tcp => {
                let listener = TcpListener::bind(address).unwrap();
                listener.set_nonblocking(true).unwrap();
                Self::Tcp(listener)
            }
            _ => Self::Udp(UdpSocket::bind(address).unwrap()),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Tcp(listener) => listener.local_addr().unwrap().port(),
            Self::Udp(socket) => socket.local_addr().unwrap().port(),
        }
    }

    /// Has a client in a namespace ask at `to`; gives the address that the question came from, if the answer came.
    pub(crate) fn asked(&self, client: &Namespace, to: SocketAddr) -> SocketAddr {
        self.exchange(client, to, LONG).unwrap_or_else(|error| panic!("{to} does not answer: {error}"))
    }

    /// The same, where nothing may arrive at this server.
    pub(crate) fn is_out_of_reach(&self, client: &Namespace, to: SocketAddr) -> bool {
        self.exchange(client, to, SHORT).is_err()
    }

    fn exchange(
        &self,
        client: &Namespace,
        to: SocketAddr,
        patience: Duration,
    ) -> std::io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => {
                let mut stream = client.run(|| TcpStream::connect_timeout(&to, patience))?;
                let (mut accepted, from) = listener.accept()?;
                accepted.set_read_timeout(Some(patience))?;
                stream.set_read_timeout(Some(patience))?;
                stream.write_all(b"ask")?;
                let mut said = [0; 3];
                accepted.read_exact(&mut said)?;
                accepted.write_all(&said)?;
                stream.read_exact(&mut said)?;
                assert_eq!(&said, b"ask");
                Ok(from)
            }
            Self::Udp(server) => {
                let any: IpAddr =
                    if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
                let socket = client.run(|| UdpSocket::bind((any, 0)))?;
                server.set_read_timeout(Some(patience))?;
                socket.set_read_timeout(Some(patience))?;
                // Connected, it takes an answer from nobody else.
                socket.connect(to)?;
                socket.send(b"ask")?;
                let mut said = [0; 8];
                let (length, from) = server.recv_from(&mut said)?;
                server.send_to(&said[..length], from)?;
                let length = socket.recv(&mut said)?;
                assert_eq!(&said[..length], b"ask");
                Ok(from)
            }
        }
    }
}
