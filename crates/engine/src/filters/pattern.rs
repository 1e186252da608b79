//! Patterns for names: regular expressions where Docker takes those (names of containers, volumes and networks), and Go's
//! `path.Match` where it takes that (`reference=` of images).

use regex_lite::Regex;

/// Whether the text is the pattern, or the regular expression `pattern` finds something in it. As with Docker, one that
/// cannot be read matches nothing. It takes no longer than the pattern's length times the text's.
pub fn matches(pattern: &str, text: &str) -> bool {
    pattern == text || Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
}

/// Go's `path.Match`: `*` and `?` stand for anything but a slash, `[a-z]` and `[^a]`
/// for one letter, and a backslash takes a letter as it is.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    // Where each star began last, and what it took: enough to go back, since only the last one can still change.
    let (mut at, mut pos) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let fits = match (pattern.get(at), text.get(pos)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((at + 1, pos));
                at += 1;
                continue;
            }
            (Some(_), Some(letter)) => one(pattern.get(at..).unwrap_or_default(), *letter),
            _ => None,
        };
        match (fits, star) {
            (Some(length), _) => {
                at += length;
                pos += 1;
            }
            // The star takes one letter more.
            (None, Some((after, from))) if text.get(from).is_some_and(|letter| *letter != b'/') => {
                star = Some((after, from + 1));
                (at, pos) = (after, from + 1);
            }
            (None, _) => return false,
        }
    }
}

/// How much of the pattern stands for this letter, if its beginning does.
fn one(pattern: &[u8], letter: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => (letter != b'/').then_some(1),
        [b'\\', exact, ..] => (*exact == letter).then_some(2),
        [b'[', rest @ ..] => {
            let (negated, set) = rest.strip_prefix(b"^").map_or((false, rest), |set| (true, set));
            let end = set.iter().position(|byte| *byte == b']').filter(|end| *end > 0)?;
            let mut found = false;
            let mut members = set.get(..end)?;
            while let [first, more @ ..] = members {
                (found, members) = match more {
                    [b'-', last, more @ ..] => (found || (*first..=*last).contains(&letter), more),
                    more => (found || *first == letter, more),
                };
            }
            (found != negated).then_some(1 + usize::from(negated) + end + 1)
        }
        [exact, ..] => (*exact == letter).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{glob, matches};
    use proptest::prelude::*;

    #[test]
    fn names_match_as_people_ask_for_them() {
        for (pattern, text, expected) in [
            ("web", "my-web-1", true),
            ("^web", "my-web-1", false),
            ("^web$", "web", true),
            ("^web$", "web1", false),
            ("b$", "web", true),
            ("^w.*1$", "web-1", true),
            ("^web$|^db$", "db", true),
            ("^(web|db)-[0-9]+$", "db-12", true),
            (r"a\.b", "axb", false),
            ("", "anything", true),
            ("a(b", "a(b", true),
            ("a(b", "xa(b", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn names_match_as_go_matches_paths() {
        for (pattern, text, expected) in [
            ("busy*", "busybox", true),
            ("busy*", "busybox:1", true),
            ("*box", "busybox", true),
            ("*box", "a/busybox", false),
            ("*/busy*:l*", "a/busybox:latest", true),
            ("b?sy[a-c]ox", "busybox", true),
            ("b?sy[^a-c]ox", "busybox", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("", "", true),
            ("*", "", true),
            ("[", "[", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXbd", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_contains_its_parts(before in "[a-z]{0,9}", part in "[a-z]{0,9}", after in "[a-z]{0,9}") {
            let text = format!("{before}{part}{after}");
            prop_assert!(matches(&part, &text));
            let (whole, star) = (format!("^{before}.*{after}$"), format!("{before}*{after}"));
            prop_assert!(matches(&whole, &text) && glob(star.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn no_pattern_breaks_it(pattern in ".{0,20}", text in ".{0,20}") {
            let _ = (matches(&pattern, &text), glob(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
