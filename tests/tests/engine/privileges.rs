//! no_new_privs: whether a set-ID file in an image can make somebody root.

use bulkhead_tests::{Host, images::Image};

use crate::sh;

#[test]
fn a_set_id_file_gives_nothing_when_it_is_told_so() {
    let host = Host::new("privileges").with(Image::Tools);
    let attack = "suid-cat /etc/secret";
    // Root makes a file that only root may read, and then is nobody.
    let script = format!("umask 077; echo secret > /etc/secret; su -s /bin/sh nobody -c '{attack}'");
    sh(&host, &[], "tools", &script).prints("secret");
    let flags = ["--security-opt=no-new-privileges"];
    let refused = sh(&host, &flags, "tools", &script).run();
    refused.hides("secret").says("Permission denied");
    sh(&host, &flags, "tools", "grep NoNewPrivs /proc/self/status | cut -f2").prints("1");
    sh(
        &host,
        &["--security-opt=no-new-privileges=false"],
        "tools",
        "grep NoNewPrivs /proc/self/status | cut -f2",
    )
    .prints("0");
    sh(&host, &[], "tools", "grep NoNewPrivs /proc/self/status | cut -f2").prints("0");
    host.finish_clean();
}
