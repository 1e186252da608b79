//! The first process of a host: it lays out the host's mounts, then reaps, and with it the host ends.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use bulkhead_tests::cgroups::Hierarchy;
use bulkhead_tests::host::{BIN, HELPER, IMAGES, OVERLAYS};
use rustix::fs::{CWD, FileType, Mode};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_bind,
    mount_bind_recursive, mount_change, mount_remount, move_mount, open_tree,
};
use rustix::process::WaitOptions;

/// Folders of the machine that the host may change for itself.
const CHANGEABLE: [&str; 4] = ["etc", "var", "root", "home"];

/// Sets the host up, says `ready`, and lives until standard input ends. As PID 1 its end is the host's.
pub(crate) fn init(name: &OsStr, bin: &OsStr, images: &OsStr) -> ExitCode {
    let hierarchies = Hierarchy::all().unwrap();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    // Taken hold of before /tmp and /run, below which they may be, are covered.
    // By its name: the link itself leads to the mount of another namespace, which cannot be cloned.
    let own = std::env::current_exe().unwrap();
    let (bin, images, helper) = (detached(bin), detached(images), detached(own.as_os_str()));
    tmpfs("/run", "mode=755");
    tmpfs("/tmp", "mode=1777");
    fs::create_dir_all(BIN).unwrap();
    fs::create_dir_all(IMAGES).unwrap();
    fs::write(HELPER, "").unwrap();
    for (tree, target) in [(bin, BIN), (images, IMAGES), (helper, HELPER)] {
        move_mount(tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).unwrap();
        mount_remount(target, MountFlags::BIND | MountFlags::RDONLY, "").unwrap();
    }
    changeable();
    fs::create_dir_all("/var/lib/bulkhead").unwrap();
    tmpfs("/var/lib/bulkhead", "mode=755");
    for file in ["/etc/subuid", "/etc/subgid"] {
        fs::write(file, "").unwrap();
    }
    mount("proc", "/proc", "proc", MountFlags::empty(), None).unwrap();
    mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None).unwrap();
    cgroups(&hierarchies);
    devices();
    rustix::system::sethostname(name.as_bytes()).unwrap();
    mount_remount("/", MountFlags::BIND | MountFlags::RDONLY, "").unwrap();
    let lo = Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
    assert!(lo.success(), "the loopback device could not be brought up");
    println!("ready");

    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(0);
    });
    loop {
        if rustix::process::wait(WaitOptions::empty()).is_err() {
            // No child: the next orphan is alive when it comes, so a moment's delay leaves no zombie about.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn tmpfs(target: &str, options: &str) {
    let options = CString::new(options).unwrap();
    mount("tmpfs", target, "tmpfs", MountFlags::empty(), Some(options.as_c_str())).unwrap();
}

fn detached(path: &OsStr) -> OwnedFd {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, path, flags)
        .unwrap_or_else(|error| panic!("{} cannot be given to the host: {error}", path.display()))
}

/// Lays an overlay over each changeable folder. What was mounted on files in /etc, as a container's engine does with
/// resolv.conf, is not seen through it, and so is written again.
fn changeable() {
    let kept: Vec<_> = ["/etc/resolv.conf", "/etc/hosts"].map(|file| (file, fs::read(file))).into();
    for folder in CHANGEABLE.iter().filter(|folder| Path::new("/").join(folder).is_dir()) {
        let (upper, work) = (format!("{OVERLAYS}/{folder}/upper"), format!("{OVERLAYS}/{folder}/work"));
        let target = format!("/{folder}");
        fs::create_dir_all(&upper).unwrap();
        fs::create_dir_all(&work).unwrap();
        // The upper folder's mode is the overlay's.
        fs::set_permissions(&upper, fs::metadata(&target).unwrap().permissions()).unwrap();
        let options = format!("lowerdir={target},upperdir={upper},workdir={work}");
        let options = CString::new(options).unwrap();
        mount("overlay", &target, "overlay", MountFlags::empty(), Some(options.as_c_str())).unwrap();
    }
    for (file, content) in kept {
        if let (Ok(content), true) = (content, fs::symlink_metadata(file).is_ok_and(|file| file.is_file())) {
            fs::write(file, content).unwrap();
        }
    }
}

/// Mounts each hierarchy where the machine has it, now rooted in the host's subtree.
fn cgroups(hierarchies: &[Hierarchy]) {
    let pure_v2 = hierarchies.iter().any(|hierarchy| hierarchy.mount == Path::new("/sys/fs/cgroup"));
    if !pure_v2 {
        tmpfs("/sys/fs/cgroup", "mode=755");
    }
    for hierarchy in hierarchies {
        fs::create_dir_all(&hierarchy.mount).unwrap();
        let kind = if hierarchy.v2 { "cgroup2" } else { "cgroup" };
        let options = CString::new(hierarchy.options.as_str()).unwrap();
        let options = (!hierarchy.v2).then_some(options.as_c_str());
        mount(kind, &hierarchy.mount, kind, MountFlags::empty(), options).unwrap();
    }
}

/// Makes a `/dev` with the machine's nodes, and its own shm and mqueue. Terminals are the machine's, since the harness
/// drives them from there.
fn devices() {
    let old = OVERLAYS.to_owned() + "/dev";
    fs::create_dir_all(&old).unwrap();
    mount_bind_recursive("/dev", &old).unwrap();
    tmpfs("/dev", "mode=755");
    for entry in fs::read_dir(&old).unwrap() {
        let entry = entry.unwrap();
        let target = Path::new("/dev").join(entry.file_name());
        let Ok(meta) = entry.path().symlink_metadata() else { continue };
        let kind = meta.file_type();
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), &target).unwrap();
        } else if kind.is_char_device() || kind.is_block_device() {
            let kind = if kind.is_char_device() { FileType::CharacterDevice } else { FileType::BlockDevice };
            rustix::fs::mknodat(CWD, &target, kind, Mode::empty(), meta.rdev()).unwrap();
            // Past the umask.
            fs::set_permissions(&target, fs::Permissions::from_mode(meta.mode() & 0o7777)).unwrap();
        }
    }
    for folder in ["/dev/pts", "/dev/shm", "/dev/mqueue"] {
        fs::create_dir(folder).unwrap();
    }
    mount_bind(old.clone() + "/pts", "/dev/pts").unwrap();
    tmpfs("/dev/shm", "mode=1777");
    mount("mqueue", "/dev/mqueue", "mqueue", MountFlags::empty(), None).unwrap();
    let net = Path::new(&old).join("net");
    if net.is_dir() {
        fs::create_dir("/dev/net").unwrap();
        mount_bind(net, "/dev/net").unwrap();
    }
    rustix::mount::unmount(&old, rustix::mount::UnmountFlags::DETACH).unwrap();
}
