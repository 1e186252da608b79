//! The unit that a container is for systemd, by `linux.cgroupsPath` as runc has it: `SLICE:PREFIX:NAME` is the scope
//! `PREFIX-NAME.scope` in that slice (systemd.scope(5), systemd.slice(5)).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The slice of units that name none.
const SLICE: &str = "system.slice";
/// The root of all slices, which has the root of each hierarchy.
const ROOT: &str = "-.slice";
/// What scopes of this runtime's are called if nothing is said.
const PREFIX: &str = "bulkhead";
/// The longest name of a unit.
const LONGEST: usize = 255;

/// A scope in its slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The slice's name.
    pub slice: String,
    /// The scope's name.
    pub name: String,
    /// Which run of the scope is the container's (`InvocationID`), since the same name may be another's before and after;
    /// `None`: systemd has made none.
    #[serde(default)]
    pub run: Option<String>,
}

impl Unit {
    /// By the configuration's path; if that is empty, in the system's slice by the container's ID.
    ///
    /// # Errors
    /// It is no such path, or systemd would call no unit so.
    pub fn parse(path: &str, id: &str) -> Result<Unit> {
        let parts: Vec<&str> = if path.is_empty() { vec!["", PREFIX, id] } else { path.split(':').collect() };
        let &[slice, prefix, name] = parts.as_slice() else {
            return Err(Error::invalid(format!(
                "config.json: linux.cgroupsPath: expected cgroupsPath to be of format \"slice:prefix:name\" for \
                 systemd cgroups, got \"{path}\" instead"
            )));
        };
        let bad = |what: String| Error::invalid(format!("config.json: linux.cgroupsPath: {what}"));
        if name.is_empty() {
            return Err(bad(format!("{path:?} names no unit")));
        }
        if name.ends_with(".slice") {
            return Err(bad(format!("{name} is a slice, which has units in it and no processes")));
        }
        let slice = if slice.is_empty() { SLICE } else { slice };
        let dash = if prefix.is_empty() { "" } else { "-" };
        let unit = Unit { slice: slice.to_owned(), name: format!("{prefix}{dash}{name}.scope"), run: None };
        for name in [&unit.slice, &unit.name] {
            if name.len() > LONGEST || !name.chars().all(is_of_units) {
                return Err(bad(format!(
                    "{name:?} cannot be a unit of systemd's: letters, digits and :-_.\\ make its name, up to {LONGEST}"
                )));
            }
        }
        expand(&unit.slice).ok_or_else(|| bad(format!("invalid slice name: {}", unit.slice)))?;
        Ok(unit)
    }

    /// Its group's path below the root of each hierarchy.
    pub fn path(&self) -> String {
        // A slice that has no path was refused when the unit was made.
        format!("{}/{}", expand(&self.slice).unwrap_or_default(), self.name)
    }
}

/// What systemd makes names of.
fn is_of_units(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || ":-_.\\".contains(letter)
}

/// A slice's path: `a-b.slice` is in `a.slice`, so `/a.slice/a-b.slice`. The root's is empty.
fn expand(slice: &str) -> Option<String> {
    if slice == ROOT {
        return Some(String::new());
    }
    let stem = slice.strip_suffix(".slice")?;
    let mut path = String::new();
    let mut name = String::new();
    for part in stem.split('-') {
        if part.is_empty() || part.contains('/') {
            return None;
        }
        let dash = if name.is_empty() { "" } else { "-" };
        name = format!("{name}{dash}{part}");
        path.push_str(&format!("/{name}.slice"));
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::{Unit, expand};
    use proptest::prelude::*;

    #[test]
    fn slices_are_in_one_another() {
        assert_eq!(expand("-.slice").as_deref(), Some(""));
        assert_eq!(expand("a.slice").as_deref(), Some("/a.slice"));
        let kube = "/kubepods.slice/kubepods-pod1.slice/kubepods-pod1-x.y.slice";
        assert_eq!(expand("kubepods-pod1-x.y.slice").as_deref(), Some(kube));
        for bad in ["", "a", ".slice", "-a.slice", "a-.slice", "a--b.slice", "a/b.slice", "--.slice"] {
            assert_eq!(expand(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_path_is_a_slice_a_prefix_and_a_name() {
        let path = |path: &str| Unit::parse(path, "one").map(|unit| unit.path()).unwrap();
        assert_eq!(path(""), "/system.slice/bulkhead-one.scope");
        assert_eq!(path(":docker:x"), "/system.slice/docker-x.scope");
        assert_eq!(path("a-b.slice:p:x"), "/a.slice/a-b.slice/p-x.scope");
        assert_eq!(path("-.slice::x"), "/x.scope");
        for bad in
            ["/a/b", "a", "a:b", "a:b:c:d", "a.slice:b:", "a:b:c", "a.slice:b:c/d", "a.slice:b:x.slice"]
        {
            assert!(Unit::parse(bad, "one").is_err(), "{bad}");
        }
        assert!(Unit::parse("", &"x".repeat(250)).is_err());
    }

    proptest! {
        #[test]
        fn no_unit_leads_out_of_its_hierarchy(path in "[a-z./:\\-]{0,40}") {
            if let Ok(unit) = Unit::parse(&path, "one") {
                let path = unit.path();
                prop_assert!(path.starts_with('/') && path.ends_with(".scope"));
                prop_assert!(path.split('/').skip(1).all(|part| !part.is_empty() && part != ".." && part != "."));
            }
        }
    }
}
