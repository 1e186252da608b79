//! The name of an entry, cleaned as text: what Docker's `filepath.Clean` does, but refusing what climbs out.

use crate::unpack::Limits;
use crate::{ImageError, Result};

/// The prefix of a whiteout.
const WHITEOUT: &[u8] = b".wh.";
/// The prefix of AUFS's own files, which mean nothing to anyone else.
const AUFS: &[u8] = b".wh..wh.";
/// Hides all that lower layers have in a directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// A path relative to the layer's root: no empty components, no `.`, no `..`. Empty is the root itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CleanPath(Vec<u8>);

impl CleanPath {
    /// Cleans `name`; an absolute path counts from the layer's root.
    pub(super) fn new(name: &[u8], limits: &Limits) -> Result<CleanPath> {
        if name.len() > limits.max_path {
            return Err(ImageError::entry(name, format!("its path has more than {} bytes", limits.max_path)));
        }
        let mut path: Vec<u8> = Vec::with_capacity(name.len());
        for component in name.split(|b| *b == b'/') {
            match component {
                b"" | b"." => {}
                b".." if path.is_empty() => {
                    return Err(ImageError::entry(name, "it points out of the layer's root with \"..\""));
                }
                b".." => path.truncate(path.iter().rposition(|b| *b == b'/').unwrap_or(0)),
                component => {
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(component);
                }
            }
        }
        Ok(CleanPath(path))
    }

    /// A path that a person gives: `..` of the root is the root, as the kernel has it. Where links lie on the way the
    /// kernel would go back to where they led; who follows them resolves `..` there.
    pub(super) fn in_root(path: &[u8]) -> CleanPath {
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in path.split(|b| *b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        CleanPath(parts.join(&b'/'))
    }

    /// The same below the clean path `base`.
    pub(super) fn below(self, base: &[u8]) -> CleanPath {
        match (base, self.0.as_slice()) {
            (b"", _) => self,
            (base, b"") => CleanPath(base.to_vec()),
            (base, path) => CleanPath([base, b"/", path].concat()),
        }
    }

    /// Whether it is the root.
    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Parent and last component; `None` for the root.
    pub(super) fn split(&self) -> Option<(&[u8], &[u8])> {
        if self.0.is_empty() {
            return None;
        }
        match self.0.iter().rposition(|b| *b == b'/') {
            Some(slash) => Some((self.0.get(..slash)?, self.0.get(slash + 1..)?)),
            None => Some((b"", &self.0)),
        }
    }
}

/// What a last component means in a layer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// A file of that name.
    Plain,
    /// The name is removed.
    Whiteout(&'a [u8]),
    /// The directory hides everything below it.
    Opaque,
    /// AUFS's bookkeeping: read over.
    Ignored,
    /// A name that would be something else after the prefix is taken away.
    Invalid,
}

/// Reads the whiteout prefixes of a path split by [`CleanPath::split`].
pub(super) fn meaning<'a>(parent: &[u8], last: &'a [u8]) -> Meaning<'a> {
    for component in parent.split(|b| *b == b'/') {
        if component.starts_with(AUFS) {
            return Meaning::Ignored;
        }
        if component.starts_with(WHITEOUT) {
            return Meaning::Invalid;
        }
    }
    if last == OPAQUE {
        return Meaning::Opaque;
    }
    if last.starts_with(AUFS) {
        return Meaning::Ignored;
    }
    match last.strip_prefix(WHITEOUT) {
        None => Meaning::Plain,
        Some(b"" | b"." | b"..") => Meaning::Invalid,
        Some(name) => Meaning::Whiteout(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clean(name: &str) -> Option<String> {
        CleanPath::new(name.as_bytes(), &Limits::default())
            .ok()
            .map(|path| String::from_utf8(path.0).unwrap())
    }

    #[test]
    fn paths_are_cleaned_as_text() {
        for (name, path) in
            [("a//b/./c/", "a/b/c"), ("/a", "a"), ("./", ""), ("a/../b", "b"), ("a/..", ""), ("", "")]
        {
            assert_eq!(clean(name).as_deref(), Some(path), "{name}");
        }
        for name in ["..", "../a", "/..", "a/../../b", "./../x"] {
            assert_eq!(clean(name), None, "{name}");
        }
        assert_eq!(clean(&"a/".repeat(2100)), None);
    }

    #[test]
    fn whiteouts_are_told_by_their_prefix() {
        assert_eq!(meaning(b"a", b"b"), Meaning::Plain);
        assert_eq!(meaning(b"", b".wh.b"), Meaning::Whiteout(b"b"));
        assert_eq!(meaning(b"a", b".wh..wh..opq"), Meaning::Opaque);
        assert_eq!(meaning(b"", b".wh..wh.plnk"), Meaning::Ignored);
        assert_eq!(meaning(b".wh..wh.plnk", b"1.2"), Meaning::Ignored);
        assert_eq!(meaning(b"a/.wh.b", b"c"), Meaning::Invalid);
        assert_eq!(meaning(b"a", b".wh..."), Meaning::Invalid);
        assert_eq!(meaning(b"a", b".wh."), Meaning::Invalid);
    }

    proptest! {
        #[test]
        fn a_clean_path_has_only_names(name in "[a./]{0,30}") {
            if let Some(path) = clean(&name) {
                prop_assert!(path.is_empty() || path.split('/').all(|c| !matches!(c, "" | "." | "..")));
                prop_assert_eq!(clean(&path), Some(path));
            }
        }
    }
}
