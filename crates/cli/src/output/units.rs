//! Sizes as people read and write them: `4.26MB`, `1.5GiB`, `512m`.
//!
//! Docker shows disk sizes in powers of 1000 and memory in powers of 1024, both with four significant digits, and
//! reads sizes in powers of 1024 whatever the spelling (`1kb` is 1024).

pub use bulkhead_engine::units::{SizeError, from_human_size, ram_in_bytes};

use crate::template::sprintf;

/// A number of bytes in powers of 1000: `4.26MB`.
pub fn human_size(bytes: u64) -> String {
    human_size_with(bytes, 4)
}

/// As [`human_size`] with that many significant digits; Docker's `ps --size` and `images` show three.
pub fn human_size_with(bytes: u64, digits: usize) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], digits)
}

/// A number of bytes in powers of 1024: `1.5GiB`.
pub fn bytes_size(bytes: u64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
}

#[allow(clippy::cast_precision_loss, reason = "four digits are shown")]
fn scaled(bytes: u64, base: f64, units: &[&str], digits: usize) -> String {
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= base && unit + 1 < units.len() {
        size /= base;
        unit += 1;
    }
    sprintf(&format!("%.{digits}g%s"), &[size.into(), units.get(unit).copied().unwrap_or_default().into()])
}

#[cfg(test)]
mod tests {
    use super::{bytes_size, from_human_size, human_size, human_size_with, ram_in_bytes};
    use proptest::prelude::*;

    #[test]
    fn sizes_are_shown_as_docker_shows_them() {
        for (bytes, decimal, binary) in [
            (0, "0B", "0B"),
            (999, "999B", "999B"),
            (1000, "1kB", "1000B"),
            (1024, "1.024kB", "1KiB"),
            (1_000_000, "1MB", "976.6KiB"),
            (4_261_550, "4.262MB", "4.064MiB"),
            (1_048_576, "1.049MB", "1MiB"),
            (1_610_612_736, "1.611GB", "1.5GiB"),
            (3_420_000_000_000, "3.42TB", "3.11TiB"),
            (999_999, "1000kB", "976.6KiB"),
        ] {
            assert_eq!(
                (human_size(bytes).as_str(), bytes_size(bytes).as_str()),
                (decimal, binary),
                "{bytes}"
            );
        }
        assert_eq!(human_size_with(4_261_550, 3), "4.26MB");
        assert_eq!(human_size_with(187_654_321, 3), "188MB");
        assert_eq!(human_size_with(999_999, 3), "1e+03kB", "odd, and Docker's");
    }

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, bytes) in [
            ("64", 64),
            ("64b", 64),
            ("512m", 512 << 20),
            ("1.5g", 3 << 29),
            ("1KiB", 1024),
            ("1kb", 1024),
            ("32 k", 32 << 10),
            ("32.5 kB", 33280),
            ("0", 0),
            ("1P", 1 << 50),
            (".5k", 512),
        ] {
            assert_eq!(ram_in_bytes(text), Ok(bytes), "{text}");
        }
        assert_eq!(from_human_size("1.5kB"), Ok(1500));
        for (text, message) in [
            ("", "invalid size: ''"),
            ("x", "invalid size: 'x'"),
            ("-5m", "invalid size: '-5m'"),
            ("5x", "invalid suffix: 'x'"),
            ("5kbb", "invalid suffix: 'kbb'"),
            ("5ib", "invalid suffix: 'ib'"),
            ("1.5.2g", "strconv.ParseFloat: parsing \"1.5.2\": invalid syntax"),
        ] {
            assert_eq!(
                ram_in_bytes(text).map_err(|error| error.to_string()),
                Err(message.to_owned()),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in ".{0,20}") {
            let _ = ram_in_bytes(&text);
        }

        #[test]
        fn plain_numbers_are_bytes(bytes in 0i64..1 << 50) {
            prop_assert_eq!(ram_in_bytes(&bytes.to_string()), Ok(bytes));
        }
    }
}
