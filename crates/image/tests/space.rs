//! A full disk: a clear error, and nothing left behind. The disk is a small tmpfs in a mount namespace of the test's own.

#![allow(clippy::unwrap_used, reason = "tests fail by it")]

mod support;

use std::process::Command;

use bulkhead_image::{ImageError, ImportOptions, Store};
use rustix::mount::{MountFlags, mount};
use support::{Tar, assert_empty, config, docker_archive};

/// Set in the process that has its own namespace.
const INSIDE: &str = "BULKHEAD_TEST_INSIDE";

#[test]
fn a_full_disk_is_an_error_that_leaves_nothing() {
    if std::env::var_os(INSIDE).is_none() {
        let mut again = Command::new("unshare");
        again.args(["--mount", "--propagation", "private", "--"]).arg(std::env::current_exe().unwrap());
        let output =
            again.args(["--exact", "a_full_disk_is_an_error_that_leaves_nothing"]).env(INSIDE, "1").output();
        // Where there is no unshare(1) or no right to it, there is nothing to test on.
        let Ok(output) = output.inspect_err(|e| eprintln!("skipped: {e}")) else { return };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // 64 MiB of it are never touched.
    mount("tmpfs", folder.path(), "tmpfs", MountFlags::NODEV, c"size=80m").unwrap();
    {
        let store = Store::open(&folder.path().join("store")).unwrap();
        let small = Tar::new().file("a", &[1; 1 << 20]).bytes();
        let large = Tar::new().file("a", &[1; 9 << 20]).file("b", &[2; 9 << 20]).bytes();
        let image = store.import(&small[..], &ImportOptions::default()).unwrap();
        store.remove_layer(&image.layers[0]).unwrap();
        store.remove_blob(&image.id).unwrap();
        for error in [
            store.import(&large[..], &ImportOptions::default()).unwrap_err(),
            store.load(&docker_archive(&config(&[&large]), &[&large], &[])[..], &mut |_| {}).unwrap_err(),
        ] {
            assert!(matches!(error, ImageError::NoSpace { .. }), "{error}");
        }
        assert_empty(&store);
    }
    rustix::mount::unmount(folder.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
}
