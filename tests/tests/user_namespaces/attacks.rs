//! How an attack is tried: in each mode alike, and first where it works.

use bulkhead_tests::{Host, Output};

use crate::{Mode, both};

/// An attack from inside a container.
#[derive(Clone, Copy, Default)]
pub(crate) struct Attack<'a> {
    /// What the host does before each try.
    pub(crate) prepare: &'a str,
    /// What the container is started with.
    pub(crate) flags: &'a [&'a str],
    /// Its image; `busybox` if none is named.
    pub(crate) image: &'a str,
    /// What is tried inside. It prints `won` if that succeeded.
    pub(crate) script: &'a str,
    /// What then shows on the host whether it did: prints `won`.
    pub(crate) proof: &'a str,
}

impl Attack<'_> {
    /// Tries it in this mode. Gives whether it won, and what it said.
    #[track_caller]
    pub(crate) fn wins(&self, host: &Host, mode: Mode) -> (bool, Output) {
        let mode_flags = mode.on(host);
        host.sh(self.prepare).run().succeeds();
        let image = if self.image.is_empty() { "busybox" } else { self.image };
        let script = format!("{}\necho tried", self.script);
        let words = both(&both(&["run", "--rm"], self.flags), mode_flags);
        let output = host.bulkhead(words.into_iter().chain([image, "sh", "-c", &script])).run();
        // What could not even be tried shows nothing.
        output.succeeds().shows("tried");
        let proof = host.sh(self.proof).run().stdout();
        (output.stdout().contains("won") || proof.contains("won"), output)
    }

    /// It works with the host's IDs, and in no other mode.
    #[track_caller]
    pub(crate) fn holds(&self, host: &Host) {
        let (won, output) = self.wins(host, Mode::Host);
        assert!(won, "this attack does not bite: {output}");
        self.is_held(host);
    }

    /// It works in none of the modes that have IDs of their own: alone for what would harm the machine elsewhere.
    #[track_caller]
    pub(crate) fn is_held(&self, host: &Host) {
        for mode in Mode::OWN {
            let (won, output) = self.wins(host, mode);
            assert!(!won, "this attack works in mode {mode:?}: {output}");
        }
        Mode::Auto.on(host);
    }
}
