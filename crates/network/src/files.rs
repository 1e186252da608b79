//! The three files of a container that say what it is called and whom it asks: /etc/hosts, /etc/resolv.conf and
//! /etc/hostname. Pure functions from text to text; who writes them where is the engine's concern.
//!
//! Everything that a user gave is checked before it becomes a part of a line: a host name with a line break in it
//! would otherwise be a line of its own.

mod hosts;
mod resolv_conf;

use crate::error::{Error, Result};

pub use hosts::{HostEntry, hosts, hosts_of_the_host};
pub use resolv_conf::{
    DnsOverrides, NAME_SERVICE, SYSTEMD_RESOLV_CONF, is_systemd_stub, nameservers, resolv_conf,
    resolv_conf_of_names, resolv_conf_of_the_host,
};

/// Renders /etc/hostname.
///
/// # Errors
/// [`Error::FileText`] if the name is empty or more than one word.
pub fn hostname(name: &str) -> Result<String> {
    Ok(one_word(name, "/etc/hostname")?.to_owned() + "\n")
}

/// Refuses what would be more than one word of a line, or a comment.
fn one_word<'a>(text: &'a str, file: &'static str) -> Result<&'a str> {
    let problem = if text.is_empty() {
        "it is empty; leave it out or give a name"
    } else if text.chars().any(|character| character.is_whitespace() || character.is_control()) {
        "it has spaces or control characters in it; give it as one word"
    } else if text.contains(['#', ';']) {
        "the rest of the line would be a comment; leave '#' and ';' out"
    } else {
        return Ok(text);
    };
    Err(Error::FileText { text: text.to_owned(), file, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostname_is_a_line() {
        assert_eq!(hostname("web").unwrap(), "web\n");
        for bad in ["", "a b", "a\nb", "a\0", "#a", "a\u{2028}b"] {
            let error = hostname(bad).unwrap_err().to_string();
            assert!(error.contains("/etc/hostname"), "{error}");
        }
    }
}
