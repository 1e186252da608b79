//! `?filters=`: JSON, `{"status":["exited"]}`, or as old clients say it, `{"status":{"exited":true}}`. What the keys mean
//! is the engine's ([`bulkhead_engine::filters`]).

use std::collections::BTreeMap;

use bulkhead_engine::filters::Filters;
use serde::Deserialize;

/// The values of a key.
#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    List(Vec<String>),
    /// Docker's own client says so.
    Set(BTreeMap<String, bool>),
}

/// Filters that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("invalid filters: {0}")]
pub struct InvalidFilters(String);

/// Reads them; nothing at all is none.
///
/// # Errors
/// What is not of one of the two forms. Nothing is guessed: a filter that is left out would widen what `prune` removes.
pub fn parse(text: Option<&str>) -> Result<Filters, InvalidFilters> {
    let mut filters = Filters::default();
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(filters) };
    let read: BTreeMap<String, Values> =
        serde_json::from_str(text).map_err(|error| InvalidFilters(error.to_string()))?;
    for (key, values) in read {
        filters.name(&key);
        match values {
            Values::List(values) => values.iter().for_each(|value| filters.add(&key, value)),
            Values::Set(values) => {
                for (value, given) in values {
                    if !given {
                        return Err(InvalidFilters(format!(
                            "the value of {value:?} of {key:?} must be true"
                        )));
                    }
                    filters.add(&key, &value);
                }
            }
        }
    }
    Ok(filters)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::parse;

    #[test]
    fn both_forms_are_read() {
        for text in [
            r#"{"label":["a","b=1"],"status":["exited"]}"#,
            r#"{"label":{"a":true,"b=1":true},"status":{"exited":true}}"#,
            r#"{"label":["a","b=1"],"status":{"exited":true}}"#,
        ] {
            let filters = parse(Some(text)).unwrap();
            assert_eq!(filters.get("label"), ["a", "b=1"], "{text}");
            assert_eq!(filters.get("status"), ["exited"], "{text}");
        }
        for nothing in [None, Some(""), Some("{}")] {
            assert!(parse(nothing).unwrap().is_empty(), "{nothing:?}");
        }
        // A key alone asks for nothing, but must be one that there is.
        let named = parse(Some(r#"{"colour":[]}"#)).unwrap();
        assert!(!named.has("colour") && named.only(&["label"]).is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "x",
            "[]",
            "7",
            "{",
            r#"{"a":"b"}"#,
            r#"{"a":[1]}"#,
            r#"{"a":{"b":false}}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":null}"#,
            r#"{"a":["b"]} {}"#,
            r#"["a"]"#,
        ] {
            let why = parse(Some(text)).unwrap_err().to_string();
            assert!(why.starts_with("invalid filters: "), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in ".{0,40}", like_json in r#"[{}\[\]":,a-c0-9tru ]{0,40}"#) {
            let _ = (parse(Some(&text)), parse(Some(&like_json)));
        }

        #[test]
        fn what_is_said_is_read(
            said in proptest::collection::btree_map(".{1,8}", proptest::collection::btree_set(".{0,8}", 0..4), 0..4)
        ) {
            let old: BTreeMap<&String, BTreeMap<&String, bool>> =
                said.iter().map(|(key, values)| (key, values.iter().map(|value| (value, true)).collect())).collect();
            for text in [serde_json::to_string(&said).unwrap(), serde_json::to_string(&old).unwrap()] {
                let read = parse(Some(&text)).unwrap();
                for (key, values) in &said {
                    let got: BTreeSet<String> = read.get(key).iter().cloned().collect();
                    prop_assert_eq!(&got, values);
                }
                prop_assert_eq!(read.iter().count(), said.len());
            }
        }
    }
}
