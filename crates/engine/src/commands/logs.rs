//! `logs`: what a container wrote, read from its log file without asking anybody.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};

use serde::Deserialize;

use crate::Engine;
use crate::error::{Doing, Error, Result};
use crate::store::containers::Container;

/// A line of the log.
#[derive(Debug, Deserialize)]
pub struct Line {
    /// What was written, with its newline if it had one.
    pub log: String,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// When (RFC 3339, UTC).
    pub time: String,
}

/// A container's log, open for reading.
#[derive(Debug)]
pub struct Logs {
    file: BufReader<File>,
    partial: Vec<u8>,
}

impl Engine {
    /// Opens its log. `None`: it has never been started.
    ///
    /// # Errors
    /// It keeps none.
    pub fn logs(&self, container: &Container) -> Result<Option<Logs>> {
        let host = container.config.host_config.clone().unwrap_or_default();
        if host.log_config.as_ref().and_then(|log| log.typ.as_deref()) == Some("none") {
            return Err(Error::Invalid("configured logging driver does not support reading".into()));
        }
        let path = self.roots.container(&container.id).join(format!("{}-json.log", container.id));
        match File::open(&path) {
            Ok(file) => {
                Ok(Some(Logs { file: BufReader::with_capacity(128 * 1024, file), partial: Vec::new() }))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing(|| format!("open {}", path.display())),
        }
    }

    /// Whether more can still be written to the container's log.
    ///
    /// # Errors
    /// Its status cannot be read.
    pub fn still_writes(&self, container: &Container) -> Result<bool> {
        Ok(self.condition(container)?.active().is_some())
    }
}

impl Logs {
    /// Moves to where the last `count` lines begin.
    ///
    /// # Errors
    /// The file's.
    pub fn seek_to_last(&mut self, count: usize) -> Result<()> {
        let mut position = self.file.seek(SeekFrom::End(0)).doing(|| "read the log")?;
        let (mut found, mut block) = (0usize, vec![0u8; 64 * 1024]);
        let mut begin = 0;
        // Backwards, block by block; the newline that ends the last line does not count.
        'search: while position > 0 {
            let length = usize::try_from(position).unwrap_or(usize::MAX).min(block.len());
            position -= length as u64;
            let part = block.get_mut(..length).unwrap_or_default();
            self.file.seek(SeekFrom::Start(position)).doing(|| "read the log")?;
            std::io::Read::read_exact(&mut self.file, part).doing(|| "read the log")?;
            for (offset, byte) in part.iter().enumerate().rev() {
                if *byte == b'\n' {
                    if found == count {
                        begin = position + offset as u64 + 1;
                        break 'search;
                    }
                    found += 1;
                }
            }
        }
        self.file.seek(SeekFrom::Start(begin)).doing(|| "read the log")?;
        Ok(())
    }

    /// The next whole line; `None` when there is none yet.
    ///
    /// # Errors
    /// The file's, or a line that is not a log's.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        loop {
            self.file.read_until(b'\n', &mut self.partial).doing(|| "read the log")?;
            if !self.partial.ends_with(b"\n") {
                return Ok(None);
            }
            let line = serde_json::from_slice(&self.partial);
            self.partial.clear();
            // A line cut short by a full disk or a power cut costs itself, not the log.
            if let Ok(line) = line {
                return Ok(Some(line));
            }
        }
    }
}
