//! Annotations `org.systemd.property.NAME`: properties of the container's unit, as runc has them. A value is written as
//! GLib's text format for variants has it, of which these are read: truths, numbers, strings, each with its type before it
//! if it is not the usual one (`uint64 5`), and arrays of one kind (`['a', 'b']`, `@as []`).
//!
//! A name that ends in `Sec` is one of systemd's configuration files: what it counts in seconds the unit counts in
//! microseconds, by the name that ends in `USec`.

use std::collections::BTreeMap;

use zbus::wire::{Array, Signature, Variant};

use super::properties::Property;
use crate::error::{Error, Result};

/// What the names of these annotations begin with.
pub(crate) const PREFIX: &str = "org.systemd.property.";

/// The properties that annotations ask for.
///
/// # Errors
/// A name or a value that can be none.
pub(crate) fn read(annotations: &BTreeMap<String, String>) -> Result<Vec<Property>> {
    let asked = annotations.iter().filter_map(|(key, value)| Some((key, key.strip_prefix(PREFIX)?, value)));
    asked
        .map(|(key, name, value)| {
            property(name, value)
                .map_err(|why| Error::invalid(format!("config.json: annotations: {key}: {why}")))
        })
        .collect()
}

fn property(name: &str, value: &str) -> std::result::Result<Property, String> {
    if name.len() < 3 || !name.bytes().all(|letter| letter.is_ascii_alphabetic()) {
        return Err("a property's name is of letters, and of at least three".into());
    }
    let parsed = parse(value).ok_or_else(|| {
        format!("{value:?} is no value: write a number, true, false, 'text', uint64 5 or ['a', 'b']")
    })?;
    match name.strip_suffix("Sec") {
        Some(stem) if !name.ends_with("USec") => {
            Ok(Property::new(&format!("{stem}USec"), microseconds(&parsed)?))
        }
        _ => Ok(Property::new(name, parsed)),
    }
}

/// Seconds, as a unit counts them.
fn microseconds(seconds: &Variant<'_>) -> std::result::Result<Variant<'static>, String> {
    const MILLION: u64 = 1_000_000;
    let whole: Option<i128> = match seconds {
        Variant::U8(n) => Some((*n).into()),
        Variant::I16(n) => Some((*n).into()),
        Variant::U16(n) => Some((*n).into()),
        Variant::I32(n) => Some((*n).into()),
        Variant::U32(n) => Some((*n).into()),
        Variant::I64(n) => Some((*n).into()),
        Variant::U64(n) => Some((*n).into()),
        // Below this a double has every microsecond.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Variant::F64(n) if (0.0..1e9).contains(n) => return Ok(Variant::U64((*n * 1e6) as u64)),
        _ => None,
    };
    whole
        .and_then(|whole| u64::try_from(whole).ok())
        .and_then(|whole| whole.checked_mul(MILLION))
        .map(Variant::U64)
        .ok_or_else(|| "a time is a number of seconds, not below 0".into())
}

/// A value, or nothing if the text is none.
fn parse(text: &str) -> Option<Variant<'static>> {
    let mut reader = Reader { rest: text.trim() };
    let value = reader.value()?;
    reader.rest.trim().is_empty().then_some(value)
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn value(&mut self) -> Option<Variant<'static>> {
        self.blank();
        match self.rest.chars().next()? {
            '[' => self.array(None),
            '\'' | '"' => self.string().map(|text| Variant::Str(text.into())),
            '@' => {
                let signature = self.word().strip_prefix('@')?.to_owned();
                self.blank();
                match signature.strip_prefix('a') {
                    Some(element) => self.array(Some(element)),
                    None => self.typed(&signature),
                }
            }
            _ => {
                let word = self.word();
                match word {
                    "true" => Some(Variant::Bool(true)),
                    "false" => Some(Variant::Bool(false)),
                    _ => match signature_of(word) {
                        Some(signature) => {
                            self.blank();
                            self.typed(signature)
                        }
                        None if word.contains(['.', 'e', 'E']) && !word.starts_with("0x") => {
                            number(word, "d")
                        }
                        None => number(word, "i"),
                    },
                }
            }
        }
    }

    /// A value whose type was said.
    fn typed(&mut self, signature: &str) -> Option<Variant<'static>> {
        match signature {
            "s" => self.string().map(|text| Variant::Str(text.into())),
            "o" => self.string().and_then(|text| Some(Variant::ObjectPath(text.try_into().ok()?))),
            "g" => self.string().and_then(|text| Some(Variant::Signature(text.as_str().try_into().ok()?))),
            "b" => match self.word() {
                "true" => Some(Variant::Bool(true)),
                "false" => Some(Variant::Bool(false)),
                _ => None,
            },
            _ => number(self.word(), signature),
        }
    }

    /// An array; of elements of this type if it was said, otherwise of the first one's.
    fn array(&mut self, element: Option<&str>) -> Option<Variant<'static>> {
        self.rest = self.rest.strip_prefix('[')?;
        let mut elements: Vec<Variant<'static>> = Vec::new();
        loop {
            self.blank();
            if let Some(rest) = self.rest.strip_prefix(']') {
                self.rest = rest;
                break;
            }
            if !elements.is_empty() {
                self.rest = self.rest.strip_prefix(',')?;
                self.blank();
            }
            // Arrays in arrays are no property's.
            if self.rest.starts_with('[') {
                return None;
            }
            elements.push(match element {
                Some(signature) => self.typed(signature)?,
                None => self.value()?,
            });
        }
        let signature = match (element, elements.first()) {
            (Some(signature), _) => Signature::try_from(signature).ok()?,
            (None, Some(first)) => first.value_signature().clone(),
            (None, None) => return None,
        };
        let mut array = Array::new(&signature);
        elements.into_iter().try_for_each(|element| array.append(element)).ok()?;
        Some(Variant::Array(array))
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.rest.chars().next().filter(|letter| "'\"".contains(*letter))?;
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => text.push(match letters.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    other if "'\"\\".contains(other) => other,
                    _ => return None,
                }),
                '\0' => return None,
                _ if letter == quote => {
                    self.rest = self.rest.get(at + 1..)?;
                    return Some(text);
                }
                _ => text.push(letter),
            }
        }
        None
    }

    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn word(&mut self) -> &'t str {
        let ends = |letter: char| letter.is_whitespace() || ",]['\"".contains(letter);
        let (word, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }
}

