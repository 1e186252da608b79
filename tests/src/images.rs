//! The images of the tests and the demo, made once from Debian's packages and kept in `target/test-images`.
//!
//! Whoever needs one first makes it, under a lock; the others wait. An image appears by a rename when it is whole.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::archive::{Layer, write_docker_archive};

/// A test image. Its name in the engine is its file's name, without the ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// `busybox`: Debian's static busybox with a link for each of its applets. No C library, no name service.
    Busybox,
    /// `tools`: the same, with util-linux's programs that busybox lacks: ipcmk, ipcs, ipcrm, setarch, unshare;
    /// and `suid-cat`, which reads as root whoever calls it.
    Tools,
    /// `debian-apache`: a minimal Debian with apache2, curl, iproute2 and procps.
    Apache,
}

impl Image {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Busybox, Self::Tools, Self::Apache];

    /// The image's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busybox => "busybox",
            Self::Tools => "tools",
            Self::Apache => "debian-apache",
        }
    }

    /// The archive's file name. The number goes up when what is in an image changes, so that old ones are not used.
    #[must_use]
    pub fn file(self) -> String {
        format!("{}.3.tar", self.name())
    }

    /// The archive's path on a host.
    #[must_use]
    pub fn on_host(self) -> String {
        format!("{}/{}", crate::host::IMAGES, self.file())
    }
}

/// The layers of an image of 1 GiB in 60,000 files, over busybox: for benches. The files are such as compress to about a
/// third.
#[must_use]
pub fn large() -> Vec<Vec<u8>> {
    let mut state = 1u64;
    let mut layer = crate::archive::Layer::new();
    for folder in 0..600 {
        layer = layer.dir(&format!("d{folder}"), 0o755);
        for file in 0..100 {
            // Words of a small vocabulary (a xorshift), which is neither noise nor one byte.
            let content: Vec<u8> = (0..(1 << 30) / 60_000 / 4)
                .flat_map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    u32::try_from(state & 0x3fff)
                        .unwrap_or_default()
                        .wrapping_mul(2_654_435_761)
                        .to_le_bytes()
                })
                .collect();
            layer = layer.file(&format!("d{folder}/f{file}"), 0o644, &content);
        }
    }
    vec![busybox().done(), layer.done()]
}

/// The folder of the images: `target/test-images`, beside the builds of all targets.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn folder() -> PathBuf {
    // target/TUPLE/debug/test-host or target/TUPLE/debug/deps/story-0123…
    let own = std::env::current_exe().unwrap();
    let profile = own.ancestors().find(|folder| folder.join("deps").is_dir()).unwrap();
    let folder = profile.ancestors().nth(2).unwrap().join("test-images");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Makes all images that are missing, and gives the paths of all.
#[must_use]
pub fn make_all() -> Vec<PathBuf> {
    Image::ALL.into_iter().map(make).collect()
}

/// Makes the image if it is missing, and gives its archive's path.
///
/// # Panics
/// When it cannot be made: a package is missing, or Debian's packages cannot be had.
pub fn make(image: Image) -> PathBuf {
    let folder = folder();
    let path = folder.join(image.file());
    if path.is_file() {
        return path;
    }
    let lock = File::create(folder.join(format!("{}.lock", image.name()))).unwrap();
    lock.lock().unwrap();
    if path.is_file() {
        return path;
    }
    let part = tempfile::Builder::new().prefix("part-").tempdir_in(&folder).unwrap();
    let (layer, config) = match image {
        Image::Busybox => (busybox().done(), shell()),
        Image::Tools => (tools().done(), shell()),
        Image::Apache => apache(part.path()),
    };
    let whole = part.path().join("whole");
    let out = BufWriter::new(File::create(&whole).unwrap());
    write_docker_archive(out, &format!("{}:latest", image.name()), &config, &[layer]);
    fs::rename(&whole, &path).unwrap();
    path
}

