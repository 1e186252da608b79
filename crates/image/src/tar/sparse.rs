//! Sparse files: which parts of a file the archive holds (GNU tar's manual, "Storing Sparse Files").
//!
//! Four encodings of one idea, a list of (offset, length): in the header and extension blocks (old GNU), in PAX
//! records (0.0 and 0.1), and in front of the content (1.0).

use super::header::number;
use super::pax;

/// The most parts that a sparse file may have; the list is in memory.
pub(super) const MAX_SEGMENTS: usize = 100_000;

/// One part of a file that isn't a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// Collects segments and checks that they ascend and don't overlap.
#[derive(Default)]
pub(super) struct Map {
    segments: Vec<Segment>,
    end: u64,
    stored: u64,
}

impl Map {
    pub(super) fn push(&mut self, offset: i64, length: i64) -> Result<(), String> {
        let (Ok(offset), Ok(length)) = (u64::try_from(offset), u64::try_from(length)) else {
            return Err("a sparse part is negative".to_owned());
        };
        if self.segments.len() >= MAX_SEGMENTS {
            return Err(format!("a sparse file has more than {MAX_SEGMENTS} parts"));
        }
        if offset < self.end {
            return Err("the sparse parts overlap".to_owned());
        }
        self.end = offset.checked_add(length).ok_or("a sparse part is too large")?;
        self.stored += length;
        if length > 0 {
            self.segments.push(Segment { offset, length });
        }
        Ok(())
    }

    /// The segments, if they fit a file of `real_size` of which `stored` bytes are in the archive.
    pub(super) fn finish(self, real_size: u64, stored: u64) -> Result<Vec<Segment>, String> {
        if self.end > real_size || i64::try_from(real_size).is_err() {
            return Err("a sparse part lies beyond the end of its file".to_owned());
        }
        if self.stored != stored {
            return Err("the sparse parts don't add up to the size of the content".to_owned());
        }
        Ok(self.segments)
    }
}

/// Reads (offset, length) pairs of 12-byte fields until an empty one: the old GNU form.
pub(super) fn old_gnu(fields: &[u8], map: &mut Map) -> Result<(), String> {
    for pair in fields.chunks_exact(24) {
        let (offset, length) = pair.split_at(12);
        if offset.first() == Some(&0) || length.first() == Some(&0) {
            break;
        }
        map.push(number(offset)?, number(length)?)?;
    }
    Ok(())
}

/// Reads the map of formats 0.0 and 0.1 from PAX records.
pub(super) fn from_records(records: &[(Vec<u8>, Vec<u8>)], map: &mut Map) -> Result<(), String> {
    let mut offset = None;
    for (key, value) in records {
        match key.as_slice() {
            b"map" => {
                let numbers: Vec<i64> =
                    value.split(|b| *b == b',').map(pax::integer).collect::<Result<_, _>>()?;
                if !numbers.len().is_multiple_of(2) {
                    return Err("the sparse map has an odd number of values".to_owned());
                }
                for pair in numbers.chunks_exact(2) {
                    if let [offset, length] = pair {
                        map.push(*offset, *length)?;
                    }
                }
            }
            b"offset" => offset = Some(pax::integer(value)?),
            b"numbytes" => {
                let offset = offset.take().ok_or("a sparse part has no offset")?;
                map.push(offset, pax::integer(value)?)?;
            }
            _ => {}
        }
    }
    Ok(())
}
