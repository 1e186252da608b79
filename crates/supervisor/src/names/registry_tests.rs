//! Tests of [`super`].

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::Path;

use bulkhead_network::endpoint::{Endpoint, Uplink};
use bulkhead_network::mac;
use proptest::prelude::*;

use super::{NEXT, Registry, check, forget, forget_network, look_up, look_up_address};
use crate::networks::Membership;
use crate::status::ProcessId;

const NET: &str = "n1";

pub(crate) fn membership(addresses: &[&str], names: &[&str]) -> Membership {
    Membership {
        id: NET.into(),
        name: "backend".into(),
        endpoint: Endpoint {
            uplink: Uplink::Bridge { name: "br".into(), host_link: "bh".into(), isolated: false },
            container_link: "eth0".into(),
            mac: mac::of_address([10, 0, 0, 2].into()),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            gateways: Vec::new(),
            mtu: 1500,
        },
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        links: BTreeMap::new(),
    }
}

fn own() -> ProcessId {
    ProcessId::of(std::process::id().cast_signed()).unwrap()
}

fn dead() -> ProcessId {
    ProcessId { started: own().started + 1, ..own() }
}

fn registry(folder: &Path, container: &str, process: &ProcessId) -> Registry {
    Registry::new(folder, container, process).unwrap()
}

fn addresses(folder: &Path, name: &str) -> Option<Vec<String>> {
    let mut found: Vec<String> = look_up(folder, NET, name).unwrap()?.iter().map(IpAddr::to_string).collect();
    found.sort();
    Some(found)
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |all| {
        all.map(|e| e.unwrap()).map(|e| 1 + if e.path().is_dir() { files(&e.path()) } else { 0 }).sum()
    })
}

#[test]
fn a_name_leads_to_all_who_have_it_for_as_long_as_they_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (one, two) = (registry(folder, "c1", &own()), registry(folder, "c2", &own()));
    let first = membership(&["10.0.0.2/24", "fd00::2/64"], &["Web-1", "web", "abcdef012345"]);
    let second = membership(&["10.0.0.3/24"], &["web-2", "WEB."]);
    assert_eq!(one.publish(&first).unwrap(), [""; 0]);
    two.publish(&second).unwrap();
    assert_eq!(addresses(folder, "web-1").unwrap(), ["10.0.0.2", "fd00::2"]);
    assert_eq!(addresses(folder, "WEB").unwrap(), ["10.0.0.2", "10.0.0.3", "fd00::2"]);
    assert_eq!(addresses(folder, "nobody"), None);
    let name_of = |address: &str| look_up_address(folder, NET, address.parse().unwrap()).unwrap();
    assert_eq!(name_of("fd00::2").as_deref(), Some("Web-1"));
    assert_eq!((name_of("10.0.0.3").as_deref(), name_of("10.0.0.4")), (Some("web-2"), None));
    one.withdraw(&first);
    assert_eq!(
        (addresses(folder, "web").unwrap(), addresses(folder, "web-1")),
        (vec!["10.0.0.3".into()], None)
    );
    two.withdraw(&second);
    assert_eq!((addresses(folder, "web"), name_of("10.0.0.3")), (None, None));
    // The network's folder and the two in it.
    assert_eq!(files(folder), 3);
}

#[test]
fn folders_are_root_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    registry(folder.path(), "c1", &own()).publish(&membership(&["10.0.0.2/24"], &["web"])).unwrap();
    for path in ["n1", "n1/names", "n1/names/web", "n1/addresses/10.0.0.2"] {
        let mode = folder.path().join(path).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{path}");
    }
}

#[test]
fn what_is_said_again_replaces_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let registry = registry(folder, "c1", &own());
    registry.publish(&membership(&["10.0.0.2/24"], &["web"])).unwrap();
    // A kill between the two steps of an earlier replacement.
    symlink("10.0.0.9 web", folder.join(NET).join("names/web").join(format!("{}{NEXT}", registry.owner)))
        .unwrap();
    assert_eq!(addresses(folder, "web").unwrap(), ["10.0.0.2"]);
    registry.publish(&membership(&["10.0.0.7/24"], &["web"])).unwrap();
    assert_eq!(addresses(folder, "web").unwrap(), ["10.0.0.7"]);
}

