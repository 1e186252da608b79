//! An engine in a container: privileged within a user namespace of its own whose range is large enough to give ranges on.

use bulkhead_tests::Host;
use bulkhead_tests::images::Image;

#[test]
fn a_container_can_have_containers() {
    let host = Host::new("nested").with_busybox();
    let archive = Image::Busybox.on_host();
    let prepare = format!(
        "mkdir /tmp/nest && cp $(command -v bulkhead) $(dirname $(readlink -f $(command -v bulkhead)))/bulkhead-supervisor \
         /tmp/nest && cp {archive} /tmp/nest/busybox.tar"
    );
    host.sh(&prepare).run().succeeds();
    let inner = "export PATH=/nest:$PATH; mkdir -p /var/lib /etc
        bulkhead load -q -i /nest/busybox.tar >/dev/null || exit 1
        bulkhead run --rm busybox sh -c 'echo $$; id -u; echo x > /dev/null; head -c4 /dev/zero | wc -c; touch /file; rm /bin/vi'
        bulkhead run -d --name one -v data:/data busybox sleep 1000 >/dev/null
        bulkhead exec one sh -c 'echo written > /data/file; chown 7:8 /data/file; mknod /null c 1 3' 2>&1
        bulkhead run --rm -v data:/data busybox sh -c 'cat /data/file; stat -c %u:%g /data/file'
        bulkhead rm -f one; bulkhead ps -aq | wc -l";
    let run = [
        "run",
        "--rm",
        "--privileged",
        "--userns=auto:size=393216",
        "-v",
        "/tmp/nest:/nest:ro",
        "--tmpfs=/var/lib:exec",
        "--tmpfs=/run:exec",
        "busybox",
        "sh",
        "-c",
        inner,
    ];
    host.bulkhead(run).prints("1\n0\n4\nmknod: /null: Operation not permitted\nwritten\n7:8\none\n0");
    // A range that leaves nothing to give on is a clear error.
    let small =
        ["run", "--rm", "--privileged", "--userns=auto", "-v", "/tmp/nest:/nest:ro", "--tmpfs=/var/lib:exec"];
    let try_it = "mkdir -p /var/lib /etc /run; /nest/bulkhead load -q -i /nest/busybox.tar; /nest/bulkhead run --rm busybox true";
    host.bulkhead(small.into_iter().chain(["busybox", "sh", "-c", try_it]))
        .fails(125, "IDs is free in the pool");
    host.finish_clean();
}
