//! `process.execCPUAffinity` (config.md): the processors that programs of `exec` run on, before they are in the container's
//! control groups and from then on, so that none wakes a processor that is kept for others.

use bulkhead_isolation::priorities::PROCESSORS;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The object; each a list as cpuset(7) has it, e.g. `0-3,7`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Affinity {
    /// Before.
    pub initial: Option<String>,
    /// From then on.
    #[serde(rename = "final")]
    pub last: Option<String>,
}

impl Affinity {
    /// Refuses what is no list.
    ///
    /// # Errors
    /// A list that cannot be read.
    pub(crate) fn check(&self) -> Result<()> {
        self.initial()?;
        self.last().map(drop)
    }

    /// The processors before; `None`: those that this process may run on.
    pub(crate) fn initial(&self) -> Result<Option<Vec<u32>>> {
        list(self.initial.as_deref(), "initial")
    }

    /// Those from then on; `None`: those that this process may run on.
    pub(crate) fn last(&self) -> Result<Option<Vec<u32>>> {
        let last = list(self.last.as_deref(), "final")?;
        // With nothing said all of the group are meant, and what was said for before must not stay.
        Ok(last.or(self.initial()?.map(|_| (0..PROCESSORS).collect())))
    }
}

fn list(text: Option<&str>, name: &str) -> Result<Option<Vec<u32>>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let bad = || {
        Error::invalid(format!(
            "config.json: process.execCPUAffinity.{name}: {text:?} is no list of processors below {PROCESSORS}, e.g. \
             0-3,7"
        ))
    };
    let number = |text: &str| -> Option<u32> {
        let digits = text.trim();
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok())?.filter(|number| *number < PROCESSORS)
    };
    let mut all = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first).ok_or_else(bad)?, number(last).ok_or_else(bad)?);
        if first > last {
            return Err(bad());
        }
        all.extend(first..=last);
    }
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use super::list;
    use proptest::prelude::*;

    fn parse(text: &str) -> Option<Vec<u32>> {
        list(Some(text), "final").ok().flatten()
    }

    #[test]
    fn lists_are_as_cpuset_has_them() {
        assert_eq!(parse("0-3,7"), Some(vec![0, 1, 2, 3, 7]));
        assert_eq!(parse(" 1 , 2 - 2"), Some(vec![1, 2]));
        assert!(list(Some(""), "final").unwrap().is_none() && list(None, "final").unwrap().is_none());
        for bad in ["x", "3-1", "0-", "-1", "1,,2", "4096", "+1", "0x1", "0-4294967295", "1-2-3"] {
            assert!(
                list(Some(bad), "final").unwrap_err().to_string().contains("execCPUAffinity.final"),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_grow(text in "[0-9, -]{0,20}") {
            let _ = parse(&text);
        }
    }
}
