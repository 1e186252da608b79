//! `--volumes-from CONTAINER[:ro|rw]`: what another container has mounted of the host's folders and of volumes, at the
//! same places. It is looked up once, when the container is made; from then on the volumes are its own as well.

use super::binds::{Source, Wanted, absolute};
use crate::error::{Error, Result};

/// `CONTAINER[:MODE]`: whom, and whether nothing of it may be written.
///
/// # Errors
/// Another mode than Docker's.
pub(crate) fn parse(text: &str) -> Result<(&str, bool)> {
    let (name, mode) = text.split_once(':').unwrap_or((text, "rw"));
    if name.is_empty() {
        return Err(Error::Invalid(format!("invalid volumes-from {text:?}: write CONTAINER[:ro|rw]")));
    }
    match mode {
        "rw" | "z" | "Z" => Ok((name, false)),
        "ro" => Ok((name, true)),
        other => Err(Error::Invalid(format!("invalid mode for volumes-from: {other}"))),
    }
}

/// Adds to `all` what `other` has mounted. A later container's mount takes the place of an earlier one's.
pub(crate) fn add(all: &mut Vec<Wanted>, other: Vec<Wanted>, readonly: bool) {
    for mut one in other {
        match &mut one.source {
            Source::Bind { .. } => {}
            // The other's image has filled it, if one was to.
            Source::Volume { copy, .. } => *copy = false,
            Source::Image { .. } | Source::Tmpfs { .. } => continue,
        }
        one.readonly |= readonly;
        all.retain(|earlier| earlier.target != one.target);
        all.push(one);
    }
}

/// Takes the paths that come from other containers from those that the image declares to be volumes.
pub(crate) fn instead_of_the_image_s(volumes: &mut Option<Vec<String>>, from: &[Wanted]) {
    if let Some(volumes) = volumes {
        volumes
            .retain(|path| !absolute(path).is_ok_and(|target| from.iter().any(|one| one.target == target)));
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_container_and_a_mode() {
        assert_eq!(parse("web").unwrap(), ("web", false));
        assert_eq!(parse("web:ro").unwrap(), ("web", true));
        assert_eq!(parse("web:rw").unwrap(), ("web", false));
        for bad in ["", ":ro", "web:", "web:rw,ro", "web:ro:x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
