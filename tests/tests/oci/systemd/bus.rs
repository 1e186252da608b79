//! systemd by the system bus, with a real dbus-daemon, which systemd starts: without systemd's own socket, and where
//! `DBUS_SYSTEM_BUS_ADDRESS` names the bus.

use bulkhead_tests::{Host, skip, wait};
use serde_json::json;

use super::host::{MISSING, assert_gone, create, inside, oci, show, with_systemd};
use crate::Bundle;

/// systemd joins the bus when the units of these names run. All are let talk to all: who may is not what is tried.
const BUS: &str = r#"
mkdir -p /run/dbus
cat > /run/units/bus.conf <<'XML'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>systemd:</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow send_type="signal"/>
    <allow eavesdrop="false"/><allow receive_sender="*"/>
  </policy>
</busconfig>
XML
printf '[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/dbus/system_bus_socket\n' > /run/units/dbus.socket
printf '[Unit]\nDefaultDependencies=no\nRequires=dbus.socket\nAfter=dbus.socket\n[Service]\nStandardOutput=null\nStandardError=file:/run/dbus.log\nExecStart=%s\n' \
    '/usr/bin/dbus-daemon --config-file=/run/units/bus.conf --address=systemd: --nofork --nopidfile' > /run/units/dbus.service
"#;

/// A host on which systemd is on a bus.
pub(super) fn with_bus(name: &str) -> Option<Host> {
    let host = with_systemd(name)?;
    if host.sh("test -x /usr/bin/dbus-daemon").run().code() != 0 {
        host.abandon();
        return None;
    }
    host.sh(BUS).run().succeeds();
    inside(&host, "systemctl daemon-reload; systemctl start dbus.service").run().succeeds();
    wait::until("systemd is on the bus", || {
        inside(&host, "busctl --system --no-legend list 2> /dev/null || true")
            .stdout()
            .contains("org.freedesktop.systemd1")
    });
    Some(host)
}

#[test]
fn without_systemd_s_own_socket_the_system_bus_is_asked() {
    let Some(host) = with_bus("oci-system-bus") else {
        skip!("{MISSING}, or there is no dbus-daemon");
    };
    let _bundle = Bundle::new(&host, "b", "exec sleep 1000").with(|config| {
        config["linux"]["cgroupsPath"] = json!("bus.slice:p:one");
        config["linux"]["resources"]["pids"] = json!({ "limit": 5 });
    });
    let life = |named: &str| {
        let oci = |words: &str| inside(&host, &format!("{named} bulkhead oci --systemd-cgroup {words}"));
        oci("create --bundle /run/b one < /dev/null > /run/output 2>&1 || { cat /run/output >&2; exit 1; }")
            .run()
            .succeeds();
        oci("start one").run().succeeds();
        oci("update --pids-limit 20 one").run().succeeds();
        // Asked by systemd's own socket, or by the bus, as systemctl has it.
        assert_eq!(show(&host, "p-one.scope", "Slice ActiveState TasksMax"), ["bus.slice", "active", "20"]);
        assert_eq!(oci("exec one sh -c 'echo here'").stdout(), "here");
        oci("delete --force one").run().succeeds();
        assert_gone(&host, "p-one.scope");
    };
    life("DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket");
    inside(&host, "mv /run/systemd/private /run/systemd/moved").run().succeeds();
    life("");
    // An error of systemd's comes by the bus too.
    let failing = Bundle::new(&host, "failing", "true").with(|config| {
        config["linux"]["cgroupsPath"] = json!("bus.slice:p:one");
        config["annotations"] = json!({ "org.systemd.property.Nonsense": "5" });
    });
    oci(&host, "run --bundle /run/failing one")
        .fails(1, "does not make the unit p-one.scope: Cannot set property Nonsense");
    drop(failing);
    host.abandon();
}

#[test]
fn of_a_bus_without_systemd_it_says_so() {
    let Some(host) = with_bus("oci-bus-alone") else {
        skip!("{MISSING}, or there is no dbus-daemon");
    };
    let _bundle = Bundle::new(&host, "b", "true");
    create(&host, "one");
    oci(&host, "delete --force one").run().succeeds();
    // A second bus, which systemd is not on.
    inside(
        &host,
        "dbus-daemon --config-file=/run/units/bus.conf --address=unix:path=/run/alone --fork --nopidfile > /dev/null 2>&1",
    )
    .run()
    .succeeds();
    inside(
        &host,
        "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/alone bulkhead oci --systemd-cgroup run --bundle /run/b one",
    )
    .fails(1, "systemd is not to be reached: ");
    host.abandon();
}
