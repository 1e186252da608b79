//! TCP: only by mutual TLS. Whoever can reach the server can do what root can, so a client shows a certificate that the
//! given authority has signed, before it has said a word of HTTP; anybody else gets nothing.
//!
//! TLS ends here: a task copies between the client and a socket pair, whose other end is served as a Unix socket's client
//! is. So a client may be done with talking and still listen (close_notify), as Docker's does when its standard input ends;
//! and one that has gone is noticed, since its TCP connection ends with that.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, WriteHalf};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::ServeError;
use crate::descriptors::Hangup;

/// How long a client may take to show its certificate.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a client that was told everything may take to go.
const AT_THE_END: Duration = Duration::from_secs(5);
/// After how long without a word a client is asked whether it is still there.
const ASKED_AFTER: Duration = Duration::from_secs(60);
const PIECE: usize = 16 * 1024;

/// Where the certificates are, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Who signs clients' certificates.
    pub authority: PathBuf,
    /// The server's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The key of the server's certificate.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Reads them.
    pub(crate) fn load(&self) -> Result<TlsAcceptor, ServeError> {
        let TlsFiles { authority, certificate, key } = self;
        let failed =
            |path: &Path, error: io::Error| ServeError::new(format!("use {} for TLS", path.display()), error);
        let mut roots = RootCertStore::empty();
        for one in certificates(authority).map_err(|error| failed(authority, error))? {
            roots.add(one).map_err(|error| failed(authority, io::Error::other(error)))?;
        }
        let chain = certificates(certificate).map_err(|error| failed(certificate, error))?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, unreadable(error)))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| failed(authority, io::Error::other(error)))?;
        // TLS 1.2 and 1.3.
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ServeError::new("set up TLS", io::Error::other(error)))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, secret)
            .map_err(|error| failed(certificate, io::Error::other(error)))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if all.is_empty() {
        return Err(io::Error::new(ErrorKind::InvalidData, "it holds no certificate in PEM"));
    }
    Ok(all)
}

fn unreadable(error: rustls::pki_types::pem::Error) -> io::Error {
    match error {
        rustls::pki_types::pem::Error::Io(error) => error,
        other => io::Error::new(ErrorKind::InvalidData, other.to_string()),
    }
}

/// Lets the client in. It has shown its certificate then.
pub(crate) async fn accept(acceptor: &TlsAcceptor, client: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    client.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(&client, true)?;
    rustix::net::sockopt::set_tcp_keepidle(&client, ASKED_AFTER)?;
    timeout(HANDSHAKE_WITHIN, acceptor.accept(client))
        .await
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// Copies between the client and `plain`, until either has gone.
pub(crate) async fn relay(client: TlsStream<TcpStream>, plain: UnixStream) {
    let hangup = Hangup::of_sender(client.get_ref().0);
    let (mut from_client, to_client) = tokio::io::split(client);
    let (from_server, mut to_server) = plain.into_split();
    let inward = async {
        let mut buffer = vec![0; PIECE];
        loop {
            match from_client.read(&mut buffer).await {
                // The connection was cut: nobody is there.
                Err(_) => return,
                Ok(0) => break,
                Ok(length) => {
                    let passed = to_server.write_all(buffer.get(..length).unwrap_or_default());
                    let passed = tokio::select! {
                        passed = passed => passed,
                        // It takes what it takes, and the client has gone meanwhile.
                        () = gone(hangup.as_ref().ok()) => return,
                    };
                    if passed.is_err() {
                        // The server hears no more. What it says is passed on all the same.
                        std::future::pending::<()>().await;
                    }
                }
            }
        }
        // It has said everything, and may listen until it closes the connection.
        let _ = to_server.shutdown().await;
        gone(hangup.as_ref().ok()).await;
    };
    let told = tokio::select! {
        () = inward => false,
        told = tell(from_server, to_client) => told,
    };
    // A connection that is closed with something unread in it is reset, and the client may lose what it was told.
    if told {
        let _ = timeout(AT_THE_END, tokio::io::copy(&mut from_client, &mut tokio::io::sink())).await;
    }
}

async fn gone(hangup: Option<&Hangup>) {
    match hangup {
        Some(hangup) => hangup.wait().await,
        None => std::future::pending().await,
    }
}

/// Passes on what the server says; gives whether that was possible to the end.
async fn tell(mut from: OwnedReadHalf, mut client: WriteHalf<TlsStream<TcpStream>>) -> bool {
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer).await {
            Err(_) => return false,
            Ok(0) => return client.shutdown().await.is_ok(),
            Ok(length) => {
                let said = buffer.get(..length).unwrap_or_default();
                if client.write_all(said).await.is_err() || client.flush().await.is_err() {
                    return false;
                }
            }
        }
    }
}
