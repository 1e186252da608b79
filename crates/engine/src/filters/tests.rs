//! What filters have in common.

use std::collections::HashMap;

use super::{FilterError, Filters};

fn filters(pairs: &[(&str, &str)]) -> Filters {
    let mut all = Filters::default();
    pairs.iter().for_each(|(key, value)| all.add(key, value));
    all
}

#[test]
fn unknown_filters_are_refused() {
    let mut asked = filters(&[("nmae", "x")]);
    assert_eq!(asked.only(&["name"]).unwrap_err().to_string(), "invalid filter 'nmae'");
    assert_eq!(asked.only(&["nmae", "name"]), Ok(()));
    // Also one that has no value, which refuses nothing.
    asked.name("colour");
    assert_eq!(asked.only(&["nmae"]), Err(FilterError::Unknown("colour".into())));
    assert!(!asked.has("colour") && asked.exact("colour", "anything") && !asked.is_empty());
}

#[test]
fn values_of_a_key_widen_and_labels_narrow() {
    let asked =
        filters(&[("id", "ab"), ("id", "^cd"), ("status", "exited"), ("label", "a"), ("label", "b=1")]);
    assert!(asked.prefix("id", "cdef") && asked.prefix("id", "abef") && !asked.prefix("id", "xab"));
    assert!(asked.exact("status", "exited") && !asked.exact("status", "exite"));
    assert!(asked.exact("volume", "anything"), "a filter that was not given refuses nothing");
    let of = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    assert!(asked.labels("label", &of(&[("a", ""), ("b", "1")])));
    assert!(!asked.labels("label", &of(&[("a", "")])));
    assert!(!asked.labels("label", &of(&[("a", ""), ("b", "2")])));
    assert!(asked.any_label("label", &of(&[("a", "")])) && !asked.any_label("label", &of(&[("c", "")])));
}

#[test]
fn a_truth_is_one() {
    let truth = |values: &[&str]| {
        let mut asked = Filters::default();
        values.iter().for_each(|value| asked.add("dangling", value));
        asked.truth("dangling")
    };
    assert_eq!(truth(&[]), Ok(None));
    assert_eq!(truth(&["true", "1"]), Ok(Some(true)));
    assert_eq!(truth(&["0"]), Ok(Some(false)));
    assert_eq!(truth(&["yes"]).unwrap_err().to_string(), "invalid filter 'dangling=[yes]'");
    assert!(truth(&["true", "false"]).is_err());
}

#[test]
fn a_moment_is_one() {
    assert_eq!(filters(&[("until", "1700000000")]).moment("until"), Ok(Some(1_700_000_000)));
    assert_eq!(filters(&[]).moment("until"), Ok(None));
    let several = filters(&[("until", "1"), ("until", "2")]).moment("until").unwrap_err();
    assert!(several.to_string().contains("more than one until filter specified"));
    let none = filters(&[("until", "yesterday")]).moment("until").unwrap_err();
    assert!(none.to_string().contains("failed to parse value as time or duration"), "{none}");
}
