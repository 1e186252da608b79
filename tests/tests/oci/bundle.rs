//! A bundle on a host: busybox as its root file system, and a config.json to be changed.

use std::fmt::Write as _;

use bulkhead_tests::{Cmd, Host};
use serde_json::{Value, json};

/// One, in the folder /run/NAME of the host.
pub(crate) struct Bundle<'h> {
    host: &'h Host,
    pub(crate) folder: String,
    /// What config.json is to be; [`Bundle::write`] writes it.
    pub(crate) config: Value,
}

impl<'h> Bundle<'h> {
    /// A bundle whose program is `script`, without a terminal, with a root file system that can be written.
    #[track_caller]
    pub(crate) fn new(host: &'h Host, name: &str, script: &str) -> Bundle<'h> {
        let folder = format!("/run/{name}");
        host.sh(&format!(
            "mkdir -p {folder}/rootfs; cd {folder}/rootfs; mkdir -p bin dev etc proc root sys tmp; \
             cp $(command -v busybox) bin/busybox; for applet in $(bin/busybox --list); do \
             test $applet = busybox || ln -s busybox bin/$applet; done; \
             echo root:x:0:0:root:/root:/bin/sh > etc/passwd; bulkhead oci spec --bundle {folder}"
        ))
        .run()
        .succeeds();
        let mut config: Value =
            serde_json::from_str(&host.sh(&format!("cat {folder}/config.json")).stdout()).unwrap();
        config["process"]["terminal"] = json!(false);
        config["root"]["readonly"] = json!(false);
        config["process"]["args"] = json!(["sh", "-c", script]);
        let bundle = Bundle { host, folder, config };
        bundle.write();
        bundle
    }

    /// The same after a change of its configuration.
    #[track_caller]
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Value)) -> Bundle<'h> {
        change(&mut self.config);
        self.write();
        self
    }

    #[track_caller]
    pub(crate) fn write(&self) {
        let path = format!("{}/config.json", self.folder);
        self.host.sh(&format!("cat > {path}")).stdin(self.config.to_string()).run().succeeds();
    }

    /// `bulkhead oci run`.
    pub(crate) fn run(&self, flags: &str) -> Cmd {
        oci(self.host, &format!("run --bundle {} {flags} test", self.folder))
    }

    /// `bulkhead oci create` and `start`, of a container with this ID.
    #[track_caller]
    pub(crate) fn start(&self, id: &str) {
        self.create(id);
        oci(self.host, &format!("start {id}")).run().succeeds();
    }

    /// `bulkhead oci create`. Streams that a container keeps would keep the test waiting.
    #[track_caller]
    pub(crate) fn create(&self, id: &str) {
        let streams = "< /dev/null > /run/output 2>&1 || { cat /run/output >&2; exit 1; }";
        oci(self.host, &format!("create --bundle {} {id} {streams}", self.folder)).run().succeeds();
    }
}

/// A command of the runtime.
pub(crate) fn oci(host: &Host, words: &str) -> Cmd {
    host.sh(&format!("bulkhead oci {words}"))
}

/// A field of a container's state.
#[track_caller]
pub(crate) fn state(host: &Host, id: &str) -> Value {
    serde_json::from_str(&oci(host, &format!("state {id}")).stdout()).unwrap()
}

#[track_caller]
pub(crate) fn status(host: &Host, id: &str) -> String {
    state(host, id)["status"].as_str().unwrap().to_owned()
}

/// Waits until the container has this status.
#[track_caller]
pub(crate) fn await_status(host: &Host, id: &str, wanted: &str) {
    let mut seen = String::new();
    bulkhead_tests::wait::until(&format!("{id} is {wanted}"), || {
        let now = status(host, id);
        if !seen.ends_with(&now) {
            let _ = write!(seen, " {now}");
        }
        now == wanted
    });
}
