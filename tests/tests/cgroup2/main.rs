//! The engine on pure cgroup version 2 and an older kernel (Debian 12's 6.1), in a virtual machine: most users' machines
//! are such, whatever this one is. `checks.sh` is what runs inside.

use bulkhead_tests::images::{self, Image};
use bulkhead_tests::skip;
use bulkhead_tests::vm::Machine;

#[test]
fn everything_holds_on_cgroup_version_2() {
    let executables = bulkhead_tests::host::executables();
    let machine = Machine::new()
        .with("usr/bin/bulkhead", executables.join("bulkhead"))
        .with("usr/bin/bulkhead-supervisor", executables.join("bulkhead-supervisor"))
        .with("images/busybox.tar", images::make(Image::Busybox));
    match machine.run(include_str!("checks.sh")) {
        Ok(report) => report.assert_all_hold(),
        Err(lacking) => skip!("{lacking}"),
    }
}
