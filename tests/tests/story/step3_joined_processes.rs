//! `--pid=container:X` puts a container into the PID namespace of another.

use bulkhead_tests::Host;

use crate::{commands, processes};

#[test]
fn both_see_all_and_number_alike() {
    let host = Host::new("step3").with_busybox();
    host.run_detached(["-it", "--name", "container1", "busybox", "sh"]);
    host.bulkhead(["exec", "-d", "container1", "sleep", "1000"]).prints("");
    let joined = ["run", "-it", "--pid=container:container1", "--name", "container3", "busybox", "sh"];
    let mut terminal = host.pty(joined);
    terminal.expect("/ # ");
    let listed = processes(&terminal.ask("ps aux"));
    let names: Vec<&str> = listed.iter().map(|(_, command)| command.as_str()).collect();
    assert_eq!(names, ["sh", "sleep 1000", "sh", "ps aux"], "{listed:?}");
    assert_eq!(listed[0].0, 1);
    let own: u32 = terminal.ask("echo $$").parse().unwrap();
    assert_eq!(own, listed[2].0);

    // The other way round, the same shell has the same number.
    let seen = processes(&host.bulkhead(["exec", "container1", "ps", "aux"]).stdout());
    assert!(seen.contains(&(own, "sh".to_owned())), "{seen:?}");
    terminal.line("exit");
    terminal.ends_with(0);
    assert_eq!(host.inspect("container1", "{{.State.Running}}"), "true");
    host.finish();
}

#[test]
fn the_joined_container_ends_with_its_donor() {
    let host = Host::new("step3-end").with_busybox();
    host.run_detached(["--name", "donor", "busybox", "sleep", "1000"]);
    host.run_detached(["--name", "guest", "--pid=container:donor", "busybox", "sleep", "1000"]);
    let all = commands(&host.bulkhead(["exec", "guest", "ps"]).stdout());
    assert_eq!(all.iter().filter(|command| *command == "sleep 1000").count(), 2, "{all:?}");
    host.bulkhead(["kill", "donor"]).prints("donor");
    // The kernel ends a PID namespace with its first process.
    host.bulkhead(["wait", "guest"]).prints("137");
    host.finish();
}

#[test]
fn who_is_not_there_cannot_be_joined() {
    let host = Host::new("step3-errors").with_busybox();
    host.bulkhead(["create", "--name", "stopped", "busybox", "sh"]).run().succeeds();
    let join =
        |whom: &str| host.bulkhead(["run", "--rm", &format!("--pid=container:{whom}"), "busybox", "true"]);
    join("stopped").fails(125, "running");
    join("nobody").fails(125, "No such container: nobody");
    join("").fails(125, "container");
    host.bulkhead(["run", "--rm", "--pid=elsewhere", "busybox", "true"]).fails(125, "elsewhere");
    host.bulkhead(["ps", "-a", "--format", "{{.Names}}"]).prints("stopped");
    host.finish();
}
