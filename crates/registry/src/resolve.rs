//! Names to addresses: /etc/hosts, then the name servers of /etc/resolv.conf (hosts(5), resolv.conf(5)).
//!
//! The executable is static: the C library's own resolver would load plug-ins of whatever version the machine has into
//! it. So a question is asked here: A and AAAA, by UDP, by TCP when the answer was too long. A registry asked at an address
//! that was forged must still show its certificate.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

const PORT: u16 = 53;
/// resolv.conf(5): MAXNS, and the default timeout.
const SERVERS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(5);
const ROUNDS: usize = 2;
/// Names that stand for names, followed within one answer.
const ALIASES: usize = 16;
/// Files of names are not read further.
const LONGEST: u64 = 1 << 20;

/// Where names are looked up.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    hosts: PathBuf,
    resolv_conf: PathBuf,
}

impl Default for Names {
    fn default() -> Names {
        Names { hosts: "/etc/hosts".into(), resolv_conf: "/etc/resolv.conf".into() }
    }
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default();
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(usual);
        let until = Instant::now().checked_add(*timeout.after);
        let mut found = self.empty();
        for address in self.look_up(host, until)?.into_iter().take(16) {
            found.push(SocketAddr::new(address, port));
        }
        if found.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(found) }
    }
}

impl Names {
    fn look_up(&self, host: &str, until: Option<Instant>) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        let known = self.in_hosts_file(host);
        if !known.is_empty() {
            return Ok(known);
        }
        // RFC 6761: nobody else is asked about these.
        if host == "localhost" || host.ends_with(".localhost") {
            return Ok(vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]);
        }
        let (servers, search) = self.servers();
        let mut names = vec![format!("{}.", host.trim_end_matches('.'))];
        if !host.contains('.') {
            names.splice(0..0, search.iter().map(|domain| format!("{host}.{domain}.")));
        }
        let until = until.unwrap_or_else(|| Instant::now() + PATIENCE * 6);
        for name in names {
            let Ok(name) = Name::from_str(&name) else { continue };
            let mut all = ask(&servers, &name, RecordType::A, until)?;
            // No IPv6 address is no reason to fail where there is another.
            match ask(&servers, &name, RecordType::AAAA, until) {
                Ok(more) => all.extend(more),
                Err(error) if all.is_empty() => return Err(error),
                Err(_) => {}
            }
            if !all.is_empty() {
                return Ok(all);
            }
        }
        Ok(Vec::new())
    }

    /// What this machine's own file says.
    pub(crate) fn in_hosts_file(&self, host: &str) -> Vec<IpAddr> {
        let mut found = Vec::new();
        for line in read(&self.hosts).lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let address = words.next().and_then(|word| word.parse().ok());
            if let Some(address) = address.filter(|_| words.any(|name| name.eq_ignore_ascii_case(host))) {
                found.push(address);
            }
        }
        found
    }

    fn servers(&self) -> (Vec<SocketAddr>, Vec<String>) {
        let (mut servers, mut search) = (Vec::new(), Vec::new());
        for line in read(&self.resolv_conf).lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse().ok());
                    servers.extend(address.map(|address| SocketAddr::new(address, PORT)));
                }
                Some("search" | "domain") => {
                    search = words.map(|word| word.trim_end_matches('.').to_owned()).take(6).collect();
                }
                _ => {}
            }
        }
        servers.truncate(SERVERS);
        if servers.is_empty() {
            servers.push(SocketAddr::from(([127, 0, 0, 1], PORT)));
        }
        (servers, search)
    }
}

/// A file that may not be there.
fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    let _ = std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Asks each server in turn, twice around.
fn ask(servers: &[SocketAddr], name: &Name, kind: RecordType, until: Instant) -> io::Result<Vec<IpAddr>> {
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for server in servers.iter().cycle().take(servers.len() * ROUNDS) {
        let left = until.saturating_duration_since(Instant::now()).min(PATIENCE);
        if left.is_zero() {
            break;
        }
        match ask_one(*server, name, kind, left) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => last = io::Error::other("the name servers refuse to answer"),
            Err(error) => last = error,
        }
    }
    let name = name.to_utf8();
    Err(io::Error::other(format!("cannot look up {}: {last}", name.trim_end_matches('.'))))
}

