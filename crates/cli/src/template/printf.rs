//! Go's `printf` over JSON values (<https://pkg.go.dev/fmt>): the verbs `v s q d x X t c U b o e f g T`, the flags
//! `+ - # space 0`, width and precision, `*` among them, and Go's notes about mistakes (`%!d(string=hi)`).

use serde_json::Value;

use super::functions::MAX_TEXT;
use super::value::{display, display_float, quote, quote_char};

/// No field is wider; Go has the same bound, and it keeps a short template from asking for gigabytes.
const MAX_WIDTH: usize = 1_000_000;

#[derive(Clone, Copy, Default)]
struct Spec {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Formats `args` as `format` says, as Go's `fmt.Sprintf` would; mistakes are noted in the text.
pub fn sprintf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut used = 0;
    let mut rest = format;
    while let Some((text, after)) = rest.split_once('%') {
        out.push_str(text);
        let mut spec = Spec::default();
        let after = flags(after, &mut spec);
        let after = size(after, args, &mut used, &mut out, &mut spec);
        let mut chars = after.chars();
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match args.get(used) {
                Some(arg) => {
                    used += 1;
                    // `%+v` asks for field names, not for signs.
                    spec.plus &= verb != 'v';
                    write_arg(&mut out, verb, &spec, arg);
                }
                None => out.push_str(&format!("%!{verb}(MISSING)")),
            },
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    if let Some(extra) = args.get(used..).filter(|extra| !extra.is_empty()) {
        let extra: Vec<_> = extra.iter().map(with_type).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn flags<'f>(mut text: &'f str, spec: &mut Spec) -> &'f str {
    loop {
        let mut chars = text.chars();
        match chars.next() {
            Some('+') => spec.plus = true,
            Some('-') => spec.minus = true,
            Some('#') => spec.sharp = true,
            Some(' ') => spec.space = true,
            Some('0') => spec.zero = true,
            _ => return text,
        }
        text = chars.as_str();
    }
}

/// Width and precision.
fn size<'f>(text: &'f str, args: &[Value], used: &mut usize, out: &mut String, spec: &mut Spec) -> &'f str {
    let mut number = |text: &'f str, what: &str| -> (Option<i64>, &'f str) {
        if let Some(rest) = text.strip_prefix('*') {
            let value = args.get(*used).and_then(Value::as_i64);
            *used += 1;
            let value =
                value.filter(|value| usize::try_from(value.unsigned_abs()).is_ok_and(|v| v <= MAX_WIDTH));
            if value.is_none() {
                out.push_str(&format!("%!(BAD{what})"));
            }
            return (value, rest);
        }
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, rest) = text.split_at(end);
        (digits.parse().ok().filter(|value| usize::try_from(*value).is_ok_and(|v| v <= MAX_WIDTH)), rest)
    };
    let (width, mut text) = number(text, "WIDTH");
    spec.minus |= width.is_some_and(|width| width < 0);
    spec.width = width.and_then(|width| usize::try_from(width.unsigned_abs()).ok());
    if let Some(rest) = text.strip_prefix('.') {
        let (precision, rest) = number(rest, "PREC");
        spec.precision = Some(precision.and_then(|value| usize::try_from(value).ok()).unwrap_or(0));
        text = rest;
    }
    text
}

/// One argument; lists and maps apply the verb to each of their parts.
fn write_arg(out: &mut String, verb: char, spec: &Spec, arg: &Value) {
    match arg {
        _ if verb == 'T' => write_string(out, 's', spec, go_type(arg)),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                write_part(out, verb, spec, item);
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
                write_arg(out, verb, spec, &Value::String(key.clone()));
                out.push(':');
                write_part(out, verb, spec, item);
            }
            out.push(']');
        }
        Value::Null if verb == 'v' => pad(out, spec, "<nil>"),
        Value::Null => out.push_str(&format!("%!{verb}(<nil>)")),
        Value::Bool(value) if matches!(verb, 'v' | 't') => {
            pad(out, spec, if *value { "true" } else { "false" })
        }
        Value::String(text) => write_string(out, verb, spec, text),
        Value::Number(number) => {
            let done = match number.as_i128() {
                Some(value) => write_integer(out, verb, spec, value),
                None => write_float(out, verb, spec, number.as_f64().unwrap_or_default()),
            };
            if !done {
                bad_verb(out, verb, spec, arg);
            }
        }
        Value::Bool(_) => bad_verb(out, verb, spec, arg),
    }
}

