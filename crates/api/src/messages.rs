//! Docker's lines of JSON that tell how far something is, and how it ended: of `pull`, `push`, `load` and `import`.
//!
//! The first line begins the answer. What fails before it is told by a status; what fails later by a last line,
//! `{"errorDetail": {"message": …}, "error": …}`, after which the answer is whole.

use std::io::Write;

use bulkhead_engine::registry::Progress;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::flow::Late;
use crate::worker::{Form, Out};

/// How many characters a bar has.
const BAR: u64 = 50;

/// Writes the lines.
pub(crate) struct Messages<'a> {
    out: &'a mut Out,
}

impl Messages<'_> {
    pub(crate) fn new(out: &mut Out) -> Messages<'_> {
        Messages { out }
    }

    /// A client that has gone is not told, and its request's process is ended with the answer.
    pub(crate) fn say(&mut self, message: &Value) {
        let line = format!("{message}\n");
        let _ = Late::new(self.out, Form::Json).write_all(line.as_bytes());
    }

    /// A line about an image's way from or to a registry.
    pub(crate) fn tell(&mut self, progress: &Progress) {
        let mut message = json!({ "status": progress.status });
        if let Some(id) = &progress.id {
            message["id"] = json!(id);
            message["progressDetail"] = json!({});
        }
        if let Some((current, total)) = progress.detail {
            add_bar(&mut message, current, total);
        }
        if let Some(pushed) = &progress.pushed {
            let aux = json!({ "Tag": pushed.tag, "Digest": pushed.digest, "Size": pushed.size });
            message = json!({ "progressDetail": {}, "aux": aux });
        }
        self.say(&message);
    }

    /// The end.
    pub(crate) fn end<T>(mut self, done: Result<T, Failure>) -> Result<T, Failure>
    where
        T: Default,
    {
        match done {
            Err(failure) if self.out.has_begun() => {
                let message = failure.to_string();
                self.say(&json!({ "errorDetail": { "message": message }, "error": message }));
                Ok(T::default())
            }
            other => other,
        }
    }
}

/// How far it is, as numbers and as Docker draws it.
pub(crate) fn add_bar(message: &mut Value, current: u64, total: u64) {
    let part = (current.saturating_mul(BAR)).checked_div(total).unwrap_or(0).min(BAR);
    let part = usize::try_from(part).unwrap_or(0);
    let rest = usize::try_from(BAR).unwrap_or(0).saturating_sub(part);
    let numbers = format!("{:>8}/{}", size(current), size(total));
    message["progressDetail"] = json!({ "current": current, "total": total });
    message["progress"] = json!(format!("[{}>{}] {numbers}", "=".repeat(part), " ".repeat(rest)));
}

/// Bytes with four digits, in powers of 1000.
#[allow(clippy::cast_precision_loss, reason = "four digits are shown")]
fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        if size < 1000.0 {
            break;
        }
        (size, unit) = (size / 1000.0, next);
    }
    let decimals = match size {
        size if size < 10.0 => 3,
        size if size < 100.0 => 2,
        _ => 1,
    };
    let number = format!("{size:.decimals$}");
    format!("{}{unit}", number.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::{add_bar, size};
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn sizes_and_bars_are_docker_s() {
        for (bytes, shown) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1024, "1.024kB"),
            (4_261_550, "4.262MB"),
            (300_000_000, "300MB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
        let mut message = json!({});
        add_bar(&mut message, 500, 1000);
        let bar = format!("[{}>{}]     500B/1kB", "=".repeat(25), " ".repeat(25));
        assert_eq!(message["progress"], json!(bar));
        assert_eq!(message["progressDetail"], json!({ "current": 500, "total": 1000 }));
    }

    proptest! {
        #[test]
        fn any_numbers_have_a_bar(current: u64, total: u64) {
            let mut message = json!({});
            add_bar(&mut message, current, total);
            let bar = message["progress"].as_str().unwrap();
            prop_assert_eq!(bar.find(']'), Some(52));
        }
    }
}
