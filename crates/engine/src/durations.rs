//! Durations in Go's spelling, `1h2m3.5s`, as Docker's flags, filters and API take them.

use time::Duration;

/// A duration that cannot be read, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It is no duration, or one that 64 bits of nanoseconds cannot hold.
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    /// A number without its unit.
    #[error("time: missing unit in duration {0:?}")]
    NoUnit(String),
    /// A unit that is none.
    #[error("time: unknown unit {unit:?} in duration {text:?}")]
    Unit {
        /// What stands for the unit.
        unit: String,
        /// The whole.
        text: String,
    },
}

/// Reads a duration as Go does: numbers with units (`ns`, `us`, `ms`, `s`, `m`, `h`), a sign, or `0`.
///
/// # Errors
/// [`DurationError`].
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let scale = match unit {
            "" => return Err(DurationError::NoUnit(text.to_owned())),
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000_i128,
            _ => return Err(DurationError::Unit { unit: unit.to_owned(), text: text.to_owned() }),
        };
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        // Digits beyond the 18th are below a nanosecond, whatever the unit.
        let fraction = fraction.get(..18).unwrap_or(fraction);
        let parts: i64 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| invalid())? };
        let divisor = (0..fraction.len()).fold(1_i128, |power, _| power * 10);
        total += i128::from(whole) * scale + i128::from(parts) * scale / divisor;
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = after;
    }
    let total = i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())?;
    Ok(Duration::nanoseconds(total))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::parse_duration;
    use proptest::prelude::*;
    use time::Duration;

    #[test]
    fn durations_are_read_as_in_go() {
        for (text, nanos) in [
            ("10s", 10_000_000_000),
            ("1h2m3.5s", 3_723_500_000_000),
            ("0", 0),
            ("-1.5m", -90_000_000_000),
            ("1500us", 1_500_000),
            ("2\u{b5}s", 2_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("+90m", 5_400_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::nanoseconds(nanos)), "{text}");
        }
        for (text, message) in [
            ("", "time: invalid duration \"\""),
            ("-", "time: invalid duration \"-\""),
            ("5", "time: missing unit in duration \"5\""),
            ("1h1", "time: missing unit in duration \"1h1\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            (".s", "time: invalid duration \".s\""),
            ("9999999h", "time: invalid duration \"9999999h\""),
        ] {
            assert_eq!(parse_duration(text).map_err(|e| e.to_string()), Err(message.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "[-+0-9.a-zµ]{0,30}") {
            let _ = parse_duration(&text);
        }
    }
}
