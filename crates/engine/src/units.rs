//! Spans of time in Docker's words, and sizes as Docker reads them.

/// How long that many seconds are, as people say it: `2 minutes`, `About an hour`, `3 weeks`.
pub fn human_duration(seconds: i64) -> String {
    // Docker rounds hours to the nearest, and counts everything longer but years from those.
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// A size that cannot be read, in Docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// No number, or a negative one.
    #[error("invalid size: '{0}'")]
    Size(String),
    /// What follows the number is no unit.
    #[error("invalid suffix: '{0}'")]
    Suffix(String),
    /// The number is not one.
    #[error("strconv.ParseFloat: parsing \"{0}\": invalid syntax")]
    Number(String),
}

/// The bytes that `text` means: a number, and a unit in powers of 1024 (`b`, `k`, `kb`, `kib`, ... `p`), in any case.
///
/// # Errors
/// [`SizeError`], in the words of Docker's flags.
pub fn ram_in_bytes(text: &str) -> Result<i64, SizeError> {
    parse_size(text, 1024.0)
}

/// As [`ram_in_bytes`], in powers of 1000.
///
/// # Errors
/// [`SizeError`], in the words of Docker's flags.
pub fn from_human_size(text: &str) -> Result<i64, SizeError> {
    parse_size(text, 1000.0)
}

#[allow(clippy::cast_possible_truncation, reason = "a cast from a float saturates")]
fn parse_size(text: &str, base: f64) -> Result<i64, SizeError> {
    let invalid = || SizeError::Size(text.to_owned());
    let last = text.rfind(|c: char| c.is_ascii_digit() || matches!(c, '.' | ' ')).ok_or_else(invalid)?;
    let (number, suffix) = text.split_at(last + 1);
    let number = number.strip_suffix(' ').unwrap_or(number);
    // Rust reads `inf` and `nan` too, but those have no digit, dot or space to end with.
    let size: f64 = number.parse().map_err(|_| SizeError::Number(number.to_owned()))?;
    if size < 0.0 || !size.is_finite() {
        return Err(invalid());
    }
    let lower = suffix.to_ascii_lowercase();
    let bad = || SizeError::Suffix(suffix.to_owned());
    let power = match lower.strip_suffix("ib").or(lower.strip_suffix('b')).unwrap_or(&lower) {
        "" if lower != "ib" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(bad()),
    };
    Ok((size * base.powi(power)) as i64)
}
