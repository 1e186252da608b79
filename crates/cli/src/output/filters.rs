//! `--filter key=value`. What the keys mean is the engine's ([`bulkhead_engine::filters`]).

use bulkhead_engine::filters::Filters;

use crate::failure::Failure;

/// Reads the values of `--filter`; a key's case and the spaces around both don't matter.
pub(crate) fn parse<T: AsRef<str>>(flags: &[T]) -> Result<Filters, Failure> {
    let mut filters = Filters::default();
    for flag in flags.iter().map(AsRef::as_ref).filter(|flag| !flag.is_empty()) {
        let (key, value) =
            flag.split_once('=').ok_or_else(|| Failure::new("bad format of filter (expected name=value)"))?;
        filters.add(&key.trim().to_lowercase(), value.trim());
    }
    Ok(filters)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn flags_become_values_by_key() {
        let filters = parse(&["status=exited", "STATUS = created ", "label=a=b", ""]).unwrap();
        assert_eq!(filters.get("status"), ["exited", "created"]);
        assert_eq!(filters.get("label"), ["a=b"]);
        assert!(filters.get("name").is_empty() && !filters.has("name") && !filters.is_empty());
        assert_eq!(parse(&["name"]).unwrap_err().message, "bad format of filter (expected name=value)");
    }
}
