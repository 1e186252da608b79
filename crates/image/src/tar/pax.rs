//! PAX records: `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record (POSIX.1-2017, pax, "Extended Header").

/// The records of one extended header that matter here.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<i64>,
    pub(super) gid: Option<i64>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// `GNU.sparse.*`, in order: format 0.0 repeats its keys.
    pub(super) sparse: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Reads all records of a header.
pub(super) fn parse(mut bytes: &[u8]) -> Result<Records, String> {
    let mut records = Records::default();
    while !bytes.is_empty() {
        let (key, value, rest) = record(bytes).ok_or("malformed PAX record")?;
        bytes = rest;
        // An empty value takes an earlier one back.
        let present = !value.is_empty();
        match key {
            b"path" => records.path = present.then(|| name(value)).transpose()?,
            b"linkpath" => records.link = present.then(|| name(value)).transpose()?,
            b"size" => records.size = present.then(|| integer(value)).transpose()?.map(i64::unsigned_abs),
            b"uid" => records.uid = present.then(|| integer(value)).transpose()?,
            b"gid" => records.gid = present.then(|| integer(value)).transpose()?,
            b"mtime" => records.mtime = present.then(|| time(value)).transpose()?,
            key => {
                if let Some(xattr) = key.strip_prefix(b"SCHILY.xattr.") {
                    records.xattrs.retain(|(known, _)| known != xattr);
                    records.xattrs.push((xattr.to_vec(), value.to_vec()));
                } else if let Some(sparse) = key.strip_prefix(b"GNU.sparse.") {
                    records.sparse.push((sparse.to_vec(), value.to_vec()));
                }
            }
        }
    }
    Ok(records)
}

/// Key, value and what follows.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(21).position(|b| *b == b' ')?;
    let (digits, _) = bytes.split_at_checked(space)?;
    let length = usize::try_from(integer(digits).ok()?).ok()?;
    let (whole, rest) = bytes.split_at_checked(length)?;
    let body = whole.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|b| *b == b'=')?;
    let (key, value) = body.split_at_checked(equals)?;
    (!key.is_empty()).then_some((key, value.get(1..)?, rest))
}

fn name(value: &[u8]) -> Result<Vec<u8>, String> {
    if value.contains(&0) {
        return Err("a PAX name holds a NUL byte".to_owned());
    }
    Ok(value.to_vec())
}

/// A decimal number that isn't negative.
pub(super) fn integer(value: &[u8]) -> Result<i64, String> {
    let invalid = || format!("PAX number \"{}\" is invalid", String::from_utf8_lossy(value));
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(invalid());
    }
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or_else(invalid)
}

/// Seconds with a fraction, perhaps negative; digits beyond nanoseconds are cut off.
fn time(value: &[u8]) -> Result<(i64, u32), String> {
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let mut parts = digits.splitn(2, |b| *b == b'.');
    let seconds = integer(parts.next().unwrap_or_default())?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err("PAX time is invalid".to_owned());
    }
    let mut nanos = 0u32;
    for place in 0..9 {
        nanos = nanos * 10 + fraction.get(place).map_or(0, |digit| u32::from(digit - b'0'));
    }
    // Timestamps count nanoseconds upwards from the whole second below.
    Ok(match (negative, nanos) {
        (false, _) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_read() {
        let records =
            parse(b"12 path=a/b\n21 mtime=1.000000005\n26 SCHILY.xattr.user.a=\0\n\n9 uid=70\n").unwrap();
        assert_eq!(records.path.unwrap(), b"a/b");
        assert_eq!(records.mtime, Some((1, 5)));
        assert_eq!(records.xattrs, [(b"user.a".to_vec(), b"\0\n".to_vec())]);
        assert_eq!(records.uid, Some(70));
    }

    #[test]
    fn broken_records_are_refused() {
        for bytes in [
            &b"5 a=b"[..],
            b"6 a=b",
            b"99 a=b\n",
            b"a=b\n",
            b"6 ab=\n\n",
            b"5 ab\n",
            b"13 path=a\0b\n",
            b"9 uid=-1\n",
            b"0 ",
            b"3 \n",
        ] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn negative_times_count_upwards() {
        assert_eq!(time(b"-1.25"), Ok((-2, 750_000_000)));
        assert_eq!(time(b"-1"), Ok((-1, 0)));
        assert_eq!(time(b"0.1234567891"), Ok((0, 123_456_789)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