#[test]
fn the_dead_are_not_found_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let another_boot = ProcessId { boot: "a-b-c".into(), ..own() };
    let other = membership(&["10.0.0.2/24"], &["web", "other"]);
    registry(folder, "c1", &dead()).publish(&other).unwrap();
    registry(folder, "c2", &another_boot).publish(&other).unwrap();
    registry(folder, "c1", &own()).publish(&membership(&["10.0.0.3/24"], &["web"])).unwrap();
    assert_eq!(addresses(folder, "web").unwrap(), ["10.0.0.3"]);
    assert_eq!(fs::read_dir(folder.join("n1/names/web")).unwrap().count(), 1);
    assert_eq!(addresses(folder, "other"), None);
    assert!(!folder.join("n1/names/other").exists());
    assert_eq!(look_up_address(folder, NET, "10.0.0.2".parse().unwrap()).unwrap(), None);
}

#[test]
fn the_dead_of_one_container_are_forgotten_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let web = membership(&["10.0.0.2/24"], &["web", "only"]);
    registry(folder, "c1", &dead()).publish(&web).unwrap();
    registry(folder, "c1", &own()).publish(&membership(&["10.0.0.2/24"], &["web"])).unwrap();
    registry(folder, "c2", &dead()).publish(&membership(&["10.0.0.3/24"], &["web"])).unwrap();
    forget(folder, NET, "c1").unwrap();
    assert!(!folder.join("n1/names/only").exists());
    assert_eq!(fs::read_dir(folder.join("n1/names/web")).unwrap().count(), 2, "c1's living, c2's dead");
    forget(folder, "never-was", "c1").unwrap();
    forget_network(folder, NET).unwrap();
    forget_network(folder, NET).unwrap();
    assert_eq!(files(folder), 0);
}

#[test]
fn what_is_no_name_or_id_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let long = "x".repeat(256);
    let names = ["web", "", ".", "..", "...", "a/b", "../../up", "nul\0", &long];
    let refused = registry(folder, "c1", &own()).publish(&membership(&["10.0.0.2/24"], &names)).unwrap();
    assert_eq!(refused.len(), 8, "{refused:?}");
    assert!(refused[0].contains("cannot be looked up on a network"));
    for id in ["", "..", "a/b"] {
        assert!(Registry::new(folder, id, &own()).is_err());
        assert!(look_up(folder, id, "web").is_err() && forget(folder, id, "c1").is_err());
        assert!(forget(folder, NET, id).is_err() && forget_network(folder, id).is_err());
    }
}

#[test]
fn files_of_others_are_no_names() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let place = folder.join("n1/names/web");
    fs::create_dir_all(&place).unwrap();
    for name in ["x", "c1.1.2", "c1.one.2.b", "...", "c1.1.99999999999999999999.b"] {
        fs::write(place.join(name), "").unwrap();
    }
    fs::write(folder.join("n1/names/file"), "").unwrap();
    assert_eq!((addresses(folder, "web"), addresses(folder, "file")), (None, None));
    forget(folder, NET, "c1").unwrap();
    assert_eq!(fs::read_dir(&place).unwrap().count(), 5);
}

#[test]
fn many_publish_and_withdraw_the_same_name_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let registry = registry(folder, &format!("c{thread}"), &own());
                let web = membership(&[&format!("10.0.0.{thread}/24")], &["web"]);
                for _ in 0..2000 {
                    registry.publish(&web).unwrap();
                    assert!(addresses(folder, "web").unwrap().contains(&format!("10.0.0.{thread}")));
                    registry.withdraw(&web);
                }
            });
        }
    });
    assert_eq!(addresses(folder, "web"), None);
}

proptest! {
    #[test]
    fn names_stay_in_their_folder(name in any::<String>()) {
        if let Ok(kept) = check(&name) {
            prop_assert!(!kept.contains('/') && !kept.is_empty() && kept != "." && kept != "..");
            prop_assert_eq!(check(&kept.to_ascii_uppercase()), check(&kept));
        }
    }

    #[test]
    fn what_is_published_is_found(name in "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,40}") {
        let folder = tempfile::tempdir().unwrap();
        let web = membership(&["10.0.0.2/24"], &[&name]);
        registry(folder.path(), "c1", &own()).publish(&web).unwrap();
        prop_assert_eq!(addresses(folder.path(), &name.to_ascii_uppercase()).unwrap(), ["10.0.0.2"]);
    }
}
