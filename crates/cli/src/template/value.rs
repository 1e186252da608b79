//! JSON values as Go prints them: what `{{.}}` shows, and what `{{json .}}` shows.
//!
//! Go's `%v` (<https://pkg.go.dev/fmt>) writes `map[a:1 b:2]` with its keys sorted, `[a b]`, `<nil>`; numbers in the
//! shortest form that reads back. Scripts parse these, so they are kept to the byte.

use std::io;

use serde::Serialize;
use serde_json::{Number, Value};

/// A value as `%v` prints it.
pub(super) fn display(value: &Value) -> String {
    let mut out = String::new();
    write_display(&mut out, value);
    out
}

fn write_display(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&display_number(number)),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                write_display(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push_str("map[");
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                write_display(out, item);
            }
            out.push(']');
        }
    }
}

fn display_number(number: &Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => float(value, 21, 2),
        _ => number.to_string(),
    }
}

/// The shortest form of a float, with an exponent (of at least `digits` digits) below 1e-4 and from 10^`large` on.
fn float(value: f64, large: i32, digits: usize) -> String {
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return value.to_string() };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let small = if digits == 1 { -6 } else { -4 };
    if value != 0.0 && (exponent < small || exponent >= large) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:0digits$}", exponent.unsigned_abs());
    }
    value.to_string()
}

/// A float as `%v` and `%g` print it.
pub(super) fn display_float(value: f64) -> String {
    float(value, 21, 2)
}

/// Text between quotes, as Go's `%q` writes it.
pub(super) fn quote(text: &str) -> String {
    quote_with(text, '"')
}

/// A character between single quotes, as Go's `%q` writes an integer.
pub(super) fn quote_char(c: char) -> String {
    quote_with(c.encode_utf8(&mut [0; 4]), '\'')
}

fn quote_with(text: &str, mark: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if c == mark => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_ascii() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            // Rust escapes what cannot be printed; of the rest only combining marks differ from Go.
            c if c.escape_debug().len() > 1 && u32::from(c) > 0xffff => {
                out.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c if c.escape_debug().len() > 1 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(mark);
    out
}

/// A value as compact JSON in the spelling of Go's `encoding/json`.
///
/// With `escape_html`, `<`, `>` and `&` are written as `\u003c` and so on: that is how Docker prints a whole row
/// (`{{json .}}` in `ps`), while a single field (`{{json .Ports}}`) is left readable.
///
/// # Errors
/// The value cannot be JSON: a map whose keys are no strings, or its own `Serialize` fails.
pub fn json(value: &impl Serialize, escape_html: bool) -> Result<String, serde_json::Error> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, GoJson { escape_html });
    value.serialize(&mut serializer)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

struct GoJson {
    escape_html: bool,
}

impl serde_json::ser::Formatter for GoJson {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(float(value, 21, 1).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        for c in text.chars() {
            match c {
                '<' | '>' | '&' if self.escape_html => write!(writer, "\\u{:04x}", u32::from(c))?,
                '\u{2028}' | '\u{2029}' => write!(writer, "\\u{:04x}", u32::from(c))?,
                _ => writer.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{display, json, quote};
    use serde_json::json;

    #[test]
    fn values_print_as_go_prints_them() {
        for (value, text) in [
            (json!({"b": 2, "a": [1, "x", null, true, 1.5]}), "map[a:[1 x <nil> true 1.5] b:2]"),
            (json!({}), "map[]"),
            (json!([]), "[]"),
            (json!(1e21), "1e+21"),
            (json!(1e20), "100000000000000000000"),
            (json!(0.00001), "1e-05"),
            (json!(3.0), "3"),
            (json!(18446744073709551615u64), "18446744073709551615"),
        ] {
            assert_eq!(display(&value), text);
        }
    }

    #[test]
    fn json_is_spelt_as_go_spells_it() {
        assert_eq!(
            json(&json!({"a": "<b>&\u{2028}", "f": 2.0}), false).unwrap(),
            "{\"a\":\"<b>&\\u2028\",\"f\":2}"
        );
        assert_eq!(json(&json!("<b>&"), true).unwrap(), r#""\u003cb\u003e\u0026""#);
        assert_eq!(json(&json!(1e-7), false).unwrap(), "1e-7");
    }

    #[test]
    fn quoting_escapes_what_cannot_be_printed() {
        assert_eq!(quote("a\"\\\t\u{1}é\u{200b}…"), "\"a\\\"\\\\\\t\\x01é\\u200b…\"");
    }
}
