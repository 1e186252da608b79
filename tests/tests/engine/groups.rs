//! `container …` and `image …`: Docker's groups of commands, and `container prune`.

use bulkhead_tests::Host;

#[test]
fn the_groups_do_what_the_commands_do() {
    let host = Host::new("groups").with_busybox();
    host.bulkhead(["container", "run", "--rm", "busybox", "echo", "here"]).prints("here");
    let id = host.bulkhead(["container", "create", "--name", "c1", "busybox", "sleep", "1000"]).stdout();
    host.bulkhead(["container", "start", "c1"]).prints("c1");
    host.bulkhead(["container", "exec", "c1", "echo", "inside"]).prints("inside");
    host.bulkhead(["container", "ls", "-q", "--no-trunc"]).prints(&id);
    host.bulkhead(["container", "inspect", "-f", "{{.Name}}", "c1"]).prints("/c1");
    host.bulkhead(["container", "inspect", "busybox"]).fails(1, "No such container: busybox");
    host.bulkhead(["container", "rename", "c1", "c2"]).prints("");
    host.bulkhead(["container", "stop", "-t", "0", "c2"]).prints("c2");
    host.bulkhead(["container", "rm", "c2"]).prints("c2");
    host.bulkhead(["image", "ls", "--format", "{{.Repository}}"]).prints("busybox");
    host.bulkhead(["image", "tag", "busybox", "other:1"]).prints("");
    host.bulkhead(["image", "inspect", "-f", "{{len .RepoTags}}", "other:1"]).prints("2");
    host.bulkhead(["image", "inspect", "c2"]).fails(1, "c2");
    host.bulkhead(["image", "rm", "other:1"]).prints("Untagged: other:1");
    host.finish_clean();
}

#[test]
fn what_does_not_run_is_pruned() {
    let host = Host::new("prune").with_busybox();
    let running = host.run_detached(["--name", "runs", "busybox", "sleep", "1000"]);
    host.bulkhead([
        "run",
        "--name",
        "ended",
        "-v",
        "kept:/d",
        "busybox",
        "sh",
        "-c",
        "head -c 1000 /dev/zero > /x",
    ])
    .prints("");
    host.bulkhead(["create", "--name", "made", "busybox", "true"]).run().succeeds();
    host.bulkhead(["container", "prune"]).stdin("\n").fails(1, "cancelled");
    let pruned = host.bulkhead(["container", "prune", "-f"]).stdout();
    assert!(pruned.starts_with("Deleted Containers:\n") && pruned.lines().count() == 5, "{pruned}");
    assert!(!pruned.contains(&running) && pruned.ends_with("Total reclaimed space: 1kB"), "{pruned}");
    host.bulkhead(["ps", "-a", "--format", "{{.Names}}"]).prints("runs");
    host.bulkhead(["volume", "ls", "-q"]).prints("kept");
    host.bulkhead(["container", "prune", "-f"]).prints("Total reclaimed space: 0B");
    host.bulkhead(["rm", "-f", "runs"]).prints("runs");
    host.bulkhead(["volume", "rm", "kept"]).prints("kept");
    host.finish_clean();
}
