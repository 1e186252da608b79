//! /etc/hosts (hosts(5)), as Docker writes it: fixed lines for the loopback device, then what `--add-host` asks for,
//! then the container's own addresses and names.

use std::net::IpAddr;

use super::one_word;
use crate::error::Result;

const FILE: &str = "/etc/hosts";
const LOOPBACK: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// A line: an address and the names that stand for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEntry {
    /// The address.
    pub address: IpAddr,
    /// At least one name.
    pub names: Vec<String>,
}

/// Renders the file of a container with a network namespace of its own: `own` is the container's addresses with its
/// names (the full name first, where it has a domain), `extra` what `--add-host` gave.
///
/// # Errors
/// [`Error::FileText`](crate::Error::FileText) for names that are no single word.
pub fn hosts(own: &[HostEntry], extra: &[HostEntry]) -> Result<String> {
    let mut text = LOOPBACK.to_owned();
    append(&mut text, extra)?;
    append(&mut text, own)?;
    Ok(text)
}

/// Renders the file of a container on the host's network: the host's own, then `--add-host`.
///
/// # Errors
/// [`Error::FileText`](crate::Error::FileText) for names that are no single word.
pub fn hosts_of_the_host(host_file: &str, extra: &[HostEntry]) -> Result<String> {
    let mut text = host_file.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    append(&mut text, extra)?;
    Ok(text)
}

fn append(text: &mut String, entries: &[HostEntry]) -> Result<()> {
    // A line with an address and no name is an error to some resolvers.
    for entry in entries.iter().filter(|entry| !entry.names.is_empty()) {
        text.push_str(&entry.address.to_string());
        let mut separator = '\t';
        for name in &entry.names {
            text.push(separator);
            text.push_str(one_word(name, FILE)?);
            separator = ' ';
        }
        text.push('\n');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(address: &str, names: &[&str]) -> HostEntry {
        HostEntry {
            address: address.parse().unwrap(),
            names: names.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn it_is_dockers() {
        let text =
            hosts(&[entry("172.17.0.2", &["web.example.org", "web"])], &[entry("fd00::1", &["db"])]).unwrap();
        assert!(text.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"));
        assert!(text.ends_with("ff02::2\tip6-allrouters\nfd00::1\tdb\n172.17.0.2\tweb.example.org web\n"));
    }

    #[test]
    fn the_hosts_file_keeps_its_lines_even_without_a_line_break_at_its_end() {
        let extra = [entry("10.0.0.1", &["db"])];
        assert_eq!(hosts_of_the_host("1.1.1.1 a", &extra).unwrap(), "1.1.1.1 a\n10.0.0.1\tdb\n");
        assert_eq!(hosts_of_the_host("", &extra).unwrap(), "10.0.0.1\tdb\n");
        assert_eq!(hosts_of_the_host("", &[]).unwrap(), "");
        assert_eq!(hosts_of_the_host("", &[entry("10.0.0.1", &[])]).unwrap(), "");
    }

    proptest! {
        #[test]
        fn a_name_never_makes_a_line_of_its_own(name in any::<String>()) {
            if let Ok(text) = hosts(&[entry("10.0.0.2", &[&name])], &[]) {
                prop_assert_eq!(text.lines().count(), LOOPBACK.lines().count() + 1);
                let last = text.lines().last().unwrap_or_default();
                prop_assert_eq!(last.split_whitespace().collect::<Vec<_>>(), ["10.0.0.2", name.as_str()]);
            } else {
                let odd = |character: char| character.is_whitespace() || character.is_control() || "#;".contains(character);
                prop_assert!(name.is_empty() || name.contains(odd));
            }
        }
    }
}
