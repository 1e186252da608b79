//! Connections: taken, limited, and served until somebody asks for the end.

use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::routing::Router;
use bulkhead_engine::{Programs, Roots, UsualUsers};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::connections::{self, Connections, Slot, unless_told_to_go};
use crate::house::House;
use crate::listen::{self, Address};
use crate::passed::{Listener, Passed};
use crate::{Options, ServeError, exchange, routes, tls, worker};

/// How long a client may take to say what it wants.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// How much it may say before the body.
const LARGEST_HEAD: usize = 64 * 1024;
/// How long to wait when no connection can be taken: no descriptor is free.
const BREATH: Duration = Duration::from_millis(50);
/// How long a client that is turned away may take to hear it.
const FAREWELL: Duration = Duration::from_secs(1);

/// What all connections share.
#[derive(Clone)]
struct Door {
    app: Router,
    read_only: bool,
    connections: Arc<Connections>,
}

pub(crate) async fn serve(options: Options, ready: impl FnOnce(&[Address])) -> Result<(), ServeError> {
    let Options { roots, programs, mut addresses, tls, read_only, usual_users } = options;
    if addresses.is_empty() {
        addresses.push(Address::Unix(roots.state.join("bulkhead.sock")));
    }
    let asked_to_end = |kind| signal(kind).map_err(|error| ServeError::new("wait for signals", error));
    let mut terminated = asked_to_end(SignalKind::terminate())?;
    let mut interrupted = asked_to_end(SignalKind::interrupt())?;
    worker::reap_by_itself();
    let acceptor = tls.map(|files| files.load()).transpose()?;
    let files = connections::raise_limit();
    let mut sockets = Sockets { acceptor, ..Sockets::default() };
    for address in &addresses {
        if let Err(error) = sockets.open(address, &roots) {
            take_away(sockets.left);
            return Err(error);
        }
    }
    let door = Door {
        app: routes::router(Arc::new(House::new(roots, programs, usual_users, Some(files)))),
        read_only,
        connections: Arc::new(Connections::within_limit()),
    };
    let Sockets { open, shown, left, .. } = sockets;
    for socket in open {
        match socket {
            Open::Unix(listener) => {
                let listener = UnixListener::from_std(listener).map_err(unregistered)?;
                tokio::spawn(take_all(listener, door.clone()));
            }
            Open::Tcp(listener, acceptor) => {
                let listener = TcpListener::from_std(listener).map_err(unregistered)?;
                tokio::spawn(take_all((listener, acceptor), door.clone()));
            }
        }
    }
    ready(&shown);
    poll_fn(|context| {
        let ended = terminated.poll_recv(context).is_ready() || interrupted.poll_recv(context).is_ready();
        if ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    take_away(left);
    Ok(())
}

/// Takes away the sockets that are still ours.
fn take_away(left: Vec<(PathBuf, Option<(u64, u64)>)>) {
    for (path, identity) in left {
        if identity.is_some() && listen::identity(&path) == identity {
            let _ = std::fs::remove_file(&path);
        }
    }
}

fn unregistered(error: std::io::Error) -> ServeError {
    ServeError::new("wait for clients", error)
}

/// Sockets that are listened at.
#[derive(Default)]
struct Sockets {
    acceptor: Option<TlsAcceptor>,
    passed: Option<Passed>,
    open: Vec<Open>,
    /// Where clients find them.
    shown: Vec<Address>,
    /// What is taken away at the end.
    left: Vec<(PathBuf, Option<(u64, u64)>)>,
}

enum Open {
    Unix(std::os::unix::net::UnixListener),
    Tcp(std::net::TcpListener, TlsAcceptor),
}

impl Sockets {
    fn open(&mut self, address: &Address, roots: &Roots) -> Result<(), ServeError> {
        let failed = |error| ServeError::new(format!("listen at {address}"), error);
        match address {
            Address::Unix(path) => {
                self.open.push(Open::Unix(listen::listen(path, &roots.state)?));
                self.left.push((path.clone(), listen::identity(path)));
                self.shown.push(address.clone());
            }
            Address::Tcp(wanted) => {
                let acceptor = self.for_tcp(address)?;
                let listener = listen::listen_tcp(*wanted)?;
                self.shown.push(Address::Tcp(listener.local_addr().map_err(failed)?));
                self.open.push(Open::Tcp(listener, acceptor));
            }
            Address::Passed(which) => {
                let passed = match &mut self.passed {
                    Some(passed) => passed,
                    None => self.passed.insert(Passed::to_us().map_err(failed)?),
                };
                for listener in passed.take(which).map_err(failed)? {
                    match listener {
                        Listener::Unix(listener) => {
                            let at = listener.local_addr().map_err(failed)?;
                            if let Some(path) = at.as_pathname() {
                                listen::let_through(path, &roots.state)?;
                            }
                            let path = at.as_pathname().map(|path| Address::Unix(path.into()));
                            self.shown.push(path.unwrap_or_else(|| address.clone()));
                            self.open.push(Open::Unix(listener));
                        }
                        Listener::Tcp(listener) => {
                            let acceptor = self.for_tcp(address)?;
                            self.shown.push(Address::Tcp(listener.local_addr().map_err(failed)?));
                            self.open.push(Open::Tcp(listener, acceptor));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn for_tcp(&self, address: &Address) -> Result<TlsAcceptor, ServeError> {
        self.acceptor.clone().ok_or_else(|| {
            let why = "whoever reached it over TCP could do what root can, so clients must show certificates: give \
                       --tlsverify, --tlscacert, --tlscert and --tlskey";
            ServeError::new(format!("listen at {address}"), std::io::Error::other(why))
        })
    }
}

/// Where clients come from.
trait Source: Send + 'static {
    /// A client that has come, and is not let in yet.
    type Client: Send;
    fn next(&self) -> impl Future<Output = std::io::Result<Self::Client>> + Send;
    fn serve(&self, client: Self::Client, slot: Arc<Slot>, door: Door);
    fn turn_away(client: Self::Client, door: &Door);
}

impl Source for UnixListener {
    type Client = UnixStream;

    async fn next(&self) -> std::io::Result<UnixStream> {
        self.accept().await.map(|(client, _)| client)
    }

    fn serve(&self, client: UnixStream, slot: Arc<Slot>, door: Door) {
        tokio::spawn(connection(client, Some(slot), door));
    }

    fn turn_away(client: UnixStream, door: &Door) {
        // How a client goes is its own affair.
        let most = door.connections.most();
        tokio::spawn(async move { drop(timeout(FAREWELL, say_full(client, most)).await) });
    }
}

impl Source for (TcpListener, TlsAcceptor) {
    type Client = TcpStream;

    async fn next(&self) -> std::io::Result<TcpStream> {
        self.0.accept().await.map(|(client, _)| client)
    }

    fn serve(&self, client: TcpStream, slot: Arc<Slot>, door: Door) {
        let acceptor = self.1.clone();
        tokio::spawn(async move {
            let handed = unless_told_to_go(&slot, async {
                // Somebody without a certificate of ours gets nothing, not even a word why.
                let client = tls::accept(&acceptor, client).await?;
                let (ours, theirs) = UnixStream::pair()?;
                // As long as there is a client, it has its place.
                let place = Arc::clone(&slot);
                tokio::spawn(async move { unless_told_to_go(&place, tls::relay(client, theirs)).await });
                std::io::Result::Ok(ours)
            });
            if let Some(Ok(ours)) = handed.await {
                connection(ours, Some(slot), door).await;
            }
        });
    }

    /// What it would be told, it could only be told after its certificate was looked at.
    fn turn_away(_: TcpStream, _: &Door) {}
}

async fn take_all(source: impl Source, door: Door) {
    loop {
        match source.next().await {
            Ok(client) => serve_or_not(&source, client, &door).await,
            // Out of descriptors or memory: those who are served give some back.
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

async fn serve_or_not<S: Source>(source: &S, client: S::Client, door: &Door) {
    match door.connections.take().await {
        Some(slot) => source.serve(client, slot, door.clone()),
        None => S::turn_away(client, door),
    }
}

/// Tells a client, when it has asked, that there is no place for it.
async fn say_full(mut client: UnixStream, most: usize) -> std::io::Result<()> {
    let mut asked = [0; 4096];
    let _ = client.read(&mut asked).await?;
    let message = format!("this server has {most} connections, and all of them are in use");
    let body = serde_json::json!({ "message": message }).to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await?;
    while client.read(&mut asked).await? > 0 {}
    Ok(())
}

/// Serves a client until it goes.
async fn connection<C>(client: C, slot: Option<Arc<Slot>>, door: Door)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Door { app, read_only, .. } = door;
    let given = slot.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        exchange::answer(app.clone(), request.map(Body::new), read_only, given.clone())
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(client), service)
        .with_upgrades();
    // How a client goes is its own affair.
    match slot {
        Some(slot) => drop(unless_told_to_go(&slot, served).await),
        None => drop(served.await),
    }
}

/// What a server that does nothing answers to these bytes.
pub(crate) async fn answers(said: &[u8]) -> Result<Vec<u8>, ServeError> {
    // Made once: it takes longer than all that follows.
    static DOOR: LazyLock<Door> = LazyLock::new(|| {
        let roots = Roots { root: "/nonexistent".into(), state: "/nonexistent".into() };
        let programs = Programs { supervisor: PathBuf::new(), bulkhead: PathBuf::new() };
        let house = House::new(roots, programs, UsualUsers::default(), None);
        Door {
            app: routes::router(Arc::new(house)),
            read_only: false,
            connections: Arc::new(Connections::within_limit()),
        }
    });
    let failed = |error| ServeError::new("speak with a server of our own", error);
    let (mut client, server) = UnixStream::pair().map_err(failed)?;
    let served = tokio::spawn(connection(server, None, DOOR.clone()));
    // It may close the connection before it has heard everything.
    let _ = client.write_all(said).await;
    let _ = client.shutdown().await;
    let mut heard = Vec::new();
    let _ = client.read_to_end(&mut heard).await;
    served.abort();
    Ok(heard)
}
