//! `features`: what it names must be so.

use bulkhead_tests::{Host, skip};
use serde_json::{Value, json};

use crate::Bundle;
use crate::bundle::oci;

fn words(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_word_is_taken_and_others_are_not() {
    let host = Host::new("oci-features");
    let features: Value = serde_json::from_str(&oci(&host, "features").stdout()).unwrap();
    let linux = &features["linux"];
    let mut bundle = Bundle::new(&host, "b", "true");
    let good = bundle.config.clone();
    let mut all_run = |what: &str, change: &dyn Fn(&mut Value)| {
        bundle.config = good.clone();
        change(&mut bundle.config);
        bundle.write();
        let output = bundle.run("").run();
        assert_eq!(output.code(), 0, "{what}: {output}");
    };
    for action in words(&linux["seccomp"]["actions"]).iter().filter(|action| *action != "SCMP_ACT_NOTIFY") {
        all_run(action, &|config| {
            config["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": words(&linux["seccomp"]["archs"]),
                "flags": words(&linux["seccomp"]["supportedFlags"]),
                "syscalls": [{ "names": ["swapon"], "action": action }],
            });
        });
    }
    for operator in words(&linux["seccomp"]["operators"]) {
        all_run(&operator, &|config| {
            let arg = json!({ "index": 0, "value": 1, "valueTwo": 1, "op": operator });
            let rule = json!({ "names": ["swapon"], "action": "SCMP_ACT_ERRNO", "args": [arg] });
            config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] });
        });
    }
    all_run("capabilities", &|config| {
        config["process"]["capabilities"] = json!({ "inheritable": words(&linux["capabilities"]) });
        config["process"]["capabilities"]["permitted"] =
            config["process"]["capabilities"]["inheritable"].clone();
        config["process"]["capabilities"]["bounding"] =
            config["process"]["capabilities"]["inheritable"].clone();
    });
    all_run("namespaces", &|config| {
        let kinds = words(&linux["namespaces"]);
        let kinds = kinds.iter().filter(|kind| *kind != "user").map(|kind| json!({ "type": kind }));
        config["linux"]["namespaces"] = kinds.collect();
    });
    // Those of a mount, each on what it is for.
    let options = words(&features["mountOptions"]);
    for option in &options {
        let (kind, more) = match option.as_str() {
            "remount" => ("none", vec!["bind"]),
            "tmpcopyup" => ("tmpfs", vec![]),
            "idmap" | "ridmap" | "mand" | "bind" | "rbind" => continue,
            _ if ["sync", "dirsync", "lazytime"].contains(&option.as_str()) => ("tmpfs", vec![]),
            _ => ("bind", vec!["bind"]),
        };
        all_run(option, &|config| {
            let at = if option == "remount" { "/tmp" } else { "/m" };
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts.push(json!({ "destination": "/tmp", "type": "tmpfs", "source": "t" }));
            let options: Vec<&str> = more.iter().copied().chain([option.as_str()]).collect();
            mounts.push(
                json!({ "destination": at, "type": kind, "source": "/run/b/rootfs/etc", "options": options }),
            );
        });
    }
    for module in ["apparmor", "selinux"] {
        assert_eq!(linux[module]["enabled"], true, "asked where the machine has it");
    }
    assert_eq!(linux["intelRdt"]["enabled"], false);
    assert_eq!(linux["mountExtensions"]["idmap"]["enabled"], true);
    // Both ends of the versions are taken, and nothing is there that came after the last.
    for version in ["ociVersionMin", "ociVersionMax"] {
        all_run(version, &|config| config["ociVersion"] = features[version].clone());
    }
    for later in ["netDevices", "memoryPolicy"] {
        assert!(linux.get(later).is_none(), "{later} is of version 1.3");
    }
    host.finish();
}

/// The options of a mount that config.md of version 1.2 says a runtime must or should know.
const OPTIONS: &str = "async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev nodiratime \
    noexec noiversion nolazytime norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime relatime \
    remount rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime \
    rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid symfollow sync \
    unbindable idmap ridmap mand nomand tmpcopyup";

#[test]
fn what_the_specification_names_is_among_the_words() {
    let host = Host::new("oci-feature-words");
    let features: Value = serde_json::from_str(&oci(&host, "features").stdout()).unwrap();
    let linux = &features["linux"];
    let all = |list: &Value, wanted: &str| {
        let known = words(list);
        let missing = wanted.split_whitespace().filter(|word| !known.iter().any(|known| known == word));
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new());
    };
    all(&features["mountOptions"], OPTIONS);
    all(&features["hooks"], "prestart createRuntime createContainer startContainer poststart poststop");
    all(&linux["namespaces"], "pid network mount ipc uts user cgroup time");
    all(
        &linux["seccomp"]["knownFlags"],
        "SECCOMP_FILTER_FLAG_TSYNC SECCOMP_FILTER_FLAG_LOG SECCOMP_FILTER_FLAG_SPEC_ALLOW \
         SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    );
    // A name that ends in a dot is the beginning of all that are so called.
    all(&features["potentiallyUnsafeConfigAnnotations"], "org.systemd.property.");
    host.finish();
}

/// Joins a session keyring of its own (keyctl(2)), puts a key there (add_key(2)), and executes what is named.
const KEEPER: &str = r#"
import ctypes, os, platform, sys
add_key, keyctl = (248, 250) if platform.machine() == "x86_64" else (217, 219)
libc = ctypes.CDLL(None)
if libc.syscall(keyctl, 1, b"own") < 0:
    sys.exit(1)
key = libc.syscall(add_key, b"user", b"bulkhead-secret", b"x", 1, -3)
# Only for those who have it in a keyring of theirs, whoever they are.
if key < 0 or libc.syscall(keyctl, 5, key, 0x3f000000) < 0:
    sys.exit(1)
os.execvp(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn a_program_has_a_session_keyring_of_its_own_unless_told_otherwise() {
    let host = Host::new("oci-keyring");
    host.sh("cat > /run/keep.py").stdin(KEEPER).run().succeeds();
    if host.sh("test -r /proc/keys && python3 /run/keep.py true").run().code() != 0 {
        skip!("there are no keyrings here, or no python3, which makes one");
    }
    let bundle = Bundle::new(&host, "b", "cat /proc/keys").with(|config| {
        config["linux"]["maskedPaths"] = json!([]);
    });
    let run = |flags: &str| {
        host.sh(&format!("python3 /run/keep.py bulkhead oci run --bundle /run/b {flags} one")).stdout()
    };
    let secret = |said: String| said.contains("bulkhead-secret");
    assert!(secret(run("--no-new-keyring")), "it has its caller's");
    assert!(!secret(run("")));
    drop(bundle);
    host.finish();
}
