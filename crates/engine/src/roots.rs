//! Where an engine lives: a folder for what lasts, and one for what dies with a boot. Several engines can live
//! on one machine; everything that could collide between them is derived from these two paths.

use std::path::{Path, PathBuf};

/// The two folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// What lasts: the database, images, containers' writable layers and logs, volumes.
    pub root: PathBuf,
    /// What dies with a boot: sockets.
    pub state: PathBuf,
}

impl Roots {
    /// Root's own engine.
    pub fn system() -> Roots {
        Roots { root: "/var/lib/bulkhead".into(), state: "/run/bulkhead".into() }
    }

    /// The folder of a container: its files, writable layer, log and status.
    pub fn container(&self, id: &str) -> PathBuf {
        self.root.join("containers").join(id)
    }

    /// The folder of a running container's sockets.
    pub fn running(&self, id: &str) -> PathBuf {
        self.state.join("containers").join(id)
    }

    /// The link to the folder of the running container of that name (see [`bulkhead_supervisor::identity`]).
    pub fn name_link(&self, name: &str) -> PathBuf {
        self.state.join("names").join(name)
    }

    /// Where it is told what happens (see [`bulkhead_supervisor::events`]).
    pub fn events(&self) -> PathBuf {
        self.state.join("events")
    }

    /// Where the containers of each network say what they are called.
    pub fn networks(&self) -> PathBuf {
        self.state.join("networks")
    }

    /// Where supervisors say which ports they have published.
    pub fn published(&self) -> PathBuf {
        self.state.join("published")
    }

    /// The image store.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// A volume's files.
    pub fn volume(&self, name: &str) -> PathBuf {
        self.root.join("volumes").join(name).join("_data")
    }

    /// The name of this engine's default bridge: `bulkhead0` for the system's, another for each other root.
    pub fn bridge(&self) -> String {
        if self.root == Path::new("/var/lib/bulkhead") {
            return "bulkhead0".into();
        }
        // FNV-1a: stable across versions and machines, and no name of a link needs more.
        let hash =
            self.root.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        format!("bulk-{:09x}", hash >> 28)
    }
}

#[cfg(test)]
mod tests {
    use super::Roots;

    #[test]
    fn each_engine_has_a_bridge_of_its_own_and_its_name_fits_a_link() {
        let other = Roots { root: "/tmp/x".into(), ..Roots::system() };
        assert_eq!(Roots::system().bridge(), "bulkhead0");
        assert_ne!(other.bridge(), Roots { root: "/tmp/y".into(), ..Roots::system() }.bridge());
        assert!(other.bridge().len() <= 15);
    }
}
