//! `--userns`: `host`, `auto[:OPTIONS]`, `keep-id[:OPTIONS]`, `container:NAME`, as Podman has them, and
//! `map:uids=…;gids=…`, in which `--uidmap` and `--gidmap` travel, since Docker's configuration has no other place.

use bulkhead_isolation::namespaces::user::IdMap;

use crate::error::{Error, Result};

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing.
    Usual,
    /// No user namespace.
    Host,
    /// A range of its own.
    Auto(Auto),
    /// Whoever asks is inside who they are outside.
    KeepId {
        /// Who they are inside, if that is to be somebody else.
        uid: Option<u32>,
        /// Their group.
        gid: Option<u32>,
        /// How many IDs there are.
        size: Option<u32>,
    },
    /// That of another container.
    Container(String),
    /// By these lines alone.
    Lines {
        /// Users.
        uids: Vec<IdMap>,
        /// Groups.
        gids: Vec<IdMap>,
    },
}

/// `auto`'s options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Auto {
    /// How many IDs there are.
    pub(crate) size: Option<u32>,
    /// Lines that come before those of the range.
    pub(crate) uids: Vec<IdMap>,
    /// The same for groups.
    pub(crate) gids: Vec<IdMap>,
}

impl Mode {
    /// Reads it.
    ///
    /// # Errors
    /// A word, an option or a number that makes no sense.
    pub(crate) fn read(text: &str) -> Result<Mode> {
        let bad = |why: &str| {
            Error::Invalid(format!(
                "invalid userns mode {text:?}: {why} (auto[:size=N,uidmapping=C:H:N,gidmapping=C:H:N], host, \
                 keep-id[:uid=N,gid=N,size=N] or container:NAME)"
            ))
        };
        let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        let options = || {
            rest.iter().flat_map(|rest| rest.split(',')).map(|option| {
                option.split_once('=').ok_or_else(|| bad(&format!("{option:?} is not an option")))
            })
        };
        let number = |value: &str| {
            let found = value.parse::<u32>().ok().filter(|number| *number < u32::MAX);
            found.ok_or_else(|| bad(&format!("{value:?} is not a number")))
        };
        match (word, rest) {
            ("", None) => Ok(Mode::Usual),
            ("host", None) => Ok(Mode::Host),
            ("container", Some(name)) if !name.is_empty() => Ok(Mode::Container(name.to_owned())),
            ("auto", _) => {
                let mut auto = Auto::default();
                for option in options() {
                    match option? {
                        ("size", value) => auto.size = Some(number(value)?).filter(|size| *size > 0),
                        ("uidmapping", value) => auto.uids.push(line(value)?),
                        ("gidmapping", value) => auto.gids.push(line(value)?),
                        (key, _) => return Err(bad(&format!("there is no option {key:?} of auto"))),
                    }
                }
                disjoint(&auto.uids)?;
                disjoint(&auto.gids)?;
                Ok(Mode::Auto(auto))
            }
            ("keep-id", _) => {
                let (mut uid, mut gid, mut size) = (None, None, None);
                for option in options() {
                    match option? {
                        ("uid", value) => uid = Some(number(value)?),
                        ("gid", value) => gid = Some(number(value)?),
                        ("size", value) => size = Some(number(value)?).filter(|size| *size > 0),
                        (key, _) => return Err(bad(&format!("there is no option {key:?} of keep-id"))),
                    }
                }
                Ok(Mode::KeepId { uid, gid, size })
            }
            ("map", Some(rest)) => {
                let (mut uids, mut gids) = (Vec::new(), Vec::new());
                for part in rest.split(';') {
                    let (key, value) = part.split_once('=').ok_or_else(|| bad("a part is no list"))?;
                    let lines = value.split(',').map(line).collect::<Result<Vec<_>>>()?;
                    match key {
                        "uids" => uids = lines,
                        "gids" => gids = lines,
                        _ => return Err(bad("a part is neither uids nor gids")),
                    }
                }
                // As Podman: one of them stands for both.
                if uids.is_empty() {
                    uids.clone_from(&gids);
                } else if gids.is_empty() {
                    gids.clone_from(&uids);
                }
                disjoint(&uids)?;
                disjoint(&gids)?;
                Ok(Mode::Lines { uids, gids })
            }
            _ => Err(bad("there is no such mode")),
        }
    }
}

