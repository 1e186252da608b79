//! `restart`: a running container, a stopped one, and one that goes when it stops.

use bulkhead_tests::Host;

#[test]
fn it_runs_again_with_what_it_wrote() {
    let host = Host::new("restart").with_busybox();
    let script = "echo x >> /count; wc -l < /count; trap 'exit 0' TERM; while :; do sleep 0.01; done";
    host.run_detached(["--name", "c1", "busybox", "sh", "-c", script]);
    let first = host.inspect("c1", "{{.State.Pid}}");
    host.bulkhead(["restart", "c1"]).prints("c1");
    assert_ne!(host.inspect("c1", "{{.State.Pid}}"), first);
    assert_eq!(host.inspect("c1", "{{.State.Status}}"), "running");
    host.bulkhead(["exec", "c1", "sh", "-c", "until test $(wc -l < /count) = 2; do sleep 0.01; done"])
        .prints("");
    // One that does not run is started.
    host.bulkhead(["stop", "c1"]).prints("c1");
    host.bulkhead(["restart", "-t", "0", "c1"]).prints("c1");
    assert_eq!(host.inspect("c1", "{{.State.Status}}"), "running");
    let both = host.bulkhead(["restart", "-t", "0", "nobody", "c1"]).run();
    both.ends_with(1).says("No such container: nobody").shows("c1");
    host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    host.run_detached(["--rm", "--name", "c2", "busybox", "sleep", "1000"]);
    host.bulkhead(["restart", "c2"]).fails(1, "--rm");
    assert_eq!(host.inspect("c2", "{{.State.Status}}"), "running");
    host.bulkhead(["rm", "-f", "c2"]).prints("c2");
    host.finish_clean();
}
