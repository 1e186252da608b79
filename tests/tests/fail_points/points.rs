//! The fail points that there are, as the sources have them: `fail::point("…")`, and each `trace.lap("…")`.

use std::path::{Path, PathBuf};

/// A place at which a process can die.
#[derive(Debug)]
pub(crate) struct Point {
    /// Its name.
    pub(crate) name: String,
    /// The file that has it, from `crates/` on.
    pub(crate) file: String,
}

impl Point {
    /// Whether who dies there is in the container already.
    pub(crate) fn is_inside(&self) -> bool {
        self.file.ends_with("isolation/src/child.rs")
    }
}

/// All, by file.
pub(crate) fn all() -> Vec<Point> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("crates");
    let mut found = Vec::new();
    for file in sources(&crates) {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(&crates).unwrap().to_str().unwrap().to_owned();
        // What stands behind the tests' line is not of the engine.
        let text = text.split("#[cfg(test)]").next().unwrap();
        for call in ["fail::point(\"", "trace.lap(\""] {
            for (at, _) in text.match_indices(call) {
                let line = text[..at].rsplit('\n').next().unwrap();
                if line.trim_start().starts_with("//") {
                    continue;
                }
                let rest = &text[at + call.len()..];
                let end = rest.find('"').unwrap();
                found.push(Point { name: rest[..end].to_owned(), file: name.clone() });
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found: {found:?}");
    found.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
    for pair in found.windows(2) {
        assert!(
            pair[0].name != pair[1].name || pair[0].file == pair[1].file,
            "two points are called {}",
            pair[0].name
        );
    }
    found.dedup_by(|a, b| a.name == b.name);
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("tests") {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
