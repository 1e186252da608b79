//! `--mount type=bind,source=…,target=…`: a line of comma-separated values, which may be quoted.

use bulkhead_engine::models::{
    Mount, MountBindOptions, MountTmpfsOptions, MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig,
};

use crate::failure::Failure;
use crate::output::units::ram_in_bytes;

/// Reads one. Gives also what is wanted about its IDs, as `-v` has it.
pub(super) fn parse(text: &str) -> Result<(Mount, String), Failure> {
    let bad = |why: String| {
        Failure::new(format!("invalid argument {text:?} for \"--mount\" flag: {why}")).code(125)
    };
    let mut mount = Mount { typ: Some(MountType::VOLUME), ..Mount::default() };
    let (mut bind, mut volume, mut tmpfs) =
        (MountBindOptions::default(), MountVolumeOptions::default(), MountTmpfsOptions::default());
    let mut driver = MountVolumeOptionsDriverConfig::default();
    let (mut of_bind, mut of_volume, mut of_tmpfs) = (false, false, false);
    let mut ids = Vec::new();
    for field in fields(text).ok_or_else(|| bad("a quote is not closed".into()))? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_ascii_lowercase(), Some(value)),
            None => (field.to_ascii_lowercase(), None),
        };
        let needed = || value.ok_or_else(|| bad(format!("invalid field '{field}' must be a key=value pair")));
        let truth = || match value {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(bad(format!("invalid value for {key}: {other}"))),
        };
        match key.as_str() {
            "type" => {
                mount.typ = Some(match needed()? {
                    "bind" => MountType::BIND,
                    "volume" => MountType::VOLUME,
                    "tmpfs" => MountType::TMPFS,
                    "image" => MountType::IMAGE,
                    other => {
                        return Err(bad(format!(
                            "mount type {other:?} is not one of bind, volume, tmpfs, image"
                        )));
                    }
                });
            }
            "source" | "src" => mount.source = Some(needed()?.to_owned()),
            "target" | "dst" | "destination" => mount.target = Some(needed()?.to_owned()),
            "idmap" => ids.push(value.map_or("idmap".to_owned(), |lists| format!("idmap={lists}"))),
            "noidmap" => ids.extend(truth()?.then(|| "noidmap".to_owned())),
            "u" | "chown" => ids.extend(truth()?.then(|| "U".to_owned())),
            "readonly" | "ro" => mount.read_only = Some(truth()?),
            "bind-propagation" => {
                let word = needed()?;
                bind.propagation =
                    Some(word.parse().map_err(|_| bad(format!("invalid propagation {word:?}")))?);
                of_bind = true;
            }
            "bind-recursive" => {
                bind.non_recursive = Some(match needed()? {
                    "enabled" => false,
                    "disabled" => true,
                    other => return Err(bad(format!("invalid value for bind-recursive: {other}"))),
                });
                of_bind = true;
            }
            "volume-nocopy" => {
                volume.no_copy = Some(truth()?);
                of_volume = true;
            }
            "volume-label" => {
                let (key, value) = needed()?.split_once('=').unwrap_or((needed()?, ""));
                volume.labels.get_or_insert_default().insert(key.to_owned(), value.to_owned());
                of_volume = true;
            }
            "volume-driver" => {
                driver.name = Some(needed()?.to_owned());
                of_volume = true;
            }
            "volume-opt" => {
                let (key, value) = needed()?.split_once('=').unwrap_or((needed()?, ""));
                driver.options.get_or_insert_default().insert(key.to_owned(), value.to_owned());
                of_volume = true;
            }
            "tmpfs-size" => {
                let size = needed()?;
                tmpfs.size_bytes =
                    Some(ram_in_bytes(size).map_err(|_| bad(format!("invalid value for {key}: {size}")))?);
                of_tmpfs = true;
            }
            "tmpfs-mode" => {
                let mode = needed()?;
                tmpfs.mode = Some(
                    i64::from_str_radix(mode, 8)
                        .map_err(|_| bad(format!("invalid value for {key}: {mode}")))?,
                );
                of_tmpfs = true;
            }
            _ => return Err(bad(format!("unexpected key '{key}' in '{field}'"))),
        }
    }
    if mount.target.as_deref().unwrap_or("").is_empty() {
        return Err(bad("target is required".into()));
    }
    let (wrong, word) = match mount.typ {
        Some(MountType::BIND) => (of_volume || of_tmpfs, "bind"),
        Some(MountType::TMPFS) => (of_bind || of_volume, "tmpfs"),
        Some(MountType::IMAGE) => (of_bind || of_volume || of_tmpfs, "image"),
        _ => (of_bind || of_tmpfs, "volume"),
    };
    if wrong {
        return Err(bad(format!("options of another type of mount than {word}")));
    }
    mount.bind_options = of_bind.then_some(bind);
    volume.driver_config = Some(driver).filter(|driver| *driver != MountVolumeOptionsDriverConfig::default());
    mount.volume_options = of_volume.then_some(volume);
    mount.tmpfs_options = of_tmpfs.then_some(tmpfs);
    Ok((mount, ids.join(",")))
}

/// Splits at commas outside of double quotes (RFC 4180).
fn fields(text: &str) -> Option<Vec<String>> {
    let (mut all, mut current, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                current.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut current)),
            letter => current.push(letter),
        }
    }
    all.push(current);
    (!quoted).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use bulkhead_engine::models::MountType;

    #[test]
    fn mounts_are_read_or_refused() {
        let (mount, ids) = parse("type=bind,\"src=/a,b\",dst=/c,ro,bind-propagation=rslave,idmap,U").unwrap();
        assert_eq!(ids, "idmap,U");
        assert_eq!((mount.typ, mount.source.as_deref()), (Some(MountType::BIND), Some("/a,b")));
        assert_eq!(mount.read_only, Some(true));
        for bad in [
            "",
            "type=bind",
            "type=x,dst=/a",
            "dst=/a,what=ever",
            "type=tmpfs,dst=/a,volume-nocopy",
            "\"dst=/a",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
