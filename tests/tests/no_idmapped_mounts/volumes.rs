//! Volumes where their files cannot be shown with other IDs.

use super::{load_owners, on_ramfs, sh, turned_off};

#[test]
fn a_volume_is_the_container_s_that_it_was_made_for() {
    for host in [on_ramfs("unmapped-volume"), turned_off("unmapped-volume-off")] {
        load_owners(&host);
        let write = "echo x >/data/f && chown 33:34 /data/f && stat -c '%u:%g' /data /data/f";
        sh(&host, &["-v", "data:/data"], write).run().succeeds().quietly().shows("0:0\n33:34");
        // On disk it is that range's; not the host's root's.
        host.sh("test $(stat -c %u /var/lib/bulkhead/volumes/data/_data) -ge 524288").prints("");
        // Another container has other IDs, and is told.
        let other = sh(&host, &["-v", "data:/data"], "touch /data/g; stat -c %u /data").run();
        other.says("the volume data belongs to a container with other IDs").says("denied").shows("65534");
        // Those that share IDs share volumes.
        host.run_detached(["--name", "c1", "-v", "shared:/data", "owners", "sleep", "1000"]);
        sh(&host, &["-v", "shared:/data", "--userns=container:c1"], write)
            .run()
            .succeeds()
            .quietly()
            .shows("0:0\n33:34");
        // Without a user namespace too.
        for _ in 0..2 {
            sh(&host, &["-v", "plain:/data", "--userns=host"], write).run().quietly().shows("0:0\n33:34");
        }
        host.finish();
    }
}

#[test]
fn an_image_finds_its_own_files_in_a_new_volume() {
    let host = on_ramfs("unmapped-fill");
    load_owners(&host);
    sh(
        &host,
        &["-v", "web:/srv", "--user=33"],
        "echo more >>/srv/page; touch /srv/new; stat -c '%u:%g' /srv /srv/page",
    )
    .run()
    .succeeds()
    .quietly()
    .shows("33:100\n33:100");
    host.finish();
}
