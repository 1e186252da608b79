//! Splitting an instruction's words as a Dockerfile does: quotes and backslashes group, nothing is expanded.

/// The words of `text`, with quotes and escapes removed. `None` if a quote isn't closed.
pub(super) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            // A backslash is a letter like any other in single quotes; at the very end it stands for itself.
            (None | Some('"'), '\\') => word.get_or_insert_default().push(chars.next().unwrap_or('\\')),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// `NAME=VALUE …`, or the older form with one name and the rest of the line as its value.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let Some((name, value)) = text.split_once(char::is_whitespace) else {
            return Err("a name needs a value: NAME=VALUE".to_owned());
        };
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    let words = split(text).ok_or("a quote is not closed")?;
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err("a name is empty".to_owned()),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("\"{word}\" is not NAME=VALUE")),
        })
        .collect()
}

/// A JSON list of strings, if that is what `text` is.
pub(super) fn json_list(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_grouped_by_quotes_and_backslashes() {
        assert_eq!(split(r#" a "b c"'d e' f\ g "\"" '' "#).unwrap(), ["a", "b cd e", "f g", "\"", ""]);
        assert_eq!(split("\"a"), None);
        assert_eq!(split("").unwrap(), [""; 0]);
    }

    #[test]
    fn pairs_have_two_forms() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(pairs(r#"A=1 B="2 3""#).unwrap(), [pair("A", "1"), pair("B", "2 3")]);
        assert_eq!(pairs("A b c=d").unwrap(), [pair("A", "b c=d")]);
        assert!(pairs("A").is_err());
        assert!(pairs("A=1 B").is_err());
        assert!(pairs("=1").is_err());
    }
}
