//! Did-you-mean for names. Docker's own line comes first and as it is, since scripts read it; the guess is a line after it.

use std::sync::OnceLock;

use bulkhead_engine::{Engine, Programs, Roots};

/// Where the engine is that the command is about.
static ROOTS: OnceLock<Roots> = OnceLock::new();

/// Says where names are looked up. Costs nothing until one is not found.
pub(crate) fn look_in(roots: &Roots) {
    // The first one counts; there is no other in one process.
    let _ = ROOTS.set(roots.clone());
}

/// The line to be added to "No such …: NAME"; nothing if nothing is alike, or nobody can be asked.
pub(crate) fn hint(kind: &str, name: &str) -> String {
    let names = || -> Option<Vec<String>> {
        let engine = Engine::open(ROOTS.get()?.clone(), Programs::beside_us().ok()?).ok()?;
        engine.names(kind).ok()
    };
    let found = names().and_then(|names| closest(name, &names));
    found.map_or_else(String::new, |found| format!("\n\nDid you mean {found}?"))
}

/// The name that is most like what was written, if it takes at most two changes of a letter, and fewer than there are
/// letters left.
fn closest(written: &str, names: &[String]) -> Option<String> {
    let bare = |name: &str| name.strip_suffix(":latest").unwrap_or(name).to_owned();
    let changes = |name: &String| strsim::damerau_levenshtein(&bare(written), &bare(name));
    let most = 2.min(written.chars().count().saturating_sub(1) / 2);
    let near = names.iter().map(|name| (changes(name), name)).filter(|(count, _)| (1..=most).contains(count));
    near.min().map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn only_what_is_alike_is_meant() {
        let names = ["web", "database", "busybox:latest"].map(str::to_owned);
        let is = |written: &str, meant: Option<&str>| {
            assert_eq!(closest(written, &names).as_deref(), meant, "{written}")
        };
        is("wbe", Some("web"));
        is("databsae", Some("database"));
        is("busibox", Some("busybox:latest"));
        is("busybix:latest", Some("busybox:latest"));
        is("db", None);
        is("we", None);
        is("", None);
        is("something", None);
    }
}
