//! Moments as clients write them: seconds since 1970, with a fraction or without.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::failure::Failure;

/// A moment; `None`: nothing was asked for, which `0` means too.
pub(crate) fn moment(name: &str, text: Option<&str>) -> Result<Option<SystemTime>, Failure> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let read = || {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let nanoseconds = if fraction.is_empty() { 0 } else { format!("{fraction:0<9}").parse().ok()? };
        let seconds: i64 = seconds.parse().ok()?;
        let span = Duration::new(seconds.unsigned_abs(), nanoseconds);
        if seconds < 0 { UNIX_EPOCH.checked_sub(span) } else { UNIX_EPOCH.checked_add(span) }
    };
    let moment =
        read().ok_or_else(|| Failure::bad(format!("invalid value for {name}: {text:?} is no time")))?;
    Ok(Some(moment).filter(|moment| *moment != UNIX_EPOCH))
}

/// How long it is until then; `None`: no end was asked for.
pub(crate) fn time_left(until: Option<SystemTime>) -> Option<Duration> {
    until.map(|until| until.duration_since(SystemTime::now()).unwrap_or_default())
}

/// In nanoseconds since 1970.
pub(crate) fn nanoseconds(moment: SystemTime) -> i64 {
    match moment.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanoseconds| -nanoseconds)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{moment, nanoseconds};

    #[test]
    fn moments_are_seconds_and_a_fraction() {
        let read = |text| moment("since", Some(text)).unwrap().map(nanoseconds);
        assert_eq!(read("1700000000.5"), Some(1_700_000_000_500_000_000));
        assert_eq!(read("1700000000"), Some(1_700_000_000_000_000_000));
        assert_eq!(read("1.000000001"), Some(1_000_000_001));
        assert_eq!((read("0"), read("0.0"), read("")), (None, None, None));
        for bad in ["a", "1.", "1.x", "1.0000000001", "1.2.3", "99999999999999999999"] {
            assert_eq!(moment("since", Some(bad)).is_err(), bad != "1.", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in ".{0,24}", numbers in "-?[0-9]{0,20}[.]?[0-9]{0,12}") {
            for text in [text, numbers] {
                let _ = moment("until", Some(&text)).map(|moment| moment.map(nanoseconds));
            }
        }
    }
}
