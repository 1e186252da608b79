//! Points in time as Docker's `--since` and `--until` take them, and as its tables show them.

pub use bulkhead_engine::times::{TimeError, parse_time};
use time::OffsetDateTime;

/// A time as Docker's `CreatedAt` columns show it: `2023-11-14 22:13:20 +0000 UTC`.
///
/// Go ends with the zone's name; an offset that is not UTC's has none here and stands for itself, as it does in Go
/// when a zone has no name.
pub fn created_at(time: OffsetDateTime) -> String {
    let offset = time.offset();
    let (hours, minutes, _) = offset.as_hms();
    let sign = if offset.is_negative() { '-' } else { '+' };
    let zone = format!("{sign}{:02}{:02}", hours.unsigned_abs(), minutes.unsigned_abs());
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} {zone} {}",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        if offset.is_utc() { "UTC" } else { &zone },
    )
}

#[cfg(test)]
mod tests {
    use super::created_at;
    use time::{OffsetDateTime, UtcOffset};

    fn now() -> OffsetDateTime {
        let offset = UtcOffset::from_hms(1, 0, 0).unwrap();
        OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap().to_offset(offset)
    }

    #[test]
    fn times_are_shown_as_go_shows_them() {
        assert_eq!(created_at(now().to_offset(UtcOffset::UTC)), "2023-11-14 22:13:20 +0000 UTC");
        assert_eq!(created_at(now()), "2023-11-14 23:13:20 +0100 +0100");
    }
}
