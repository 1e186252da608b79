//! In a container, `ps aux` lists the container's own processes and nothing else.

use bulkhead_tests::Host;

use crate::processes;

#[test]
fn a_shell_is_pid_1_and_sees_itself_alone() {
    let host = Host::new("step1").with_busybox();
    let mut terminal = host.pty(["run", "-it", "--name", "container1", "busybox", "sh"]);
    terminal.expect("/ # ");
    let listed = processes(&terminal.ask("ps aux"));
    let [(1, shell), (_, ps)] = listed.as_slice() else { panic!("not two processes: {listed:?}") };
    assert_eq!((shell.as_str(), ps.as_str()), ("sh", "ps aux"));
    // Without a PID namespace, the host's first process would be there too.
    assert!(
        host.bulkhead(["run", "--rm", "--pid=host", "busybox", "ps", "aux"]).stdout().contains("test-host")
    );

    terminal.line("exit 5");
    terminal.ends_with(5);
    assert_eq!(host.inspect("container1", "{{.State.Status}} {{.State.ExitCode}}"), "exited 5");
    host.bulkhead(["rm", "container1"]).prints("container1");
    host.finish_clean();
}

#[test]
fn the_terminal_is_a_real_one_and_follows_the_window() {
    let host = Host::new("step1-tty").with_busybox();
    let mut terminal = host.pty(["run", "-it", "--rm", "busybox", "sh"]);
    terminal.expect("/ # ");
    assert_eq!(terminal.ask("test -t 0 && tty"), "/dev/pts/0");
    assert_eq!(terminal.ask("stty size"), "24 80");
    terminal.resize(132, 50);
    bulkhead_tests::wait::until("the window's size has arrived", || terminal.ask("stty size") == "50 132");
    // Ctrl-C ends what runs in the foreground, and not the shell.
    terminal.line("echo sta''rted; sleep 1000; echo not reached");
    terminal.expect("started\r\n");
    terminal.send("\u{3}");
    assert_eq!(terminal.ask("echo still here"), "still here");
    terminal.send("\u{4}");
    terminal.wait();
    host.finish_clean();
}

#[test]
fn the_callers_terminal_is_left_as_it_was() {
    let host = Host::new("step1-modes").with_busybox();
    let mut outer = host.pty_of(["sh"]);
    let before = outer.ask("stty -a");
    outer.line("bulkhead run -it --rm busybox sh; echo ba''ck");
    outer.expect("/ # ");
    outer.line("exit");
    outer.expect("back\r\n");
    assert_eq!(outer.ask("stty -a"), before);
    outer.line("exit");
    outer.wait();
    host.finish_clean();
}