/// An item of a list or map: there nil is no mistake.
fn write_part(out: &mut String, verb: char, spec: &Spec, item: &Value) {
    match item {
        Value::Null => out.push_str("<nil>"),
        _ => write_arg(out, verb, spec, item),
    }
}

fn write_string(out: &mut String, verb: char, spec: &Spec, text: &str) {
    let cut: String = match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    match verb {
        'v' if spec.sharp => pad(out, spec, &quote(&cut)),
        'v' | 's' => pad(out, spec, &cut),
        'q' if spec.sharp && !cut.contains('`') && !cut.chars().any(|c| c.is_control() && c != '\t') => {
            pad(out, spec, &format!("`{cut}`"));
        }
        'q' => pad(out, spec, &quote(&cut)),
        'x' | 'X' => {
            let bytes = text.bytes().take(spec.precision.unwrap_or(usize::MAX));
            let digit = |byte: u8| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") };
            let separator = if spec.space { " " } else { "" };
            let joined = bytes.map(digit).collect::<Vec<_>>().join(separator);
            let prefix = if spec.sharp && !joined.is_empty() { format!("0{verb}") } else { String::new() };
            pad(out, spec, &(prefix + &joined));
        }
        _ => bad_verb(out, verb, spec, &Value::String(text.to_owned())),
    }
}

fn write_integer(out: &mut String, verb: char, spec: &Spec, value: i128) -> bool {
    let magnitude = value.unsigned_abs();
    let (prefix, digits) = match verb {
        'v' | 'd' => ("", magnitude.to_string()),
        'b' => ("0b", format!("{magnitude:b}")),
        'o' => ("0", format!("{magnitude:o}")),
        'O' => ("0o", format!("{magnitude:o}")),
        'x' => ("0x", format!("{magnitude:x}")),
        'X' => ("0X", format!("{magnitude:X}")),
        'c' | 'q' | 'U' => {
            let c = u32::try_from(value).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
            match verb {
                'c' => pad(out, spec, c.encode_utf8(&mut [0; 4])),
                'q' => pad(out, spec, &quote_char(c)),
                _ => pad(out, spec, &format!("U+{magnitude:04X}")),
            }
            return true;
        }
        _ => return false,
    };
    let prefix = if spec.sharp || verb == 'O' { prefix } else { "" };
    let digits = match spec.precision {
        Some(0) if value == 0 => String::new(),
        Some(precision) => format!("{digits:0>precision$}"),
        None => digits,
    };
    write_number(out, spec, value < 0, prefix, &digits, spec.precision.is_none());
    true
}

fn write_float(out: &mut String, verb: char, spec: &Spec, value: f64) -> bool {
    let magnitude = value.abs();
    let digits = match verb {
        'v' | 'g' if spec.precision.is_none() => display_float(magnitude),
        'f' | 'F' => format!("{magnitude:.*}", spec.precision.unwrap_or(6)),
        'e' | 'E' => exponent(&format!("{magnitude:.*e}", spec.precision.unwrap_or(6)), verb),
        'v' | 'g' | 'G' => significant(magnitude, spec.precision, verb),
        _ => return false,
    };
    write_number(out, spec, value.is_sign_negative(), "", &digits, true);
    true
}

/// `%g` with a precision: that many significant digits, and no zeros at the end.
fn significant(value: f64, precision: Option<usize>, verb: char) -> String {
    let Some(precision) = precision.map(|precision| precision.max(1)) else {
        return display_float(value).to_uppercase();
    };
    let rounded = format!("{value:.*e}", precision - 1);
    let power: i64 = rounded.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let limit = i64::try_from(precision).unwrap_or(i64::MAX);
    if power < -4 || power >= limit {
        let (mantissa, power) = rounded.split_once('e').unwrap_or((&rounded, "0"));
        let verb = if verb == 'G' { 'E' } else { 'e' };
        return exponent(&format!("{}e{power}", trim(mantissa)), verb);
    }
    let decimals = usize::try_from(limit - 1 - power).unwrap_or(0);
    trim(&format!("{value:.decimals$}"))
}

