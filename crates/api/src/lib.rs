//! The Docker Engine HTTP API over the engine: `bulkhead serve`.
//!
//! It is one more front end, beside the command line, and owns nothing: what it tells it reads from disk, and what runs
//! belongs to supervisors. It can be killed at any moment, and another one serves the same containers.
//!
//! | part | what |
//! |---|---|
//! | [`listen`] | the socket that clients find, and who may reach it |
//! | `passed` | sockets that the server was started with |
//! | `tls` | TCP, for clients with a certificate |
//! | `server` | connections, limits on what a client may send, the end |
//! | `connections` | how many, and who goes when there are too many |
//! | `overdue` | bodies that do not come |
//! | `exchange` | one request and its answer |
//! | `version` | which version of the API a request speaks, and its path without that |
//! | `routes` | a file for each group of routes of Docker's reference, and what each does |
//! | `house` | what all requests share |
//! | `worker` | a process for each request that needs the engine |
//! | `flow` | a body that is sent while it is written |
//! | `upload` | a body that is read while it is received |
//! | `hijack` | a connection that stops to be HTTP |
//! | `session` | a client and a program's streams |
//! | `pending` | clients that attach to what is not started yet |
//! | `execs` | programs that clients want run in containers |
//! | `descriptors` | pipes, terminals and supervisors that are waited for |
//! | [`filters`] | `?filters=` |
//! | `messages` | Docker's lines of JSON that tell how far something is |
//! | `moments` | times as clients write them |
//! | `failure` | an error as Docker's status and message |
//!
//! **One thread.** The server waits for many things and works on none: each request's work is done by a child that is
//! cloned for it. So the engine's code runs as it does in a command, in a process with one thread that may clone and join
//! namespaces; a request that fails in the hardest way harms itself alone; and its memory goes when it ends.
//!
//! The API is Docker's: <https://docs.docker.com/reference/api/engine/>.
#![forbid(unsafe_code)]

mod connections;
mod descriptors;
mod exchange;
mod execs;
mod failure;
pub mod filters;
mod flow;
mod hijack;
mod house;
mod listen;
mod messages;
mod moments;
mod overdue;
mod passed;
mod pending;
mod routes;
mod server;
mod session;
mod tls;
mod upload;
mod version;
mod worker;

use bulkhead_engine::{Programs, Roots, UsualUsers};

pub use failure::ServeError;
pub use listen::Address;
pub use passed::Which;
pub use tls::TlsFiles;

/// What becomes of each of Docker's routes: a table, for docs/docker.md.
pub fn reference() -> String {
    routes::reference()
}

/// What a server serves, and to whom.
#[derive(Debug)]
pub struct Options {
    /// The engine.
    pub roots: Roots,
    /// What it starts.
    pub programs: Programs,
    /// Where clients find it; none: the socket `bulkhead.sock` in the engine's folder of this boot.
    pub addresses: Vec<Address>,
    /// What clients over TCP are known by; without it there is no TCP.
    pub tls: Option<TlsFiles>,
    /// Whether clients may only look.
    pub read_only: bool,
    /// Which user namespace containers get that ask for none.
    pub usual_users: UsualUsers,
}

/// Serves until SIGTERM or SIGINT. `ready` is called when clients can connect, with each address.
///
/// The calling process must have one thread.
///
/// # Errors
/// An address that cannot be listened at, or a failing kernel.
pub fn serve(options: Options, ready: impl FnOnce(&[Address])) -> Result<(), ServeError> {
    runtime()?.block_on(server::serve(options, ready))
}

fn runtime() -> Result<tokio::runtime::Runtime, ServeError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let built = builder.enable_io().enable_time().build();
    built.map_err(|error| ServeError::new("make what waits for clients", error))
}

/// What a server whose engine does nothing answers to a client that sends these bytes: for fuzzing.
///
/// # Errors
/// A failing kernel.
#[doc(hidden)]
pub fn answers(said: &[u8]) -> Result<Vec<u8>, ServeError> {
    runtime()?.block_on(server::answers(said))
}
