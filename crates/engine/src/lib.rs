//! The engine: containers, images and volumes, for whoever serves people (the command line) or programs (the API).
//!
//! It takes and gives Docker's own types ([`bollard_stubs::models`]), so nothing is said twice between it and
//! its front ends. It is a library, not a daemon: each client opens the store, does its work and goes; what
//! must last is on disk, and a running container belongs to its supervisor.
//!
//! | folder | holds |
//! |---|---|
//! | [`store`] | the truth on disk, a file per table |
//! | [`spec`] | from Docker's words to the isolation core's plan |
//! | `users` | whose IDs a container has: user namespaces, ranges, mappings of mounts |
//! | `accounts` | /etc/passwd, /etc/subuid and their like |
//! | `networks` | the networks that a container is on, its published ports |
//! | [`commands`] | what can be done, a file per command |
//! | [`filters`] | which of many things are meant, a file per kind of thing |
//! | `id_mapping`, `shifted` | whether mounts can map IDs here, and what is done where they cannot |
//! | [`log_reader`] | the logs of containers, read while they are written |
//! | `joined` | the namespaces of other containers |
//! | [`repair`] | what a killed process of ours left, put right by the next command |
#![forbid(unsafe_code)]

mod accounts;
pub mod commands;
mod condition;
mod config;
pub mod detach_keys;
pub mod durations;
mod error;
pub mod filters;
mod host_image;
mod hosts_files;
pub mod id;
mod id_mapping;
mod joined;
pub mod log_reader;
pub mod names;
mod networks;
pub mod repair;
mod roots;
mod shifted;
pub mod spec;
pub mod store;
pub mod times;
pub mod units;
mod users;

use std::path::{Path, PathBuf};

use bulkhead_image::Store as ImageStore;

pub use bollard_stubs::models;
pub use bulkhead_image::{ContainerConfig, ImageError, ImportOptions, Loaded, Platform, Progress, Reference};
pub use bulkhead_isolation::TerminalSize;
pub use bulkhead_registry as registry;
pub use bulkhead_supervisor::client::Connection;
pub use bulkhead_supervisor::protocol;
pub use condition::Condition;
pub use error::{Error, Refusal, Result};
pub use roots::Roots;
pub use store::containers::Container;

/// An open engine.
#[derive(Debug)]
pub struct Engine {
    roots: Roots,
    store: store::Store,
    programs: Programs,
    /// A supervisor spawned before it was needed.
    early: Option<Connection>,
    /// Who asks, where that is not the engine's own root: user and group.
    caller: Option<(u32, u32)>,
    /// What containers get that ask for no user namespace in particular.
    usual_users: UsualUsers,
}

/// Which user namespace containers get that ask for none in particular.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UsualUsers {
    /// What daemon.json says; if that says nothing, IDs of their own.
    #[default]
    AsConfigured,
    /// IDs of their own, whatever daemon.json says.
    Own,
    /// The host's.
    Host,
    /// The subordinate IDs of somebody, as `userns-remap` of daemon.json has it.
    Remap(String),
}

/// The executables that the engine starts.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `bulkhead-supervisor`.
    pub supervisor: PathBuf,
    /// `bulkhead` itself, for what is to be done when nobody waits.
    pub bulkhead: PathBuf,
}

impl Programs {
    /// Those beside this executable.
    ///
    /// # Errors
    /// There is no supervisor there.
    pub fn beside_us() -> Result<Programs> {
        use error::Doing;
        let bulkhead = std::env::current_exe().doing(|| "find this executable")?;
        let supervisor = bulkhead.with_file_name("bulkhead-supervisor");
        Ok(Programs { supervisor, bulkhead })
    }
}

impl Engine {
    /// Opens the engine that lives at `roots`, making it if it is not there.
    ///
    /// # Errors
    /// Folders that cannot be made, a database that cannot be used.
    pub fn open(roots: Roots, programs: Programs) -> Result<Engine> {
        if rustix::process::geteuid() != rustix::process::Uid::ROOT {
            return Err(Error::Invalid("bulkhead must be run as root (try sudo)".into()));
        }
        let store = match store::Store::open(&roots.root) {
            Ok(store) => store,
            // Most likely the very first time: the folders are not there yet.
            Err(_) => {
                for folder in [roots.root.clone(), roots.root.join("containers"), roots.root.join("volumes")]
                {
                    store::make_folder(&folder)?;
                }
                store::Store::open(&roots.root)?
            }
        };
        Ok(Engine { roots, store, programs, early: None, caller: None, usual_users: UsualUsers::default() })
    }

    /// Says on whose behalf the engine is used: the user and group whom `--userns=keep-id` keeps.
    pub fn on_behalf_of(&mut self, uid: u32, gid: u32) {
        self.caller = Some((uid, gid));
    }

    /// Says which user namespace containers get that ask for none in particular.
    pub fn usual_users(&mut self, usual: UsualUsers) {
        self.usual_users = usual;
    }

    /// Where it lives.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The container of that ID, name, or beginning of an ID.
    ///
    /// # Errors
    /// None or several.
    pub fn container(&self, wanted: &str) -> Result<Container> {
        store::containers::find(self.store.read(), wanted)
    }

    /// The bytes of images.
    fn image_store(&self) -> Result<ImageStore> {
        Ok(ImageStore::open(&self.roots.images())?)
    }

    /// Where a container's executable init is.
    fn init(&self) -> &Path {
        &self.programs.supervisor
    }

    /// Whether [`checkpoint`](Self::checkpoint) should be called where nobody waits.
    pub fn wants_checkpoint(&self) -> bool {
        self.store.wants_checkpoint()
    }

    /// Does what need not be done while somebody waits: moves the database's log into the database, and takes out of the
    /// firewall what is left of containers' links.
    ///
    /// # Errors
    /// The disk's, or the kernel's.
    pub fn checkpoint(&self) -> Result<()> {
        self.store.checkpoint()?;
        bulkhead_network::firewall::sweep()?;
        Ok(())
    }
}
