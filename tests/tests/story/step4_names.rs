//! IDs, their beginnings, and the names that a container has and sees.

use std::collections::BTreeMap;

use bulkhead_tests::Host;

#[test]
fn the_id_is_the_hostname_and_its_beginning_is_enough() {
    let host = Host::new("step4").with_busybox();
    let id = host.run_detached(["-it", "--name", "container5", "busybox", "sh"]);
    host.bulkhead(["exec", "container5", "hostname"]).prints(&id[..12]);
    let mut terminal = host.pty(["exec", "-it", &id[..4], "sh"]);
    terminal.expect("/ # ");
    assert_eq!(terminal.ask("hostname"), id[..12]);
    assert_eq!(terminal.ask("tail -n1 /etc/hosts | cut -f2"), id[..12]);
    assert_eq!(terminal.ask("cat /etc/hostname"), id[..12]);
    terminal.line("exit");
    terminal.ends_with(0);
    host.bulkhead(["ps", "-q"]).prints(&id[..12]);
    host.bulkhead(["ps", "-q", "--no-trunc"]).prints(&id);
    host.finish();
}

#[test]
fn a_beginning_that_two_have_is_an_error() {
    let host = Host::new("step4-prefix").with_busybox();
    // Of 17 IDs, two begin with the same hexadecimal digit.
    let mut begins = BTreeMap::new();
    for _ in 0..17 {
        let id = host.bulkhead(["create", "busybox", "true"]).stdout();
        *begins.entry(id[..1].to_owned()).or_insert(0) += 1;
    }
    let (shared, _) = begins.iter().find(|(_, count)| **count > 1).unwrap();
    host.bulkhead(["start", shared]).fails(1, "multiple IDs found with provided prefix").says(shared);
    host.bulkhead(["exec", shared, "true"]).fails(1, "multiple IDs found with provided prefix");
    host.bulkhead(["rm", shared]).fails(1, "multiple IDs found with provided prefix");
    host.bulkhead(["ps", "-aq"]).run().succeeds();
    host.finish();
}

#[test]
fn names_can_be_chosen() {
    let host = Host::new("step4-chosen").with_busybox();
    let names = ["run", "--rm", "--hostname=customhost", "--domainname=example.test", "busybox", "sh", "-c"];
    let look =
        "hostname; cat /proc/sys/kernel/domainname; cat /etc/hostname; hostname -f 2>/dev/null || true";
    let seen = host.bulkhead(names.into_iter().chain([look])).stdout();
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[..3], ["customhost", "example.test", "customhost"], "{seen}");
    let hosts = host.bulkhead(names.into_iter().chain(["cat /etc/hosts"])).stdout();
    assert!(hosts.contains("customhost.example.test customhost"), "{hosts}");
    host.finish_clean();
}

#[test]
fn a_changed_hostname_changes_nothing_outside() {
    let host = Host::new("step4-sethostname").with_busybox();
    let before = host.sh("hostname").stdout();
    let change = ["busybox", "sh", "-c", "hostname changed && hostname"];
    // Without the capability, the kernel refuses.
    let refused = host.bulkhead(["run", "--rm"].into_iter().chain(change)).run();
    assert_ne!(refused.code(), 0, "{refused}");
    let allowed = ["run", "--rm", "--cap-add", "SYS_ADMIN"];
    host.bulkhead(allowed.into_iter().chain(change)).prints("changed");
    host.sh("hostname").prints(&before);
    // Whoever shares the host's UTS namespace does change it, if it is the host's root.
    let refused = host.bulkhead(allowed.into_iter().chain(["--uts=host"]).chain(change)).run();
    assert_ne!(refused.code(), 0, "{refused}");
    host.bulkhead(allowed.into_iter().chain(["--uts=host", "--userns=host"]).chain(change)).prints("changed");
    host.sh("hostname").prints("changed");
    host.finish_clean();
}

#[test]
fn a_name_is_generated_and_a_chosen_one_is_unique() {
    let host = Host::new("step4-generated").with_busybox();
    let id = host.run_detached(["busybox", "true"]);
    let name = host.inspect(&id, "{{.Name}}");
    let (adjective, surname) = name.strip_prefix('/').and_then(|name| name.split_once('_')).unwrap();
    assert!(
        [adjective, surname]
            .iter()
            .all(|part| part.len() > 1 && part.bytes().all(|b| b.is_ascii_alphanumeric()))
    );
    host.bulkhead(["create", "--name", "mine", "busybox"]).run().succeeds();
    host.bulkhead(["run", "--name", "mine", "busybox", "true"]).fails(125, "already in use").says("mine");
    for bad in ["a b", "-x", "a/b", "a"] {
        host.bulkhead(["create", &format!("--name={bad}"), "busybox"]).fails(1, "name");
    }
    host.finish();
}