/// Rust's `1.5e7` as Go's `1.5e+07`.
fn exponent(text: &str, verb: char) -> String {
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{mantissa}{verb}{sign}{power:0>2}")
}

fn write_number(out: &mut String, spec: &Spec, negative: bool, prefix: &str, digits: &str, may_zero: bool) {
    let sign = match () {
        () if negative => "-",
        () if spec.plus => "+",
        () if spec.space => " ",
        () => "",
    };
    let length = sign.len() + prefix.len() + digits.len();
    let zeros = match spec.width {
        // Zeros stand between sign and digits, and only on the left.
        Some(width) if spec.zero && !spec.minus && may_zero => width.saturating_sub(length),
        _ => 0,
    };
    let plain = Spec { zero: false, ..*spec };
    pad(out, &plain, &format!("{sign}{prefix}{}{digits}", "0".repeat(zeros)));
}

/// Fills up to the width, counted in characters. A text that is too long already is refused by the caller.
fn pad(out: &mut String, spec: &Spec, text: &str) {
    if out.len() > MAX_TEXT {
        return;
    }
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    let fill = if spec.zero && !spec.minus { "0" } else { " " };
    if !spec.minus {
        out.push_str(&fill.repeat(missing));
    }
    out.push_str(text);
    if spec.minus {
        out.push_str(&" ".repeat(missing));
    }
}

fn bad_verb(out: &mut String, verb: char, spec: &Spec, arg: &Value) {
    out.push_str(&format!("%!{verb}({}=", go_type(arg)));
    match arg {
        Value::String(text) => write_string(out, 's', spec, text),
        _ => write_arg(out, 'v', spec, arg),
    }
    out.push(')');
}

fn with_type(arg: &Value) -> String {
    if arg.is_null() { "<nil>".to_owned() } else { format!("{}={}", go_type(arg), display(arg)) }
}

/// The name of the Go type that holds such a value.
pub(super) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use super::sprintf;
    use serde_json::{Value, json};

    fn check(cases: &[(&str, Value, &str)]) {
        for (format, args, expected) in cases {
            let args = args.as_array().cloned().unwrap_or_default();
            assert_eq!(sprintf(format, &args), *expected, "{format} {args:?}");
        }
    }

    #[test]
    fn verbs_print_as_in_go() {
        check(&[
            ("%s|%-10s|%10s|%.2s", json!(["a", "ab", "ab", "abc"]), "a|ab        |        ab|ab"),
            ("%d|%5d|%-5d|%05d|%+d", json!([1, 2, 3, -4, 5]), "1|    2|3    |-0004|+5"),
            ("%v %v %v", json!([[1, "a"], {"k": "v"}, null]), "[1 a] map[k:v] <nil>"),
            ("%q %q", json!(["a\"b", 97]), "\"a\\\"b\" 'a'"),
            ("%x %X %x %#x", json!([255, 255, "hi", 255]), "ff FF 6869 0xff"),
            ("%t %5t|%-6t|", json!([true, true, false]), "true  true|false |"),
            ("%c %U %b %o", json!([65, 65, 5, 8]), "A U+0041 101 10"),
            ("%.2f %f %e %g", json!([2.7249, 1.5, 1234.5, 1e21]), "2.72 1.500000 1.234500e+03 1e+21"),
            ("%.3g %.3g", json!([1234.5678, 0.5]), "1.23e+03 0.5"),
            ("%*d|%-*s|", json!([5, 1, 4, "a"]), "    1|a   |"),
            ("100%%", json!([]), "100%"),
            ("%s", json!([["a", "b"]]), "[a b]"),
            ("%T %T %T", json!(["a", 1, 1.5]), "string int float64"),
        ]);
    }

    #[test]
    fn mistakes_are_noted_as_in_go() {
        check(&[
            ("%d", json!(["hi"]), "%!d(string=hi)"),
            ("%s", json!([5]), "%!s(int=5)"),
            ("%s", json!([true]), "%!s(bool=true)"),
            ("%s", json!([null]), "%!s(<nil>)"),
            ("%d %d", json!([1]), "1 %!d(MISSING)"),
            ("%d", json!([1, 2, "x"]), "1%!(EXTRA int=2, string=x)"),
            ("%", json!([]), "%!(NOVERB)"),
            ("%z", json!([1]), "%!z(int=1)"),
            ("%99999999999d", json!([1]), "1"),
        ]);
    }
}
