//! Durations: Go's spelling (`1h2m3.5s`), read and written, and Docker's words (`About a minute`).

pub use bulkhead_engine::durations::{DurationError, parse_duration};
use time::Duration;

/// A duration as Go prints it: `1h2m3.5s`, `1.5ms`, `0s`.
pub fn format_duration(duration: Duration) -> String {
    let total = duration.whole_nanoseconds();
    let sign = if total < 0 { "-" } else { "" };
    let nanos = total.unsigned_abs();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{nanos}ns"),
        1_000..1_000_000 => format!("{sign}{}\u{b5}s", decimal(nanos, 3)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimal(nanos, 6)),
        _ => {
            let seconds = nanos / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = decimal(nanos % 60_000_000_000, 9);
            match (hours, minutes) {
                (0, 0) => format!("{sign}{rest}s"),
                (0, _) => format!("{sign}{minutes}m{rest}s"),
                _ => format!("{sign}{hours}h{minutes}m{rest}s"),
            }
        }
    }
}

/// `value` with its last `places` digits behind a point, without zeros at the end.
fn decimal(value: u128, places: usize) -> String {
    let digits = format!("{value:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// A duration in words, roughly: `Less than a second`, `About a minute`, `3 weeks`. Docker adds ` ago` or `Up `.
pub fn human_duration(duration: Duration) -> String {
    bulkhead_engine::units::human_duration(duration.whole_seconds())
}

#[cfg(test)]
mod tests {
    use super::{format_duration, human_duration, parse_duration};
    use proptest::prelude::*;
    use time::Duration;

    #[test]
    fn durations_are_read_and_written_as_in_go() {
        for (text, nanos, written) in [
            ("10s", 10_000_000_000, "10s"),
            ("1h2m3.5s", 3_723_500_000_000, "1h2m3.5s"),
            ("0", 0, "0s"),
            ("-1.5m", -90_000_000_000, "-1m30s"),
            ("1500us", 1_500_000, "1.5ms"),
            ("2\u{b5}s", 2_000, "2\u{b5}s"),
            ("100ns", 100, "100ns"),
            ("1h", 3_600_000_000_000, "1h0m0s"),
            (".5s", 500_000_000, "500ms"),
            ("5.s", 5_000_000_000, "5s"),
            ("+90m", 5_400_000_000_000, "1h30m0s"),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::nanoseconds(nanos)), "{text}");
            assert_eq!(format_duration(Duration::nanoseconds(nanos)), written, "{text}");
        }
    }

    #[test]
    fn durations_are_told_in_dockers_words() {
        let (minute, hour, day) = (60, 3600, 86400);
        for (seconds, words) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (45, "45 seconds"),
            (minute, "About a minute"),
            (119, "About a minute"),
            (2 * minute, "2 minutes"),
            (45 * minute, "45 minutes"),
            (hour, "About an hour"),
            (89 * minute, "About an hour"),
            (90 * minute, "2 hours"),
            (47 * hour, "47 hours"),
            (2 * day, "2 days"),
            (13 * day, "13 days"),
            (2 * 7 * day, "2 weeks"),
            (3 * 7 * day, "3 weeks"),
            (60 * day, "2 months"),
            (23 * 30 * day, "23 months"),
            (2 * 365 * day, "2 years"),
            (4 * 365 * day, "4 years"),
        ] {
            assert_eq!(human_duration(Duration::seconds(seconds)), words, "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in any::<i64>()) {
            prop_assume!(nanos != i64::MIN);
            let duration = Duration::nanoseconds(nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