/// `None`: this server cannot say.
fn ask_one(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    left: Duration,
) -> io::Result<Option<Vec<IpAddr>>> {
    let mut id = [0; 2];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
    let mut question = Message::new(u16::from_ne_bytes(id), MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name.clone(), kind));
    let bytes = question.to_vec().map_err(io::Error::other)?;
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    // Connected: what others send is not heard.
    socket.connect(server)?;
    socket.send(&bytes)?;
    let deadline = Instant::now() + left;
    let mut buffer = [0; 4096];
    loop {
        let wait = deadline.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(wait))?;
        let n = match socket.recv(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            other => other?,
        };
        let Ok(answer) = Message::from_vec(buffer.get(..n).unwrap_or_default()) else { continue };
        if !answers(&answer, &question) {
            continue;
        }
        if answer.metadata.truncation {
            let whole = by_tcp(server, &bytes, left)?.filter(|answer| answers(answer, &question));
            return Ok(whole.and_then(|answer| addresses(&answer, name)));
        }
        return Ok(addresses(&answer, name));
    }
}

fn by_tcp(server: SocketAddr, question: &[u8], left: Duration) -> io::Result<Option<Message>> {
    let mut stream = TcpStream::connect_timeout(&server, left)?;
    stream.set_read_timeout(Some(left))?;
    stream.set_write_timeout(Some(left))?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes)?;
    Ok(Message::from_vec(&bytes).ok())
}

fn answers(answer: &Message, question: &Message) -> bool {
    answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.queries == question.queries
}

/// The addresses in an answer, through the aliases in it; `None` if it is no answer but a failure.
fn addresses(answer: &Message, asked: &Name) -> Option<Vec<IpAddr>> {
    if !matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return None;
    }
    let mut name = asked.clone();
    for _ in 0..ALIASES {
        let alias = answer.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == name => Some(target.0.clone()),
            _ => None,
        });
        match alias {
            Some(target) => name = target,
            None => break,
        }
    }
    let ours = answer.answers.iter().filter(|record| record.name == name);
    let found = ours.filter_map(|record| match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::Names;
    use std::net::IpAddr;

    fn names(hosts: &str, resolv_conf: &str) -> (tempfile::TempDir, Names) {
        let folder = tempfile::tempdir().unwrap();
        let names =
            Names { hosts: folder.path().join("hosts"), resolv_conf: folder.path().join("resolv.conf") };
        std::fs::write(&names.hosts, hosts).unwrap();
        std::fs::write(&names.resolv_conf, resolv_conf).unwrap();
        (folder, names)
    }

    #[test]
    fn literals_and_the_hosts_file_need_no_server() {
        let (_folder, names) = names("# x\n10.0.0.1 a.example A # b\n::2 a.example\nrubbish b\n", "");
        let found = |host: &str| names.look_up(host, None).unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(found("a.example"), [address("10.0.0.1"), address("::2")]);
        assert_eq!(found("a"), [address("10.0.0.1")]);
        assert_eq!(found("[::1]"), [address("::1")]);
        assert_eq!(found("localhost").len(), 2);
        assert_eq!(names.in_hosts_file("b"), [] as [IpAddr; 0]);
    }

    #[test]
    fn servers_are_those_of_resolv_conf() {
        let text = "search one.example two.example.\nnameserver 10.0.0.1\nnameserver x\nnameserver ::1 # c\noptions a\n";
        let (_folder, names) = names("", text);
        let (servers, search) = names.servers();
        assert_eq!(servers, ["10.0.0.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        assert_eq!(search, ["one.example", "two.example"]);
    }
}
