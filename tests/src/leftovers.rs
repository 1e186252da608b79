//! What a container may leave behind, looked for on the host itself.
//!
//! [`look`] is run on the host by the helper executable; [`Host::finish`](crate::Host::finish) asks for it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cgroups::{Hierarchy, V2_LEAF};

/// Cgroups that belong to the engine, not to a container, and may stay: empty they cost nothing.
const ENGINES_CGROUPS: [&str; 3] = ["bulkhead", "bulkhead.slice", "bulkhead-runtime"];

/// One line for each thing that is left over here: processes, mounts, links, cgroups, run-time folders.
#[must_use]
pub fn look() -> Vec<String> {
    let mut found = Vec::new();
    processes(&mut found);
    mounts(&mut found);
    links(&mut found);
    for hierarchy in Hierarchy::all().unwrap() {
        cgroups(&hierarchy.mount, &hierarchy.mount, &mut found);
    }
    containers(Path::new("/run/bulkhead"), &mut found);
    for entry in fs::read_dir("/run/bulkhead-runtime").into_iter().flatten().flatten() {
        found.push(format!("state {}", entry.path().display()));
    }
    rules(&mut found);
    containers(Path::new("/var/lib/bulkhead/containers"), &mut found);
    found
}

/// All but the host's first process and the one that looks.
fn processes(found: &mut Vec<String>) {
    let own = std::process::id();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if pid == 1 || pid == own {
            continue;
        }
        // A process that ends meanwhile is not left over.
        let Ok(command) = fs::read(entry.path().join("cmdline")) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let state = stat.rsplit_once(')').map_or("", |(_, rest)| rest.trim_start());
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let name = if command.is_empty() { stat.split(')').next().unwrap_or("").to_owned() } else { command };
        found.push(format!("process {pid} ({}): {name}", state.get(..1).unwrap_or("?")));
    }
}

fn mounts(found: &mut Vec<String>) {
    for line in fs::read_to_string("/proc/self/mountinfo").unwrap().lines() {
        let target = line.split(' ').nth(4).unwrap_or_default();
        let inside = ["/run/bulkhead", "/var/lib/bulkhead/"].iter().any(|folder| target.starts_with(folder));
        let named = ["/run/netns", "/var/run/netns"].iter().any(|folder| target.starts_with(folder));
        if inside || named {
            found.push(format!("mount {target}"));
        }
    }
}

fn links(found: &mut Vec<String>) {
    for entry in fs::read_dir("/sys/class/net").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // A bridge is a network's, not a container's; a link named test-… is one that the test made itself.
        let bridge = entry.path().join("bridge").exists();
        if name != "lo" && !bridge && !name.starts_with("test-") {
            found.push(format!("link {name}"));
        }
    }
}

fn cgroups(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let top = folder == root;
        let supervisors = name == "supervisors" && folder == root.join(ENGINES_CGROUPS[0]);
        if !(supervisors || top && (name == V2_LEAF || ENGINES_CGROUPS.contains(&name.as_str()))) {
            found.push(format!("cgroup {}", path.display()));
        }
        cgroups(root, &path, found);
    }
}

/// Sets of the firewall that hold what only a running container has there. (What lets its link send stays until it is swept
/// out: it lets no other link send.)
const OF_CONTAINERS: [&str; 6] = ["ports", "ports_any", "ports6", "ports6_any", "self", "self6"];

fn rules(found: &mut Vec<String>) {
    let output = Command::new("nft").args(["list", "ruleset"]).output();
    // A host without nft(8) or without its kernel's part has no such sets either.
    let Ok(output) = output else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    let (mut table, mut set) = ("", "");
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["table", _, name, ..] => table = name,
            ["set" | "map", name, ..] => set = name,
            ["elements", ..] if table == "bulkhead" && OF_CONTAINERS.contains(&set) => {
                found.push(format!("rule: {set} {line}"));
            }
            _ => {}
        }
    }
}

/// Files and folders that bear a container's ID.
fn containers(folder: &Path, found: &mut Vec<String>) {
    // There are folders of networks, too, which stay as long as these.
    let of_networks = folder == Path::new("/run/bulkhead/networks");
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let id: String = name.chars().take_while(char::is_ascii_hexdigit).collect();
        if !of_networks && (id.len() == 64 || id.len() == 12) {
            found.push(format!("file {}", entry.path().display()));
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            containers(&entry.path(), found);
        }
    }
}
