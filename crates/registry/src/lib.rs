//! Registries: pulling images from them, and pushing images to them (OCI distribution-spec, and Docker's registry protocol
//! that it grew out of).
//!
//! | file | holds |
//! |---|---|
//! | [`Settings`] | which hosts stand behind a name; mirrors, insecure ones, patience |
//! | [`Session`] | an open conversation: tags, [`Session::pull`], [`Session::push`] |
//! | [`Credentials`], [`kept`] | who asks: `X-Registry-Auth`; ~/.docker/config.json and credential helpers |
//! | `manifest` | what a name leads to, verified |
//! | `client` | one host, asked by HTTP: redirections, bounds, repeats |
//! | `auth`, [`Challenge`] | passwords and tokens |
//! | `blob`, `upload` | a blob as a reader that goes on after the line broke; the other way, the same |
//! | `certificates`, `proxy`, `resolve` | what a connection needs |
//!
//! It knows the image store and no engine. Everything is synchronous: a pull is a few threads that each wait for one thing,
//! and a layer is decompressed, verified and unpacked by whoever reads it.
#![forbid(unsafe_code)]

mod address;
mod auth;
mod blob;
mod certificates;
mod challenge;
mod client;
mod credentials;
mod describe;
mod error;
mod failure;
pub mod kept;
mod manifest;
mod progress;
mod proxy;
mod pull;
mod push;
mod resolve;
mod session;
mod settings;
mod upload;

pub use challenge::Challenge;
pub use credentials::Credentials;
pub use describe::Described;
pub use error::{RegistryError, Result};
pub use progress::{Progress, Pushed};
pub use pull::{Pulled, Wanted};
pub use push::Outgoing;
pub use session::{Purpose, Session};
pub use settings::{Settings, credentials_key};
