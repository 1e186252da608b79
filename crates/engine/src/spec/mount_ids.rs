//! `:idmap[=uids=…;gids=…]`, `:noidmap` and `:U` of `-v` and `--mount`, as Podman has them.
//!
//! Docker's configuration has no place for them: they travel in annotations, one for each mount ([`key`]).

use bulkhead_isolation::mounts::ids::{BindIds, Inside, Line};

use crate::error::{Error, Result};

/// Which IDs on disk are which inside, as the user wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// The mapping.
    pub mapping: Mapping,
    /// Whether the source is given to the container's user first.
    pub reown: bool,
}

/// The mapping that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mapping {
    /// The engine decides (see docs/user-namespaces.md).
    #[default]
    Usual,
    /// None.
    None,
    /// IDs on disk are container IDs; or these lists say which are which, if there are any.
    Idmap(String),
}

/// The annotation that holds the wish for the mount at `target`; its value is a list as in `-v`.
pub fn key(target: &str) -> String {
    format!("io.bulkhead.mount.ids:{target}")
}

impl Ids {
    /// Reads a list of options, all of which must be ours.
    ///
    /// # Errors
    /// One that is not.
    pub fn read(text: &str) -> Result<Ids> {
        let mut ids = Ids::default();
        for option in text.split(',').filter(|option| !option.is_empty()) {
            if !ids.take(option)? {
                return Err(Error::Invalid(format!(
                    "invalid option {option:?} for the IDs of a mount: idmap[=uids=DISK-HOST-COUNT;gids=…], noidmap or U"
                )));
            }
        }
        Ok(ids)
    }

    /// Takes one option. Gives whether it is one of ours.
    ///
    /// # Errors
    /// It contradicts another, or cannot be read.
    pub fn take(&mut self, option: &str) -> Result<bool> {
        let mapping = match option.split_once('=').map_or((option, ""), |parts| parts) {
            ("U", "") | ("U" | "chown", "true") => {
                self.reown = true;
                return Ok(true);
            }
            ("noidmap", "") => Mapping::None,
            ("idmap", lists) => {
                lines(lists)?;
                Mapping::Idmap(lists.to_owned())
            }
            _ => return Ok(false),
        };
        if self.mapping != Mapping::Usual {
            return Err(Error::Invalid("a mount takes one of idmap and noidmap, once".into()));
        }
        self.mapping = mapping;
        Ok(true)
    }

    /// As a list of options; `None` for the usual.
    pub fn to_text(&self) -> Option<String> {
        let mapping = match &self.mapping {
            Mapping::Usual => None,
            Mapping::None => Some("noidmap".to_owned()),
            Mapping::Idmap(lists) if lists.is_empty() => Some("idmap".to_owned()),
            Mapping::Idmap(lists) => Some(format!("idmap={lists}")),
        };
        let all: Vec<String> = mapping.into_iter().chain(self.reown.then(|| "U".to_owned())).collect();
        (!all.is_empty()).then(|| all.join(","))
    }
}

/// What `idmap=LISTS` comes to.
pub(crate) fn bind_ids(lists: &str) -> Result<BindIds> {
    let (uids, gids) = lines(lists)?;
    Ok(BindIds::Lines { uids, gids })
}

/// `uids=DISK-HOST-COUNT#…;gids=…`; after an `@`, the second number is a container's ID and not the host's. What is
/// not given is the same on disk and inside.
fn lines(lists: &str) -> Result<(Vec<Line>, Vec<Line>)> {
    let bad = |why: &str| {
        Error::Invalid(format!(
            "invalid mount option \"idmap={lists}\": {why} (write idmap=uids=DISK-HOST-COUNT#…;gids=…, or \
             @DISK-CONTAINER-COUNT)"
        ))
    };
    let all = vec![Line { disk: 0, inside: Inside::Container(0), count: u32::MAX }];
    let (mut uids, mut gids) = (None, None);
    for list in lists.split(';').filter(|list| !list.is_empty()) {
        let (kind, triples) = list.split_once('=').ok_or_else(|| bad("a list has no name"))?;
        let mut found = Vec::new();
        for triple in triples.split('#') {
            let (relative, numbers) = triple.strip_prefix('@').map_or((false, triple), |rest| (true, rest));
            let numbers: Vec<Option<u32>> = numbers.split('-').map(|number| number.parse().ok()).collect();
            let [Some(disk), Some(inside), Some(count)] = numbers[..] else {
                return Err(bad("an entry is not three numbers"));
            };
            let fits = |first: u32| first.checked_add(count).is_some_and(|end| end < u32::MAX);
            if count == 0 || !fits(disk) || !fits(inside) {
                return Err(bad("there are no such IDs"));
            }
            let inside = if relative { Inside::Container(inside) } else { Inside::Host(inside) };
            found.push(Line { disk, inside, count });
        }
        if found.len() > 300 {
            return Err(bad("it has more than 300 entries"));
        }
        match kind {
            "uids" if uids.is_none() => uids = Some(found),
            "gids" if gids.is_none() => gids = Some(found),
            _ => return Err(bad("a list is neither uids nor gids, once")),
        }
    }
    Ok((uids.unwrap_or_else(|| all.clone()), gids.unwrap_or(all)))
}

#[cfg(test)]
mod tests {
    use super::{Ids, Mapping, lines};
    use bulkhead_isolation::mounts::ids::{Inside, Line};
    use proptest::prelude::*;

    #[test]
    fn options_are_read_and_written_alike() {
        for text in ["idmap", "noidmap", "U", "idmap=uids=0-1-10;gids=@0-0-5#7-8-9,U"] {
            assert_eq!(Ids::read(text).unwrap().to_text().as_deref(), Some(text));
        }
        assert_eq!(Ids::default().to_text(), None);
        assert_eq!(Ids::read("U").unwrap(), Ids { mapping: Mapping::Usual, reown: true });
        for bad in ["ro", "idmap,noidmap", "idmap=", "idmap=x", "idmap=uids=1-2", "idmap=uids=0-0-0", "u"] {
            assert!(bad == "idmap=" || Ids::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_at_sign_means_the_container_s_ids() {
        let (uids, gids) = lines("uids=0-5-1#@3-4-2").unwrap();
        assert_eq!(
            uids,
            [
                Line { disk: 0, inside: Inside::Host(5), count: 1 },
                Line { disk: 3, inside: Inside::Container(4), count: 2 }
            ]
        );
        assert_eq!(gids, [Line { disk: 0, inside: Inside::Container(0), count: u32::MAX }]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "(idmap=)?[uids=gd0-9@#;,-]{0,40}") {
            let _ = Ids::read(&text);
        }
    }
}
