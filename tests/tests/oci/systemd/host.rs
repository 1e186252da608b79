//! A host on which systemd is PID 1 of a namespace, and the commands that are run beside it.
//!
//! systemd on a machine empties folders, sets kernel parameters and starts what is installed. This one cannot: it sees no
//! file system to write to but the host's own (`begin.sh` looks before it lets it begin), and knows no unit and no generator
//! but those that a test gives it.

use bulkhead_tests::{Cmd, Host, wait};

/// What is said of a machine that has none.
pub(super) const MISSING: &str = "systemd is not installed, or does not come up here";

/// Brings systemd up and leaves its number in a file.
const UP: &str = r#"
command -v systemctl >/dev/null && test -x /usr/lib/systemd/systemd && test ! -e /sys/fs/cgroup/cgroup.controllers
mkdir -p /run/units
printf '[Unit]\nDescription=tests\nDefaultDependencies=no\n' > /run/units/tests.target
# Where it is, it takes for the root of all groups.
test ! -e /sys/fs/cgroup/unified/cgroup.procs || echo $$ > /sys/fs/cgroup/unified/cgroup.procs
cat > /run/begin.sh
unshare --pid --fork --mount --propagation private --mount-proc sh -e /run/begin.sh \
    < /dev/null > /run/systemd.log 2>&1 &
for i in $(seq 500); do test -S /run/systemd/private && break; kill -0 $! || break; sleep 0.02; done
test -S /run/systemd/private || { cat /run/systemd.log >&2; exit 1; }
ps -o pid= --ppid $! > /run/systemd.pid
"#;

/// A host with systemd; `None`: there is none here.
///
/// # Panics
/// When systemd could write to what is the machine's.
#[track_caller]
pub(super) fn with_systemd(name: &str) -> Option<Host> {
    let host = Host::new(name);
    let up = host.sh(UP).stdin(include_str!("begin.sh")).run();
    if up.code() != 0 {
        let said = up.to_string();
        host.abandon();
        assert!(!said.contains("UNSAFE"), "{said}");
        eprintln!("{said}");
        return None;
    }
    Some(host)
}

/// A script among the processes that systemd sees.
pub(super) fn inside(host: &Host, script: &str) -> Cmd {
    let script = script.replace('\'', "'\\''");
    host.sh(&format!("exec nsenter --target $(cat /run/systemd.pid) --pid --mount sh -ec '{script}'"))
}

/// A command of the runtime, with systemd.
pub(super) fn oci(host: &Host, words: &str) -> Cmd {
    inside(host, &format!("bulkhead oci --systemd-cgroup {words}"))
}

#[track_caller]
pub(super) fn create(host: &Host, id: &str) {
    let streams = "< /dev/null > /run/output 2>&1 || { cat /run/output >&2; exit 1; }";
    oci(host, &format!("create --bundle /run/b {id} {streams}")).run().succeeds();
}

/// Properties of a unit, in the order of their names here.
#[track_caller]
pub(super) fn show(host: &Host, unit: &str, names: &str) -> Vec<String> {
    let said = inside(
        host,
        &format!("for name in {names}; do systemctl show {unit} --property $name --value; done"),
    );
    said.stdout().lines().map(str::to_owned).collect()
}

/// Nothing of a unit of this name is left, for systemd or in the groups.
#[track_caller]
pub(super) fn assert_gone(host: &Host, unit: &str) {
    wait::until(&format!("{unit} is gone"), || {
        inside(
            host,
            &format!("systemctl list-units --all --no-legend {unit}; find /sys/fs/cgroup -name {unit}"),
        )
        .stdout()
        .is_empty()
    });
}
