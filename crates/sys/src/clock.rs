//! The machine's time zone.

/// How many seconds the machine's local time is ahead of UTC at that moment (seconds since 1970), as /etc/localtime or TZ
/// says (localtime_r(3)); 0 if neither does.
pub fn local_offset(seconds: i64) -> i32 {
    let time: libc::time_t = seconds;
    // SAFETY: a `tm` of zeros is a valid one.
    let mut broken_down: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values, and localtime_r keeps neither.
    let done = unsafe { libc::localtime_r(&raw const time, &raw mut broken_down) };
    if done.is_null() { 0 } else { i32::try_from(broken_down.tm_gmtoff).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn zones_are_less_than_a_day_from_utc() {
        assert!(super::local_offset(1_700_000_000).abs() < 86_400);
    }
}
