//! `--filter key=value`: what was asked for, and whether a thing has it.
//!
//! Several values of one key widen (`status=exited` or `status=created`), several keys narrow; only labels narrow
//! among themselves. That is Docker's rule (<https://docs.docker.com/engine/cli/filter/>).

use std::collections::BTreeMap;

/// A filter that cannot be used, in Docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// There is no `=`.
    #[error("bad format of filter (expected name=value)")]
    Form,
    /// No filter of that name.
    #[error("invalid filter '{0}'")]
    Unknown(String),
    /// A value that this filter doesn't take.
    #[error("invalid filter '{key}=[{value}]'")]
    Value {
        /// The filter.
        key: String,
        /// Its values.
        value: String,
    },
}

/// Filters by name, each with the values asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    values: BTreeMap<String, Vec<String>>,
}

impl Filters {
    /// Reads the values of `--filter`, each `key=value`; a key's case and the spaces around both don't matter.
    ///
    /// # Errors
    /// [`FilterError::Form`].
    pub fn parse<T: AsRef<str>>(flags: &[T]) -> Result<Self, FilterError> {
        let mut filters = Self::default();
        for flag in flags.iter().map(AsRef::as_ref).filter(|flag| !flag.is_empty()) {
            let (key, value) = flag.split_once('=').ok_or(FilterError::Form)?;
            filters.add(&key.trim().to_lowercase(), value.trim());
        }
        Ok(filters)
    }

    /// Adds a value.
    pub fn add(&mut self, key: &str, value: &str) {
        let values = self.values.entry(key.to_owned()).or_default();
        if !values.iter().any(|known| known == value) {
            values.push(value.to_owned());
        }
    }

    /// Refuses every filter but these.
    ///
    /// # Errors
    /// [`FilterError::Unknown`]: a mistyped filter must not widen what `prune` removes.
    pub fn only(&self, known: &[&str]) -> Result<(), FilterError> {
        match self.values.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(FilterError::Unknown(key.clone())),
            None => Ok(()),
        }
    }

    /// Is nothing asked for?
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Is something asked of this filter?
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The values asked of a filter, none if it was not given.
    pub fn get(&self, key: &str) -> &[String] {
        self.values.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// All filters and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.values.iter().map(|(key, values)| (key.as_str(), values.as_slice()))
    }

    /// Does one of the values satisfy `test`? True if the filter was not given.
    pub fn any(&self, key: &str, test: impl FnMut(&String) -> bool) -> bool {
        !self.has(key) || self.get(key).iter().any(test)
    }

    /// Is `text` one of the values?
    pub fn exact(&self, key: &str, text: &str) -> bool {
        self.any(key, |value| value == text)
    }

    /// Does `text` begin with one of the values? So IDs are asked for.
    pub fn prefix(&self, key: &str, text: &str) -> bool {
        self.any(key, |value| text.starts_with(value.as_str()))
    }

    /// Does `text` have one of the values in it? So names are asked for; see [`pattern_matches`].
    pub fn contains(&self, key: &str, text: &str) -> bool {
        self.any(key, |value| pattern_matches(value, text))
    }

    /// Do the labels satisfy all the values, `name` or `name=value`?
    pub fn labels(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        self.get(key).iter().all(|wanted| match wanted.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
            None => labels.contains_key(wanted),
        })
    }

    /// Does one of the labels satisfy one of the values? So labels are asked for that must not be there.
    pub fn any_label(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        self.get(key).iter().any(|unwanted| match unwanted.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
            None => labels.contains_key(unwanted),
        })
    }

    /// The one truth asked for (`true`, `1`, `false`, `0`), `None` if the filter was not given.
    ///
    /// # Errors
    /// [`FilterError::Value`]: another value, or both truths.
    pub fn truth(&self, key: &str) -> Result<Option<bool>, FilterError> {
        let truths: Option<Vec<bool>> = self
            .get(key)
            .iter()
            .map(|value| match value.as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            })
            .collect();
        match truths.as_deref() {
            Some([]) => Ok(None),
            Some([first, others @ ..]) if others.iter().all(|other| other == first) => Ok(Some(*first)),
            _ => Err(FilterError::Value { key: key.to_owned(), value: self.get(key).join(" ") }),
        }
    }
}

/// Is `pattern` found in `text`? Docker takes regular expressions here; of these we take what people write for
/// names: `^` and `$`, `.`, `*`, `+`, `?`, `\` and alternatives (`^web$|^db$`). Brackets and groups stand for
/// themselves.
pub fn pattern_matches(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    pattern.split('|').any(|alternative| {
        let (anchored, body) =
            alternative.strip_prefix('^').map_or((false, alternative), |body| (true, body));
        let (atoms, at_end) = atoms(body);
        let starts = if anchored { 0..=0 } else { 0..=text.len() };
        let mut places: Vec<usize> = starts.collect();
        for atom in &atoms {
            places = atom.advance(&places, &text);
        }
        places.iter().any(|place| !at_end || *place == text.len())
    })
}

/// One character of a pattern, and how often it may stand.
struct Atom {
    /// `None` is any character.
    wanted: Option<char>,
    once: bool,
    more: bool,
}

