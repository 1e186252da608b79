//! What supervisors say about their ports, and what becomes of it when they die.

use std::fs;
use std::path::Path;

use bulkhead_network::firewall::Protocol;

use super::{on_a_host, ourselves, said};
use crate::networks::published::{self, having};
use crate::networks::{published_ports, read_published, with_presences, withdraw, withdraw_dead};
use crate::status::ProcessId;

#[test]
fn what_a_dead_supervisor_said_counts_for_nothing_and_is_removed_and_nothing_else_is() {
    on_a_host(|| {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("published");
        withdraw_dead(&folder).unwrap();
        assert!(!folder.exists() && published_ports(&folder).unwrap().is_empty());

        fs::create_dir(&folder).unwrap();
        let dead = ProcessId { started: ourselves().started + 1, ..ourselves() };
        let living = said("web", "aa", ourselves(), "0.0.0.0", 8080);
        let others = ["bb", "cc"].map(|id| said("db", id, dead.clone(), "127.0.0.1", 8080));
        for one in others.iter().chain([&living]) {
            published::write(&folder, one).unwrap();
        }
        fs::write(folder.join("dd.next"), "{").unwrap();
        assert_eq!(having(&folder, Protocol::Tcp, 8080).unwrap().len(), 3);
        assert_eq!(published_ports(&folder).unwrap(), std::slice::from_ref(&living));
        assert_eq!(read_published(&folder, &living.id).unwrap(), Some(living.clone()));
        assert_eq!(read_published(&folder, &others[0].id).unwrap(), None);

        withdraw(&folder, &living.id).unwrap();
        withdraw(&folder, &others[0].id).unwrap();
        assert_eq!(having(&folder, Protocol::Tcp, 8080).unwrap().len(), 2);
        withdraw_dead(&folder).unwrap();
        assert_eq!(having(&folder, Protocol::Tcp, 8080).unwrap(), std::slice::from_ref(&living));
        let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [living.id.as_str(), "lock", "ports"]);

        published::remove(&folder, &living).unwrap();
        assert_eq!(fs::read_dir(folder.join("ports")).unwrap().count(), 0);
    });
}

#[test]
fn a_file_that_is_none_of_ours_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ab"), "no JSON").unwrap();
    let error = read_published(folder.path(), "ab").unwrap_err().to_string();
    assert!(error.contains("cannot understand") && error.contains("/ab: "), "{error}");
    assert!(withdraw_dead(folder.path()).is_err());
}

#[test]
fn where_there_are_many_they_are_not_all_looked_at_each_time() {
    on_a_host(|| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let dead = ProcessId { started: ourselves().started + 1, ..ourselves() };
        let fill = || {
            for number in 0..80u16 {
                let one = said("web", &format!("{number:02x}"), dead.clone(), "0.0.0.0", 8000 + number);
                published::write(folder, &one).unwrap();
            }
        };
        let left = || having_any(folder);
        fill();
        withdraw_dead(folder).unwrap();
        assert_eq!(left(), 0);
        fill();
        withdraw_dead(folder).unwrap();
        assert_eq!(left(), 80, "that was a moment ago");
        // By then it is due again.
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        fs::File::options().write(true).open(folder.join("swept")).unwrap().set_modified(long_ago).unwrap();
        withdraw_dead(folder).unwrap();
        assert_eq!(left(), 0);
        // Who must know them all looks at all.
        fill();
        with_presences(folder, |presences| assert!(presences.is_empty())).unwrap();
        assert_eq!(left(), 0);
    });
}

fn having_any(folder: &Path) -> usize {
    (8000..8080).map(|port| having(folder, Protocol::Tcp, port).unwrap().len()).sum()
}
