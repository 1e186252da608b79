//! Events: what happened to containers, images, volumes and networks, as it happens.
//!
//! There is no daemon that could hold them, so whoever does something appends a line of JSON to one file of this
//! boot (`STATE/events`); whoever wants to know reads it, and is woken by inotify(7). A line is one write with
//! O_APPEND, so lines are never mixed. When the file is [`LARGEST`] bytes long, it becomes `events.1`, in place of the
//! one that was that before: like Docker's daemon, the engine remembers the latest only.
//!
//! An event that cannot be written is lost: what it tells has happened, and must not fail for want of telling.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};

/// From how many bytes on a new file is begun.
pub const LARGEST: u64 = 1024 * 1024;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// `container`, `image`, `volume`, `network`.
    pub kind: String,
    /// Docker's word: `create`, `start`, `die` …
    pub action: String,
    /// The ID or name of what it happened to.
    pub id: String,
    /// What else Docker tells about it.
    pub attributes: BTreeMap<String, String>,
    /// When, in nanoseconds since 1970.
    pub time: i64,
}

impl Event {
    /// One that happens now.
    pub fn now(kind: &str, action: &str, id: &str, attributes: BTreeMap<String, String>) -> Event {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
        Event { kind: kind.into(), action: action.into(), id: id.into(), attributes, time }
    }

    /// Appends it to the file.
    pub fn tell(&self, file: &Path) {
        let _ = self.append(file);
    }

    fn append(&self, path: &Path) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let open = || File::options().append(true).create(true).mode(0o600).custom_flags(flags).open(path);
        let mut file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // The first of this boot.
                use std::os::unix::fs::DirBuilderExt;
                let folder = path.parent().unwrap_or(path);
                std::fs::DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
                open()?
            }
            other => other?,
        };
        file.write_all(&line)?;
        if file.metadata()?.len() > LARGEST { turn(path, &file) } else { Ok(()) }
    }
}

/// The file before the present one.
pub fn earlier(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Begins a new file, unless somebody else just did.
fn turn(path: &Path, file: &File) -> io::Result<()> {
    flock(file, FlockOperation::LockExclusive)?;
    if std::fs::metadata(path)?.ino() == file.metadata()?.ino() {
        std::fs::rename(path, earlier(path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Event, LARGEST, earlier};
    use std::collections::BTreeMap;

    #[test]
    fn a_full_file_makes_room_for_a_new_one() {
        let folder = std::env::temp_dir().join(format!("bulkhead-events-{}", std::process::id()));
        let file = folder.join("events");
        let attributes = BTreeMap::from([("name".to_owned(), "x".repeat(64 * 1024))]);
        let event = Event::now("container", "start", "id", attributes);
        for _ in 0..20 {
            event.tell(&file);
        }
        let lines = |path: &std::path::Path| -> Vec<Event> {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let (before, now) = (lines(&earlier(&file)), lines(&file));
        assert_eq!(before.len() + now.len(), 20);
        assert!(before.iter().chain(&now).all(|read| *read == event));
        let length = std::fs::metadata(earlier(&file)).unwrap().len();
        assert!(length > LARGEST && length < LARGEST + 128 * 1024, "{length}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
