//! The options of a mount (config.md, "Linux mount options"): attributes, propagation, the runtime's own words, and what
//! is left for the file system.

use bulkhead_isolation::mounts::Attributes;
use bulkhead_sys::mount::attr;

use crate::error::{Error, Result};

/// They, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The mount's.
    pub attributes: Attributes,
    /// Whether it is a bind, and if with all below.
    pub bind: Option<bool>,
    /// Whether IDs are mapped, and if below too.
    pub idmap: Option<bool>,
    /// Whether what is mounted there already is changed.
    pub remount: bool,
    /// What attributes are taken away then.
    pub cleared: u64,
    /// Whether a memory file system gets what is below it.
    pub copy_up: bool,
    /// The file system's own; flags have an empty value.
    pub data: Vec<(String, String)>,
}

/// Words for attributes: which bit, and whether it is set.
const BITS: [(&str, u64, bool); 18] = [
    ("ro", attr::RDONLY, true),
    ("rw", attr::RDONLY, false),
    ("nosuid", attr::NOSUID, true),
    ("suid", attr::NOSUID, false),
    ("nodev", attr::NODEV, true),
    ("dev", attr::NODEV, false),
    ("noexec", attr::NOEXEC, true),
    ("exec", attr::NOEXEC, false),
    ("noatime", attr::NOATIME, true),
    ("atime", attr::NOATIME, false),
    ("strictatime", attr::STRICTATIME, true),
    ("nostrictatime", attr::STRICTATIME, false),
    ("nodiratime", attr::NODIRATIME, true),
    ("diratime", attr::NODIRATIME, false),
    ("nosymfollow", attr::NOSYMFOLLOW, true),
    ("symfollow", attr::NOSYMFOLLOW, false),
    // What holds if no other access time is asked for.
    ("relatime", 0, true),
    ("norelatime", 0, false),
];

/// Words that say what holds anyway, or have had no effect for long.
const USUAL: [&str; 10] =
    ["defaults", "async", "loud", "silent", "nolazytime", "nomand", "noiversion", "iversion", "acl", "noacl"];

/// Words for the whole file system.
const OF_FILE_SYSTEM: [&str; 4] = ["sync", "dirsync", "lazytime", "mand"];

/// All words that are taken, for `features`.
pub fn words() -> Vec<String> {
    let bits = BITS.iter().map(|(word, _, _)| (*word).to_owned());
    let recursive = BITS.iter().map(|(word, _, _)| format!("r{word}"));
    let further = [
        "bind",
        "rbind",
        "private",
        "rprivate",
        "slave",
        "rslave",
        "shared",
        "rshared",
        "unbindable",
        "runbindable",
        "idmap",
        "ridmap",
        "tmpcopyup",
        "remount",
    ];
    let mut all: Vec<String> = bits.chain(recursive).collect();
    all.extend(USUAL.iter().chain(&OF_FILE_SYSTEM).chain(&further).map(|word| (*word).to_owned()));
    all.sort_unstable();
    all
}

impl Options {
    /// Takes them apart.
    ///
    /// # Errors
    /// An option that contradicts what it is given with, or that cannot be done.
    pub fn parse(given: &[String]) -> Result<Options> {
        let mut options = Options::default();
        let (mut set, mut clear) = (0u64, 0u64);
        for word in given {
            let bit = |word: &str| BITS.iter().find(|(known, _, _)| *known == word);
            if let Some((_, bit, on)) = bit(word) {
                // Of two about the same the last counts.
                (set, clear) = if *on { (set | bit, clear & !bit) } else { (set & !bit, clear | bit) };
            } else if let Some((_, bit, on)) = word.strip_prefix('r').and_then(bit) {
                options.recurse(*bit, *on);
            } else if let Some(propagation) = super::propagation(word) {
                options.attributes.propagation = Some(propagation);
            } else if OF_FILE_SYSTEM.contains(&word.as_str()) {
                options.data.push((word.clone(), String::new()));
            } else if !USUAL.contains(&word.as_str()) {
                match word.as_str() {
                    "" => {}
                    "bind" => options.bind = options.bind.or(Some(false)),
                    "rbind" => options.bind = Some(true),
                    "idmap" => options.idmap = options.idmap.or(Some(false)),
                    "ridmap" => options.idmap = Some(true),
                    "tmpcopyup" => options.copy_up = true,
                    "remount" => options.remount = true,
                    own => {
                        let (key, value) = own.split_once('=').unwrap_or((own, ""));
                        options.data.push((key.to_owned(), value.to_owned()));
                    }
                }
            }
        }
        options.cleared = clear;
        options.attributes.readonly = set & attr::RDONLY != 0;
        options.attributes.nosuid = set & attr::NOSUID != 0;
        options.attributes.nodev = set & attr::NODEV != 0;
        options.attributes.noexec = set & attr::NOEXEC != 0;
        options.attributes.noatime = set & attr::NOATIME != 0;
        options.attributes.further = set & (attr::STRICTATIME | attr::NODIRATIME | attr::NOSYMFOLLOW);
        if set & attr::NOATIME != 0 && set & attr::STRICTATIME != 0 {
            return Err(Error::invalid("the mount options noatime and strictatime contradict each other"));
        }
        Ok(options)
    }

    /// `rro` and its like. Access times are one setting of three, which is cleared as a whole.
    fn recurse(&mut self, bit: u64, on: bool) {
        let (set, clear) = &mut self.attributes.recursive;
        let is_time = bit & attr::ATIME != 0 || bit == 0;
        if is_time {
            *set &= !attr::ATIME;
            *clear |= attr::ATIME;
        }
        if on {
            *set |= bit;
            if !is_time {
                *clear &= !bit;
            }
        } else if !is_time {
            *clear |= bit;
            *set &= !bit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, attr};
    use bulkhead_isolation::namespaces::mnt::Propagation;

    fn parse(words: &str) -> Options {
        Options::parse(&words.split(',').map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_last_of_two_counts_and_what_is_unknown_is_the_file_system_s() {
        let options = parse("ro,rw,noexec,exec,nosuid,size=64k,newinstance,rprivate,tmpcopyup,strictatime");
        assert!(!options.attributes.readonly && !options.attributes.noexec && options.attributes.nosuid);
        assert_eq!(options.attributes.further, attr::STRICTATIME);
        assert_eq!(options.attributes.propagation, Some(Propagation::RecursivePrivate));
        let data: Vec<(&str, &str)> = options.data.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(data, [("size", "64k"), ("newinstance", "")]);
        assert!(options.copy_up && options.bind.is_none());
    }

    #[test]
    fn recursive_attributes_are_kept_apart() {
        let options = parse("rbind,rro,rnosuid,rsuid,rnoatime");
        assert_eq!(options.bind, Some(true));
        assert_eq!(options.attributes.recursive, (attr::RDONLY | attr::NOATIME, attr::NOSUID | attr::ATIME));
        assert!(!options.attributes.readonly);
    }
}
