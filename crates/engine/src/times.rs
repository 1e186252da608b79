//! Points in time as Docker's `--since`, `--until` and `until` filters take them.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::durations::parse_duration;

/// A time that cannot be read. Docker's commands put `invalid value for "since": ` before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// It is of no known form.
    #[error("failed to parse value as time or duration: {0:?}")]
    Form(String),
    /// It looks like a date and is none.
    #[error("parsing time {0:?}: not a date and time such as 2006-01-02T15:04:05Z")]
    Date(String),
}

/// The time that `text` means: seconds since 1970 with or without a fraction (`1700000000.5`), a date and time
/// (RFC 3339, any of its tail left off: `2023-11-14T22:13:20Z`, `2023-11-14T22`, `2023-11-14`), or a duration before
/// now (`10m`). Dates without an offset are in that of `now`.
///
/// # Errors
/// [`TimeError`].
pub fn parse_time(text: &str, now: OffsetDateTime) -> Result<OffsetDateTime, TimeError> {
    let form = || TimeError::Form(text.to_owned());
    if text != "0"
        && let Ok(duration) = parse_duration(text)
    {
        return now.checked_sub(duration).ok_or_else(form);
    }
    match date_time(text, now.offset()) {
        Some(time) => Ok(time),
        None if text.contains('-') => Err(TimeError::Date(text.to_owned())),
        None => unix(text).ok_or_else(form),
    }
}

fn unix(text: &str) -> Option<OffsetDateTime> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok()?;
    let nanos = nanoseconds(fraction)?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()?.replace_nanosecond(nanos).ok()
}

/// Up to nine digits behind a point.
fn nanoseconds(fraction: &str) -> Option<u32> {
    if !fraction.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.get(..9).unwrap_or(fraction);
    format!("{digits:0<9}").parse().ok()
}

fn date_time(text: &str, local: UtcOffset) -> Option<OffsetDateTime> {
    let (year, rest) = number(text, 4)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (day, mut rest) = number(rest.strip_prefix('-')?, 2)?;
    let mut clock = [0_u8; 3];
    let mut nanos = 0;
    if let Some(mut after) = rest.strip_prefix('T') {
        for (index, part) in clock.iter_mut().enumerate() {
            if index > 0 {
                match after.strip_prefix(':') {
                    Some(next) => after = next,
                    None => break,
                }
            }
            let (value, next) = number(after, 2)?;
            *part = u8::try_from(value).ok()?;
            after = next;
        }
        if let Some(fraction) = after.strip_prefix('.') {
            let end = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
            let (fraction, next) = fraction.split_at(end);
            nanos = nanoseconds(fraction)?;
            after = next;
        }
        rest = after;
    }
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    let [hour, minute, second] = clock;
    let time = Time::from_hms_nano(hour, minute, second, nanos).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_offset(offset(rest, local)?))
}

/// Exactly that many digits, and what follows them.
fn number(text: &str, digits: usize) -> Option<(u16, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    number.chars().all(|c| c.is_ascii_digit()).then_some((number.parse().ok()?, rest))
}

fn offset(text: &str, local: UtcOffset) -> Option<UtcOffset> {
    let (sign, rest) = match text {
        "" => return Some(local),
        "Z" | "z" => return Some(UtcOffset::UTC),
        _ if text.starts_with('+') => (1, text.get(1..)?),
        _ if text.starts_with('-') => (-1, text.get(1..)?),
        _ => return None,
    };
    let (hours, rest) = number(rest, 2)?;
    let (minutes, rest) = number(rest.strip_prefix(':')?, 2)?;
    let part = |value: u16| i8::try_from(value).ok().map(|value| sign * value);
    rest.is_empty().then(|| UtcOffset::from_hms(part(hours)?, part(minutes)?, 0).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::parse_time;
    use proptest::prelude::*;
    use time::{OffsetDateTime, UtcOffset};

    fn now() -> OffsetDateTime {
        let offset = UtcOffset::from_hms(1, 0, 0).unwrap();
        OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap().to_offset(offset)
    }

    #[test]
    fn every_form_of_dockers_is_read() {
        for (text, unix, nanos) in [
            ("0", 0, 0),
            ("1700000000", 1_700_000_000, 0),
            ("1700000000.5", 1_700_000_000, 500_000_000),
            ("1700000000.000000001", 1_700_000_000, 1),
            ("10m", 1_699_999_400, 0),
            ("1h30m", 1_699_994_600, 0),
            ("2023-11-14T22:13:20Z", 1_700_000_000, 0),
            ("2023-11-14T22:13:20.25Z", 1_700_000_000, 250_000_000),
            ("2023-11-14T23:13:20+01:00", 1_700_000_000, 0),
            ("2023-11-14T21:13:20-01:00", 1_700_000_000, 0),
            ("2023-11-14T23:13:20", 1_700_000_000, 0),
            ("2023-11-14T23:13", 1_699_999_980, 0),
            ("2023-11-14T23", 1_699_999_200, 0),
            ("2023-11-14", 1_699_916_400, 0),
            ("2023-11-14Z", 1_699_920_000, 0),
        ] {
            let time = parse_time(text, now()).unwrap();
            assert_eq!((time.unix_timestamp(), time.nanosecond()), (unix, nanos), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_named() {
        for (text, message) in [
            ("abc", "failed to parse value as time or duration: \"abc\""),
            ("1h2x", "failed to parse value as time or duration: \"1h2x\""),
            ("", "failed to parse value as time or duration: \"\""),
            ("2023-13-01", "parsing time \"2023-13-01\": not a date and time such as 2006-01-02T15:04:05Z"),
        ] {
            assert_eq!(parse_time(text, now()).map_err(|e| e.to_string()), Err(message.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "[-+0-9.:TZhms]{0,30}") {
            let _ = parse_time(&text, now());
        }
    }
}
