//! The supervisor: the one small process that owns one container, from its birth to its exit code.
//!
//! It is an executable of its own (`bulkhead-supervisor`), so that an idle container costs little memory, and
//! it has one thread and one poll loop: fork is safe in it, and nothing waits for anything else. There is no
//! daemon above it: any client of the engine talks to it directly, and can be killed without its noticing.
//!
//! | file | subject |
//! |---|---|
//! | [`protocol`] | what clients and supervisor say to each other |
//! | [`client`] | a client's side: start a supervisor, connect to one |
//! | [`status`] | what it leaves on disk about its container |
//! | [`identity`] | which container it has, and the link by which clients find it |
//! | `start`, `life`, `end` | a container's life: its beginning; the poll loop; what follows its end |
//! | [`restart`] | whether another run follows, and when |
//! | [`health`], `checking` | health checks: their rules; how they are run |
//! | [`events`], `telling` | what happens, and how it is told |
//! | [`networks`] | the networks that it is on, and its published ports |
//! | [`names`] | its names on them, and the name service by which it finds others |
//! | `requests` | what clients ask meanwhile |
//! | `attachments`, `output`, `input` | who sees the container's output and feeds its input |
//! | `later`, `sessions` | later programs (exec): what they begin with; those that run |
//! | [`log_config`], `log` | how its output is kept; keeping it |
//! | `init` | the same executable as PID 1 of a container (`--init`) |

pub mod client;
pub mod events;
pub mod health;
pub mod identity;
pub mod log_config;
pub mod names;
pub mod networks;
pub mod protocol;
pub mod restart;
pub mod status;

mod attachments;
mod checking;
mod end;
mod init;
mod input;
mod later;
mod life;
mod log;
mod output;
mod requests;
mod sessions;
mod start;
mod telling;

pub use init::run_as_init;
pub use life::supervise;
