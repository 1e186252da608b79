//! What could not be kept: counted, told to whoever inspects the container, and said in the log itself as soon as that
//! can be written again.

use bulkhead_isolation::describe;

/// The lines that were lost and not yet said.
#[derive(Debug, Default)]
pub(super) struct Loss {
    lines: u64,
    why: String,
    /// What is new for the container's status.
    news: Option<String>,
}

impl Loss {
    /// Counts lines that are lost.
    pub(super) fn add(&mut self, lines: u64, why: &std::io::Error) {
        if lines == 0 {
            return;
        }
        if self.lines == 0 {
            self.why = describe(why);
            self.news = Some(format!("cannot keep the log: {}", self.why));
        }
        self.lines += lines;
    }

    /// What the log is to say, and how many lines it tells of; `None` if nothing is missing.
    pub(super) fn notice(&self) -> Option<(String, u64)> {
        (self.lines > 0).then(|| {
            let lines = if self.lines == 1 { "line of this log is" } else { "lines of this log are" };
            (format!("bulkhead: {} {lines} lost: {}", self.lines, self.why), self.lines)
        })
    }

    /// The notice that told of so many is in the log.
    pub(super) fn told(&mut self, lines: u64) {
        if lines > 0 {
            self.news = Some(format!("{lines} lines of the log were lost: {}", self.why));
            self.lines -= lines.min(self.lines);
        }
    }

    /// What the container's status does not say yet.
    pub(super) fn news(&mut self) -> Option<String> {
        self.news.take()
    }

    /// The last word, when the container has ended.
    pub(super) fn end(&mut self) {
        if self.lines > 0 {
            self.news = Some(format!("cannot keep the log: {}; {} lines are lost", self.why, self.lines));
        }
    }
}
