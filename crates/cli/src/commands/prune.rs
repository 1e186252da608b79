//! What all `prune` commands share: what is said before and after.

use bulkhead_engine::commands::images::Removed;
use bulkhead_engine::filters::Filters;

/// The filters, as Docker names them in its question; nothing without any.
pub(super) fn in_words(filters: &Filters) -> Vec<String> {
    let one =
        |(key, values): (&str, &[String])| values.iter().map(|value| format!("{key}={value}")).collect();
    filters.iter().map(one).collect::<Vec<Vec<String>>>().concat()
}

/// Prints what went, if anything did.
pub(super) fn print_deleted(what: &str, names: &[String]) {
    if !names.is_empty() {
        println!("Deleted {what}:");
        names.iter().for_each(|name| println!("{name}"));
        println!();
    }
}

/// The same of images.
pub(super) fn print_deleted_images(removed: &[Removed]) {
    let line = |removed: &Removed| match removed {
        Removed::Untagged(name) => format!("untagged: {name}"),
        Removed::Deleted(id) => format!("deleted: {id}"),
    };
    print_deleted("Images", &removed.iter().map(line).collect::<Vec<_>>());
}
