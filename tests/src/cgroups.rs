//! A cgroup subtree for each host, in every hierarchy that the machine has: v1, v2 and the mixture of both.
//!
//! The host's cgroup namespace is rooted in the subtree, so that an engine on it sees it as the whole of
//! `/sys/fs/cgroup`. See cgroups(7), cgroup_namespaces(7).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// One mounted cgroup hierarchy.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Whether it is cgroup v2.
    pub v2: bool,
    /// What to mount it with: `cpu,cpuacct`, `none,name=systemd`; empty for v2.
    pub options: String,
    /// The folder of the cgroup that the asking process is in.
    own: PathBuf,
}

/// The controllers that a host hands to its engine on v2.
const V2_CONTROLLERS: [&str; 5] = ["cpuset", "cpu", "io", "memory", "pids"];
/// The leaf in which a host's own processes live on v2, where a cgroup with children may hold none.
pub const V2_LEAF: &str = "init";

impl Hierarchy {
    /// Every hierarchy mounted here, by mount point.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn all() -> io::Result<Vec<Self>> {
        let own = own_paths()?;
        let mut found = BTreeMap::new();
        for line in fs::read_to_string("/proc/self/mountinfo")?.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            let (&[_, _, _, root, mount, ..], &[kind, _, options]) = (left.as_slice(), right.as_slice())
            else {
                continue;
            };
            let (v2, options) = match kind {
                "cgroup2" => (true, String::new()),
                "cgroup" => (false, controllers(options)),
                _ => continue,
            };
            let key = options.trim_start_matches("none,");
            let inside = own.get(key).map_or("/", String::as_str);
            let inside = Path::new(inside).strip_prefix(root).unwrap_or(Path::new("")).to_owned();
            let mount = PathBuf::from(mount);
            let own = mount.join(inside);
            found.insert(mount.clone(), Self { mount, v2, options, own });
        }
        Ok(found.into_values().collect())
    }

    /// The folder named `name` of this hierarchy: below the own cgroup on v1, so that its limits go on to hold; below
    /// the root on v2, where a cgroup with processes in it can give no controllers to children.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        if self.v2 { self.mount.join(name) } else { self.own.join(name) }
    }

    /// Makes that folder, ready to have processes put into it.
    ///
    /// # Errors
    /// When the kernel refuses the folder or, on v1, its cpuset.
    pub fn make(&self, name: &str) -> io::Result<()> {
        let folder = self.folder(name);
        fs::create_dir(&folder)?;
        if self.v2 {
            let offered = fs::read_to_string(self.mount.join("cgroup.controllers"))?;
            for controller in V2_CONTROLLERS.iter().filter(|c| offered.split_whitespace().any(|o| o == **c)) {
                // Refused where the root's own processes are in the way: tests of that controller then say so.
                let _ = fs::write(self.mount.join("cgroup.subtree_control"), format!("+{controller}"));
            }
        } else if self.options.split(',').any(|controller| controller == "cpuset") {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                fs::write(folder.join(file), fs::read(self.own.join(file))?)?;
            }
        }
        Ok(())
    }

    /// Puts the calling process, which has one thread, into the cgroup at `folder`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn join(&self, folder: &Path) -> io::Result<()> {
        // On v1 a thread that moves itself by `tasks` does not wait for an RCU grace period, as `cgroup.procs` does.
        fs::write(folder.join(if self.v2 { "cgroup.procs" } else { "tasks" }), "0")
    }

    /// Removes the folder named `name` with all below it, if it is there.
    ///
    /// # Errors
    /// When a process is still in it.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        remove_tree(&self.folder(name))
    }
}

/// Thaws a folder and all below it, where it is of the version 1 hierarchy that freezes.
pub(crate) fn thaw(folder: &Path) {
    let state = folder.join("freezer.state");
    if state.exists() {
        let _ = fs::write(state, "THAWED");
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            thaw(&entry.path());
        }
    }
}

fn remove_tree(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

/// The controllers among a v1 hierarchy's super block options.
fn controllers(options: &str) -> String {
    let known = |option: &&str| {
        !matches!(*option, "rw" | "ro" | "xattr" | "noprefix" | "clone_children" | "cpuset_v2_mode")
            && !option.starts_with("release_agent")
    };
    let wanted: Vec<&str> = options.split(',').filter(known).collect();
    match wanted.as_slice() {
        [name] if name.starts_with("name=") => format!("none,{name}"),
        _ => wanted.join(","),
    }
}

/// The cgroup of the calling process in each hierarchy; the v2 one has the empty name.
fn own_paths() -> io::Result<BTreeMap<String, String>> {
    let mut paths = BTreeMap::new();
    for line in fs::read_to_string("/proc/self/cgroup")?.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        if let (Some(controllers), Some(path)) = (fields.next(), fields.next()) {
            paths.insert(controllers.to_owned(), path.to_owned());
        }
    }
    Ok(paths)
}

/// Removes the cgroups of hosts whose test process was killed before it could. A host's name holds its test's pid.
pub fn sweep(hierarchies: &[Hierarchy], prefix: &str) {
    for hierarchy in hierarchies {
        let Some(parent) = hierarchy.folder("x").parent().map(Path::to_owned) else { continue };
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let pid = name.strip_prefix(prefix).and_then(|rest| rest.split('-').next());
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                // Still busy, or another test was quicker: then the next sweep finds it.
                let _ = hierarchy.remove(&name);
            }
        }
    }
}