/// A pattern's parts, and whether it must reach the end.
fn atoms(body: &str) -> (Vec<Atom>, bool) {
    let mut atoms: Vec<Atom> = Vec::new();
    let mut chars = body.chars().peekable();
    while let Some(c) = chars.next() {
        let wanted = match c {
            '$' if chars.peek().is_none() => return (atoms, true),
            '.' => None,
            '\\' => Some(chars.next().unwrap_or('\\')),
            _ => Some(c),
        };
        let (once, more) = match chars.peek() {
            Some('*') => (false, true),
            Some('+') => (true, true),
            Some('?') => (false, false),
            _ => {
                atoms.push(Atom { wanted, once: true, more: false });
                continue;
            }
        };
        chars.next();
        atoms.push(Atom { wanted, once, more });
    }
    (atoms, false)
}

impl Atom {
    /// Where a match may be after this atom if it may be at `places` before. All places at once, so that no pattern
    /// takes longer than its length times the text's.
    fn advance(&self, places: &[usize], text: &[char]) -> Vec<usize> {
        let fits =
            |place: usize| text.get(place).is_some_and(|c| self.wanted.is_none_or(|wanted| wanted == *c));
        let mut reached = vec![false; text.len() + 1];
        let mut reach = |place: usize| {
            if let Some(slot) = reached.get_mut(place) {
                *slot = true;
            }
        };
        // How far runs of this atom have been followed. Places come in order, so a place before that lies in a run
        // that is known already.
        let mut followed = 0;
        for &start in places {
            if !self.once {
                reach(start);
            }
            let mut place = start;
            while place >= followed && fits(place) {
                place += 1;
                reach(place);
                if !self.more {
                    break;
                }
            }
            if self.more {
                followed = followed.max(place);
            }
        }
        reached.iter().enumerate().filter(|(_, reached)| **reached).map(|(place, _)| place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{FilterError, Filters, pattern_matches};
    use proptest::prelude::*;

    #[test]
    fn flags_become_values_by_key() {
        let filters = Filters::parse(&["status=exited", "STATUS = created ", "label=a=b", ""]).unwrap();
        assert_eq!(filters.get("status"), ["exited", "created"]);
        assert_eq!(filters.get("label"), ["a=b"]);
        assert!(filters.get("name").is_empty() && !filters.has("name") && !filters.is_empty());
        assert_eq!(Filters::parse(&["name"]), Err(FilterError::Form));
        assert_eq!(FilterError::Form.to_string(), "bad format of filter (expected name=value)");
    }

    #[test]
    fn unknown_filters_are_refused() {
        let filters = Filters::parse(&["nmae=x"]).unwrap();
        assert_eq!(filters.only(&["name"]).unwrap_err().to_string(), "invalid filter 'nmae'");
        assert_eq!(filters.only(&["nmae", "name"]), Ok(()));
    }

    #[test]
    fn values_of_a_key_widen_and_labels_narrow() {
        let filters = Filters::parse(&["id=ab", "id=cd", "status=exited", "label=a", "label=b=1"]).unwrap();
        assert!(filters.prefix("id", "cdef") && filters.prefix("id", "abef") && !filters.prefix("id", "xab"));
        assert!(filters.exact("status", "exited") && !filters.exact("status", "exite"));
        assert!(filters.exact("volume", "anything"), "a filter that was not given refuses nothing");
        let labels = |pairs: &[(&str, &str)]| {
            filters.labels("label", &pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        assert!(labels(&[("a", ""), ("b", "1")]));
        assert!(!labels(&[("a", "")]) && !labels(&[("a", ""), ("b", "2")]));
    }

    #[test]
    fn a_truth_is_one() {
        let truth = |flags: &[&str]| Filters::parse(flags).unwrap().truth("dangling");
        assert_eq!(truth(&[]), Ok(None));
        assert_eq!(truth(&["dangling=true", "dangling=1"]), Ok(Some(true)));
        assert_eq!(truth(&["dangling=0"]), Ok(Some(false)));
        assert_eq!(truth(&["dangling=yes"]).unwrap_err().to_string(), "invalid filter 'dangling=[yes]'");
        assert!(truth(&["dangling=true", "dangling=false"]).is_err());
    }

    #[test]
    fn names_match_as_people_ask_for_them() {
        for (pattern, text, expected) in [
            ("web", "my-web-1", true),
            ("^web", "my-web-1", false),
            ("^web$", "web", true),
            ("^web$", "web1", false),
            ("b$", "web", true),
            ("^w.b$", "web", true),
            ("^w.*1$", "web-1", true),
            ("^we+b$", "weeeb", true),
            ("^we+b$", "wb", false),
            ("^we?b$", "wb", true),
            ("^web$|^db$", "db", true),
            (r"a\.b", "a.b", true),
            (r"a\.b", "axb", false),
            ("", "anything", true),
            ("a$b", "a$b", true),
        ] {
            assert_eq!(pattern_matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_contains_its_parts(before in "[a-z]{0,9}", part in "[a-z]{0,9}", after in "[a-z]{0,9}") {
            let text = format!("{before}{part}{after}");
            prop_assert!(pattern_matches(&part, &text));
            let whole = format!("^{}.*{}$", before, after);
            prop_assert!(pattern_matches(&whole, &text));
        }

        #[test]
        fn repeats_match_what_they_say(letters in "[ab]{0,8}") {
            let only_a = !letters.contains('b');
            prop_assert_eq!(pattern_matches("^a*$", &letters), only_a);
            prop_assert_eq!(pattern_matches("^a+$", &letters), only_a && !letters.is_empty());
            prop_assert_eq!(pattern_matches("^a*b*$", &letters), !letters.contains("ba"));
        }

        #[test]
        fn no_pattern_panics(pattern in ".{0,20}", text in ".{0,20}") {
            let _ = pattern_matches(&pattern, &text);
        }
    }
}
