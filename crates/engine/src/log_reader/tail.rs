//! Where the last lines of a log begin: looked for backwards, in as many files as it takes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bulkhead_supervisor::log_config::LogFormat;
use memchr::memrchr;

use super::files::Files;
use super::parse;

/// How much is read at once.
const BLOCK: u64 = 64 * 1024;

/// The file, and the place in it; `None` if there is no file.
pub(super) fn find(files: &Files, format: &LogFormat, count: usize) -> io::Result<Option<(File, u64)>> {
    let Some(mut file) = files.youngest()? else { return Ok(None) };
    let mut counter = Counter { format, count, found: 0, first: true, decoded: Vec::new() };
    loop {
        if let Some(place) = counter.search(&file)? {
            return Ok(Some((file, place)));
        }
        match files.before(&file)? {
            Some(older) => file = older,
            None => return Ok(Some((file, 0))),
        }
    }
}

struct Counter<'a> {
    format: &'a LogFormat,
    count: usize,
    found: usize,
    first: bool,
    decoded: Vec<u8>,
}

impl Counter<'_> {
    /// Where the lines begin, if that is in this file.
    fn search(&mut self, file: &File) -> io::Result<Option<u64>> {
        let mut begin = file.metadata()?.len();
        // The part of the file from `begin` on that has not been counted; it ends with a line's end as soon as one is found.
        let (mut part, mut ends) = (Vec::new(), false);
        loop {
            while let Some((_, body)) = part.split_last().filter(|_| ends) {
                let start = match memrchr(b'\n', body) {
                    Some(newline) => newline + 1,
                    None if begin == 0 => 0,
                    None => break,
                };
                if self.counts(body.get(start..).unwrap_or_default()) {
                    if self.found == self.count {
                        return Ok(Some(begin + part.len() as u64));
                    }
                    self.found += 1;
                }
                part.truncate(start);
            }
            if begin == 0 {
                return Ok(None);
            }
            let length = begin.min(BLOCK);
            begin -= length;
            let mut block = vec![0; usize::try_from(length).unwrap_or(0)];
            file.read_exact_at(&mut block, begin)?;
            block.append(&mut part);
            part = block;
            if !ends && let Some(newline) = memrchr(b'\n', &part) {
                // What follows is not finished.
                part.truncate(newline + 1);
                ends = true;
            }
        }
    }

    /// Whether a line of the log ends a line of the program's: a piece goes with what follows it.
    fn counts(&mut self, line: &[u8]) -> bool {
        let mut with_end = line.to_vec();
        with_end.push(b'\n');
        let Some(fields) = parse::fields(self.format, &with_end, 0..line.len(), &mut self.decoded) else {
            return false;
        };
        let ended = fields.line(&with_end, &self.decoded).text.ends_with(b"\n");
        std::mem::take(&mut self.first) || ended
    }
}