fn shell() -> Value {
    json!({ "Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] })
}

/// A layer with busybox, its applets, and the few files that make it a system.
///
/// # Panics
/// When busybox-static is not installed.
#[must_use]
pub fn busybox() -> Layer {
    let program = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
    let program = program.unwrap_or_else(|| panic!("busybox-static is not installed: run `make setup`"));
    let applets = output(Command::new(program).arg("--list"));
    let mut layer = Layer::new();
    for folder in
        ["bin", "dev", "etc", "home", "proc", "run", "sys", "usr", "usr/bin", "usr/sbin", "var", "var/lib"]
    {
        layer = layer.dir(folder, 0o755);
    }
    layer = layer.dir("root", 0o700).dir("tmp", 0o1777).dir("var/tmp", 0o1777);
    layer = layer.file("bin/busybox", 0o755, fs::read(program).unwrap());
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        layer = layer.symlink(&format!("bin/{applet}"), "busybox");
    }
    let users = ["root:x:0:0:root:/root:/bin/sh", "daemon:x:1:1:daemon:/usr/sbin:/bin/false"];
    let others =
        ["www-data:x:33:33:www-data:/var/www:/bin/false", "nobody:x:65534:65534:nobody:/home:/bin/false"];
    let passwd = [users, others].concat().join("\n") + "\n";
    let group = "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nusers:x:100:nobody\nnobody:x:65534:\n";
    layer.file("etc/passwd", 0o644, passwd).file("etc/group", 0o644, group)
}

/// The same with some of util-linux's programs, and the libraries that they need.
fn tools() -> Layer {
    let mut files = std::collections::BTreeSet::new();
    for name in ["ipcmk", "ipcs", "ipcrm", "setarch", "unshare", "cat"] {
        let path = Path::new("/usr/bin").join(name);
        assert!(path.is_file(), "{} is missing: run `make setup`", path.display());
        for word in
            output(Command::new("ldd").arg(&path)).split_whitespace().filter(|word| word.starts_with('/'))
        {
            files.insert(PathBuf::from(word));
        }
        files.insert(path);
    }
    let mut layer = busybox();
    let mut folders = std::collections::BTreeSet::new();
    for file in &files {
        let name = file.strip_prefix("/").unwrap();
        for parent in name.ancestors().skip(1).filter(|parent| parent.components().next().is_some()) {
            folders.insert(parent.to_owned());
        }
    }
    for folder in folders
        .iter()
        .filter(|folder| !["bin", "usr", "usr/bin"].iter().any(|had| folder.as_path() == Path::new(had)))
    {
        layer = layer.dir(folder.to_str().unwrap(), 0o755);
    }
    for file in &files {
        let name = file.strip_prefix("/").unwrap().to_str().unwrap();
        layer = layer.file(name, 0o755, fs::read(file).unwrap());
    }
    // Debian's cat, and a set-ID copy: what a careless image has.
    let cat = fs::read("/bin/cat").unwrap();
    layer.entry("usr/bin/suid-cat", tar::EntryType::Regular, 0o4755, "", (0, 0), &cat)
}

/// A Debian (or Ubuntu) tree of the machine's own release, from the machine's own package sources.
fn apache(scratch: &Path) -> (Vec<u8>, Value) {
    let tree = scratch.join("tree.tar");
    let codename = output(Command::new("sh").args(["-c", ". /etc/os-release; echo $VERSION_CODENAME"]));
    let distribution = output(Command::new("sh").args(["-c", ". /etc/os-release; echo $ID"]));
    let modern = format!("/etc/apt/sources.list.d/{}.sources", distribution.trim());
    let sources = if Path::new(&modern).is_file() { modern } else { "/etc/apt/sources.list".to_owned() };
    let mut make = Command::new("mmdebstrap");
    make.args(["--quiet", "--mode=root", "--variant=minbase", "--include=apache2,curl,iproute2,procps"]);
    make.args(["--aptopt=Acquire::Languages \"none\"", "--dpkgopt=path-exclude=/usr/share/man/*"]);
    make.args(["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*"]);
    make.args([codename.trim(), tree.to_str().unwrap(), &sources]).env("TMPDIR", scratch);
    output(&mut make);
    let config = json!({
        "Cmd": ["sh", "-c", ". /etc/apache2/envvars; mkdir -p /run/apache2; exec apache2 -DFOREGROUND"], "ExposedPorts": { "80/tcp": {} }, "StopSignal": "SIGWINCH",
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    });
    (fs::read(tree).unwrap(), config)
}

/// What `command` prints.
fn output(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run `make setup`"));
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {}\n{errors}", done.status);
    String::from_utf8(done.stdout).unwrap()
}