/// A type's letter, by its word.
fn signature_of(word: &str) -> Option<&'static str> {
    Some(match word {
        "boolean" => "b",
        "byte" => "y",
        "int16" => "n",
        "uint16" => "q",
        "int32" => "i",
        "uint32" => "u",
        "int64" => "x",
        "uint64" => "t",
        "double" => "d",
        "string" => "s",
        "objectpath" => "o",
        "signature" => "g",
        _ => return None,
    })
}

fn number(word: &str, signature: &str) -> Option<Variant<'static>> {
    if signature == "d" {
        return word.parse().ok().filter(|number: &f64| number.is_finite()).map(Variant::F64);
    }
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let (digits, radix) = match digits.strip_prefix("0x") {
        Some(rest) => (rest, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return None;
    }
    let size = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let number = if negative { -size } else { size };
    Some(match signature {
        "y" => Variant::U8(number.try_into().ok()?),
        "n" => Variant::I16(number.try_into().ok()?),
        "q" => Variant::U16(number.try_into().ok()?),
        "i" => Variant::I32(number.try_into().ok()?),
        "u" => Variant::U32(number.try_into().ok()?),
        "x" => Variant::I64(number.try_into().ok()?),
        "t" => Variant::U64(number.try_into().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{parse, property};
    use proptest::prelude::*;
    use zbus::wire::Variant;

    #[test]
    fn values_have_the_types_that_they_say() {
        for (text, signature) in [
            ("true", "b"),
            ("5", "i"),
            ("-0x10", "i"),
            ("1.5", "d"),
            ("uint64 123456789", "t"),
            ("@t 5", "t"),
            ("byte 255", "y"),
            ("'inactive-or-failed'", "s"),
            ("\"it's\"", "s"),
            ("string 'x'", "s"),
            ("objectpath '/a/b'", "o"),
            ("['a', \"b\"]", "as"),
            ("@as []", "as"),
            ("@ay [1, 2]", "ay"),
            ("[uint32 1,uint32 2]", "au"),
            (" [ 1 ] ", "ai"),
        ] {
            let value = parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(value.value_signature().to_string(), signature, "{text}");
        }
        assert_eq!(parse(r"'a\'b'"), Some(Variant::Str("a'b".into())));
        for bad in [
            "",
            "x",
            "'",
            "'a",
            "[",
            "[1",
            "[1 2]",
            "[1,'a']",
            "[]",
            "5 6",
            "uint64",
            "uint64 -1",
            "byte 256",
            "99999999999",
            "@",
            "@as",
            "@as [1]",
            "1e999",
            "[[1]]",
            "objectpath 'x'",
            "(1, 2)",
            "nan",
            "0x",
            "--1",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn seconds_become_microseconds() {
        let value =
            |name: &str, text: &str| property(name, text).map(|property| (property.name, property.value));
        let stop = |n: u64| Ok(("TimeoutStopUSec".to_owned(), Variant::U64(n)));
        assert_eq!(value("TimeoutStopSec", "5"), stop(5_000_000));
        assert_eq!(value("TimeoutStopSec", "0.25"), stop(250_000));
        assert_eq!(value("TimeoutStopUSec", "uint64 7"), stop(7));
        assert!(value("TimeoutStopSec", "-1").is_err());
        assert!(value("TimeoutStopSec", "'5'").is_err());
        assert!(value("ab", "1").is_err() && value("a.b.c", "1").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}|[\\[\\]'\"@\\\\,a-z0-9 .-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