/// `CONTAINER:HOST:COUNT`.
fn line(text: &str) -> Result<IdMap> {
    let bad = |why: &str| {
        Error::Invalid(format!("invalid ID mapping {text:?}: {why} (write CONTAINER_ID:HOST_ID:COUNT)"))
    };
    let numbers: Vec<Option<u32>> = text.split(':').map(|part| part.parse().ok()).collect();
    let [Some(inside), Some(outside), Some(count)] = numbers[..] else {
        return Err(bad("it is not three numbers"));
    };
    let fits = |first: u32| first.checked_add(count).is_some_and(|end| end < u32::MAX);
    if count == 0 || !fits(inside) || !fits(outside) {
        return Err(bad("there are no such IDs"));
    }
    if outside == 0 {
        return Err(bad("the host's root is never mapped into a user namespace: use --userns=host"));
    }
    Ok(IdMap { inside, outside, count })
}

fn disjoint(lines: &[IdMap]) -> Result<()> {
    let overlap = |first: fn(&IdMap) -> u32| {
        let mut spans: Vec<(u32, u32)> = lines.iter().map(|line| (first(line), line.count)).collect();
        spans.sort_unstable();
        spans.windows(2).any(|pair| matches!(pair, [a, b] if a.0 + a.1 > b.0))
    };
    if lines.len() > 338 {
        return Err(Error::Invalid("invalid ID mapping: more than 338 lines".into()));
    }
    if overlap(|line| line.inside) || overlap(|line| line.outside) {
        return Err(Error::Invalid("invalid ID mapping: its lines overlap".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Auto, Mode};
    use bulkhead_isolation::namespaces::user::IdMap;
    use proptest::prelude::*;

    fn map(inside: u32, outside: u32, count: u32) -> IdMap {
        IdMap { inside, outside, count }
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(Mode::read("").unwrap(), Mode::Usual);
        assert_eq!(Mode::read("host").unwrap(), Mode::Host);
        assert_eq!(Mode::read("auto").unwrap(), Mode::Auto(Auto::default()));
        let auto = Auto { size: Some(7), uids: vec![map(0, 1000, 1)], gids: vec![map(1, 2, 3)] };
        assert_eq!(Mode::read("auto:size=7,uidmapping=0:1000:1,gidmapping=1:2:3").unwrap(), Mode::Auto(auto));
        let kept = Mode::KeepId { uid: Some(5), gid: None, size: None };
        assert_eq!(Mode::read("keep-id:uid=5").unwrap(), kept);
        assert_eq!(Mode::read("container:x").unwrap(), Mode::Container("x".into()));
        let both = Mode::Lines { uids: vec![map(0, 100_000, 5)], gids: vec![map(0, 100_000, 5)] };
        assert_eq!(Mode::read("map:uids=0:100000:5").unwrap(), both);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            "private",
            "container:",
            "auto:",
            "auto:size",
            "auto:size=x",
            "auto:what=1",
            "auto:uidmapping=0:0:1",
            "auto:uidmapping=0:1000:0",
            "auto:uidmapping=0:1000:2,uidmapping=1:3000:1",
            "keep-id:size=x",
            "host:x",
            "map:",
            "map:uids=0:4294967295:1",
            "map:uids=0:0:65536",
            "map:uids=0:1:5,9:3:5",
        ] {
            assert!(Mode::read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "(auto|keep-id|map|container|host)?:?[a-z0-9=:,;]{0,40}") {
            let _ = Mode::read(&text);
        }
    }
}
