//! What the script in a virtual machine says: lines that start with `@@` on its serial console (`report.sh` prints
//! them), between those of the kernel.

use std::io::Write;

/// What was heard from a machine.
#[derive(Debug)]
pub struct Report {
    /// The checks in their order: what was checked, and what was wrong about it.
    pub checks: Vec<(String, Option<String>)>,
    /// Whether the script came to its end, and counted as many checks as were heard.
    pub whole: bool,
    console: String,
}

impl Report {
    pub(super) fn read(console: &str) -> Self {
        let mut report = Self { checks: Vec::new(), whole: false, console: console.replace('\r', "") };
        for line in report.console.lines() {
            // The kernel may have written before it on the same line.
            let Some((_, line)) = line.split_once("@@ ") else { continue };
            if let Some(name) = line.strip_prefix("ok ") {
                report.checks.push((name.to_owned(), None));
            } else if let Some(rest) = line.strip_prefix("FAILED ") {
                let (name, why) = rest.split_once(" :: ").unwrap_or((rest, ""));
                report.checks.push((name.to_owned(), Some(why.to_owned())));
            } else if let Some(count) = line.strip_prefix("end ") {
                report.whole = count.trim().parse() == Ok(report.checks.len());
            }
        }
        report
    }

    /// Shows each check on a line of its own, past the test runner's capture, and panics unless all hold.
    ///
    /// # Panics
    /// With the failed checks and the end of the console.
    pub fn assert_all_hold(&self) {
        let mut lines = String::new();
        for (name, wrong) in &self.checks {
            match wrong {
                None => lines.push_str(&format!("  ok      {name}\n")),
                Some(why) => lines.push_str(&format!("  FAILED  {name}: {why}\n")),
            }
        }
        // The figures are for people; that they cannot be shown fails nothing.
        let _ = std::io::stderr().write_all(lines.as_bytes());
        let failed: Vec<&str> =
            self.checks.iter().filter(|(_, wrong)| wrong.is_some()).map(|(name, _)| name.as_str()).collect();
        if failed.is_empty() && self.whole && !self.checks.is_empty() {
            return;
        }
        let all: Vec<&str> = self.console.lines().collect();
        let tail = all[all.len().saturating_sub(80)..].join("\n");
        let why = if failed.is_empty() {
            "the script did not come to its end".to_owned()
        } else {
            format!("failed in the virtual machine: {}", failed.join(", "))
        };
        panic!("{why}; the end of its console:\n{tail}");
    }
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn checks_are_heard_and_a_script_that_stops_is_noticed() {
        let report = Report::read("[ 1.2] boot\r\n[ 2.0] x@@ ok one\r\n@@ FAILED two :: no\r\n@@ end 2\r\n");
        assert_eq!(report.checks, [("one".into(), None), ("two".into(), Some("no".into()))]);
        assert!(report.whole);
        assert!(!Report::read("@@ ok one\n").whole);
        assert!(!Report::read("@@ ok one\n@@ end 2\n").whole);
    }
}
