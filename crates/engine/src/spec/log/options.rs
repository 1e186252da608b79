//! One log option at a time.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::units::SizeError;

/// What waits for a receiver at most with `mode=non-blocking`, unless said otherwise: Docker's 1 MiB.
const BUFFER: u64 = 1 << 20;

/// The options of a container's log driver.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options<'a> {
    pub(super) driver: &'a str,
    pub(super) all: &'a HashMap<String, String>,
}

impl<'a> Options<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.all.get(key).map(String::as_str)
    }

    /// Refuses every option but these, and those that all drivers have.
    pub(super) fn only(&self, known: &[&str]) -> Result<()> {
        let sends = matches!(self.driver, "journald" | "syslog");
        let mode = self.get("mode").unwrap_or("blocking");
        if !matches!(mode, "blocking" | "non-blocking" | "") {
            return Err(Error::Invalid(format!("logger: logging mode not supported: {mode}")));
        }
        if mode != "non-blocking" && self.get("max-buffer-size").is_some() {
            return Err(Error::Invalid(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'".into(),
            ));
        }
        if mode == "non-blocking" && !sends {
            return Err(Error::Invalid(format!(
                "mode=non-blocking is for receivers that may not keep up (journald, syslog): the log driver {} writes a file",
                self.driver
            )));
        }
        let mut all: Vec<&str> = self.all.keys().map(String::as_str).collect();
        all.sort_unstable();
        for key in all {
            match key {
                "mode" | "max-buffer-size" => {}
                "cache-disabled" | "cache-max-size" | "cache-max-file" | "cache-compress" if sends => {}
                _ if known.contains(&key) => {}
                _ if self.driver == "local" => {
                    return Err(Error::Invalid(format!("unknown log opt '{key}' for log driver local")));
                }
                _ => {
                    return Err(Error::Invalid(format!(
                        "unknown log opt '{key}' for {} log driver",
                        self.driver
                    )));
                }
            }
        }
        Ok(())
    }

    /// A size in bytes, at least 1.
    pub(super) fn size(
        &self,
        key: &str,
        read: impl Fn(&str) -> std::result::Result<i64, SizeError>,
    ) -> Result<Option<u64>> {
        let Some(text) = self.get(key) else { return Ok(None) };
        match read(text).map(u64::try_from) {
            Ok(Ok(size @ 1..)) => Ok(Some(size)),
            Ok(_) => Err(Error::Invalid(format!("{key} must be a positive number, and is {text:?}"))),
            Err(error) => Err(Error::Invalid(format!("error parsing option {key}: {error}"))),
        }
    }

    /// A whole number, at least 1.
    pub(super) fn number(&self, key: &str) -> Result<Option<u32>> {
        let Some(text) = self.get(key) else { return Ok(None) };
        match text.parse() {
            Ok(0) => Err(Error::Invalid(format!("{key} cannot be less than 1"))),
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Error::Invalid(format!("invalid {key} {text:?}: it must be a number from 1 on"))),
        }
    }

    /// Yes or no, in the words that Go reads.
    pub(super) fn flag(&self, key: &str) -> Result<bool> {
        match self.get(key) {
            None | Some("0" | "f" | "F" | "false" | "False" | "FALSE") => Ok(false),
            Some("1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(true),
            Some(other) => Err(Error::Invalid(format!("invalid {key} {other:?}: it must be true or false"))),
        }
    }

    /// Rotated files stay as they are: nothing in a supervisor could compress them.
    pub(super) fn not_compressed(&self, key: &str) -> Result<()> {
        if self.flag(key)? {
            return Err(Error::Invalid(format!(
                "{key}=true cannot be had: bulkhead keeps rotated log files uncompressed"
            )));
        }
        Ok(())
    }

    /// How much may wait for a receiver; `None`: the container waits.
    pub(super) fn buffer(&self) -> Result<Option<u64>> {
        let size = self.size("max-buffer-size", crate::units::ram_in_bytes)?;
        Ok((self.get("mode") == Some("non-blocking")).then(|| size.unwrap_or(BUFFER)))
    }
}
