//! How a command fails: a sentence for the user, and an exit code.

use crate::similar;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    /// One sentence; empty if all has been said.
    pub(crate) message: String,
    /// 1, or 125–127 where Docker has these.
    pub(crate) code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), code: 1 }
    }

    /// The same with another exit code.
    pub(crate) fn code(self, code: u8) -> Failure {
        Failure { code, ..self }
    }
}

/// Says something on stderr. What a name or an archive holds must not drive the terminal: control characters are
/// shown, not sent.
pub(crate) fn complain(message: &str) {
    eprintln!("bulkhead: {}", printable(message));
}

/// The text with its control characters (but for line ends and tabs) written out.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && !matches!(letter, '\n' | '\t') {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

impl From<bulkhead_engine::Error> for Failure {
    fn from(error: bulkhead_engine::Error) -> Failure {
        Failure::new(in_words(&error))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new(error.to_string())
    }
}

/// What went wrong, and which name may have been meant.
fn in_words(error: &bulkhead_engine::Error) -> String {
    match error {
        bulkhead_engine::Error::NotFound { kind, name } => format!("{error}{}", similar::hint(kind, name)),
        _ => error.to_string(),
    }
}

/// Failures of `run`, `create` and `exec` carry Docker's codes for them.
pub(crate) fn of_start(error: bulkhead_engine::Error) -> Failure {
    let code = u8::try_from(error.exit_code()).unwrap_or(125);
    Failure { message: in_words(&error), code }
}
