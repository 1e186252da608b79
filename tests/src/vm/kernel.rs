//! The virtual machine's kernel: Debian's for clouds, downloaded once with apt, unpacked and never installed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::images;

/// The package that depends on the current kernel.
const PACKAGE: &str = "linux-image-cloud-amd64";

/// What the engine needs and Debian has as modules; what these depend on is found in them.
const MODULES: [&str; 14] = [
    "virtio_pci",
    "virtio_blk",
    "loop",
    "overlay",
    "bridge",
    "veth",
    "tun",
    "nf_tables",
    "nft_chain_nat",
    "nft_nat",
    "nft_masq",
    "nft_ct",
    "nft_fib_inet",
    "nft_meta_bridge",
];

/// The folder with `vmlinuz` and `modules`, made the first time. Its name's number goes up when what is in it changes.
///
/// # Errors
/// The package cannot be had.
///
/// # Panics
/// When the folder cannot be written, or the package lacks a module.
pub fn get() -> Result<PathBuf, String> {
    let folder = images::folder();
    let path = folder.join("vm-kernel.3");
    let lock = File::create(folder.join("vm-kernel.lock")).unwrap();
    lock.lock().unwrap();
    if path.is_dir() {
        return Ok(path);
    }
    let part = tempfile::Builder::new().prefix("part-").tempdir_in(&folder).unwrap();
    let tree = download(part.path())?;
    let whole = part.path().join("whole");
    fs::create_dir_all(whole.join("modules")).unwrap();
    let boot = files_below(&tree.join("boot"));
    let vmlinuz = boot.iter().find(|path| name_of(path).starts_with("vmlinuz"));
    fs::copy(vmlinuz.expect("the package has no vmlinuz"), whole.join("vmlinuz")).unwrap();
    let modules = Modules::of(&files_below(&tree.join("lib/modules")));
    let mut order = Vec::new();
    MODULES.iter().for_each(|name| modules.add(name, &mut order));
    for (place, (name, content)) in order.iter().enumerate() {
        fs::write(whole.join(format!("modules/{place:02}-{name}.ko")), content).unwrap();
    }
    fs::rename(&whole, &path).unwrap();
    Ok(path)
}

/// The modules in `kernel`, in the order in which to load them.
pub(super) fn modules_of(kernel: &Path) -> Vec<PathBuf> {
    let mut modules = files_below(&kernel.join("modules"));
    modules.sort();
    modules
}

/// Downloads the package and gives the folder that it is unpacked in.
fn download(scratch: &Path) -> Result<PathBuf, String> {
    let depends = output(Command::new("apt-cache").args(["depends", PACKAGE]))?;
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.ok_or_else(|| {
        format!("apt knows no {PACKAGE}: this is not Debian, or its lists are missing (apt-get update)")
    })?;
    let mut download = Command::new("apt-get");
    download.args(["-qq", "-o", "APT::Sandbox::User=root", "download", package]).current_dir(scratch);
    output(&mut download)?;
    let archive =
        files_below(scratch).pop().ok_or_else(|| format!("apt-get download {package} left no file"))?;
    let tree = scratch.join("tree");
    output(Command::new("dpkg").arg("-x").arg(&archive).arg(&tree))?;
    Ok(tree)
}

/// The modules of a package, by their names with `_` for `-`, as the kernel says them.
struct Modules {
    loadable: BTreeMap<String, PathBuf>,
    builtin: String,
}

impl Modules {
    fn of(files: &[PathBuf]) -> Self {
        let loadable = files.iter().filter_map(|path| {
            let name = name_of(path);
            let name = name.strip_suffix(".ko").or_else(|| name.strip_suffix(".ko.xz"))?;
            Some((name.replace('-', "_"), path.clone()))
        });
        let builtin = files.iter().find(|path| name_of(path) == "modules.builtin");
        let builtin = builtin.map(|path| fs::read_to_string(path).unwrap()).unwrap_or_default();
        Self { loadable: loadable.collect(), builtin: builtin.replace('-', "_") }
    }

    /// Adds a module after those that it depends on; what this kernel has built in needs none.
    fn add(&self, name: &str, order: &mut Vec<(String, Vec<u8>)>) {
        if order.iter().any(|(had, _)| had == name) {
            return;
        }
        let Some(path) = self.loadable.get(name) else {
            assert!(self.builtin.contains(&format!("/{name}.ko")), "{PACKAGE} has no module {name}");
            return;
        };
        let content = match path.extension() {
            Some(end) if end == "xz" => {
                let done = Command::new("xz").arg("-dc").arg(path).output().unwrap();
                assert!(
                    done.status.success(),
                    "{}: {}",
                    path.display(),
                    String::from_utf8_lossy(&done.stderr)
                );
                done.stdout
            }
            _ => fs::read(path).unwrap(),
        };
        // The section .modinfo holds `name=value` strings, each ended by a zero byte.
        let key = b"\0depends=";
        if let Some(begin) = content.windows(key.len()).position(|window| window == key) {
            let value = content[begin + key.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
            for needed in String::from_utf8_lossy(value).split(',').filter(|needed| !needed.is_empty()) {
                self.add(&needed.replace('-', "_"), order);
            }
        }
        order.push((name.to_owned(), content));
    }
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// All regular files below `folder`.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_below(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

/// What `command` prints; an error says what it said.
fn output(command: &mut Command) -> Result<String, String> {
    let done = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !done.status.success() {
        return Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&done.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
