//! Very long, very strange, and a disk that is full.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use bulkhead_tests::images::Image;
use bulkhead_tests::{Host, images};

#[test]
fn a_command_line_of_100_kib() {
    let host = Host::new("extremes-long").with_busybox();
    let long = "x".repeat(100 << 10);
    host.bulkhead(["run", "--rm", "busybox", "sh", "-c", "echo ${#1}", "sh", &long]).prints("102400");
    let many: Vec<String> = (0..10_000).map(|number| format!("argument-{number}")).collect();
    let run = ["run", "--rm", "busybox", "sh", "-c", "echo $#", "sh"]
        .into_iter()
        .chain(many.iter().map(String::as_str));
    host.bulkhead(run).prints("10000");
    host.bulkhead(["run", "--rm", "-e", &format!("LONG={long}"), "busybox", "sh", "-c", "echo ${#LONG}"])
        .prints("102400");
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    host.bulkhead(["exec", "c1", "sh", "-c", "echo ${#1}", "sh", &long]).prints("102400");
    // Longer than the kernel takes: a clear end.
    let script = "bulkhead run --rm busybox sh -c 'echo ${#1}' sh $(head -c 131000 /dev/zero | tr '\\0' x)";
    host.sh(script).prints("131000");
    let name = "n".repeat(100 << 10);
    host.bulkhead(["run", "--rm", "--name", &name, "busybox", "true"]).run();
    host.bulkhead(["run", "--rm", "--hostname", &"h".repeat(300), "busybox", "true"]).fails(125, "hostname");
    host.finish();
}

#[test]
fn bytes_that_are_no_text() {
    let host = Host::new("extremes-bytes").with_busybox();
    let odd = OsString::from_vec(b"a\xff\xfe b".to_vec());
    let words = |extra: &[&OsStr]| {
        let mut words: Vec<OsString> = ["run", "--rm", "busybox", "sh", "-c"].map(OsString::from).into();
        words.extend(extra.iter().map(|&word| word.to_owned()));
        words
    };
    // Either they go through unchanged, or they are refused by name; never changed in silence.
    let script = OsStr::new("printf %s \"$1\" | od -An -tx1 | tr -d ' \\n'");
    let output = host.bulkhead(words(&[script, OsStr::new("sh"), &odd])).run();
    match output.code() {
        0 => assert_eq!(output.stdout(), "61fffe2062", "{output}"),
        125 => drop(output.says("utf-8")),
        _ => panic!("{output}"),
    }
    let mut env: Vec<OsString> = ["run", "--rm", "-e"].map(OsString::from).into();
    env.push(OsString::from_vec(b"ODD=\xff\xfe".to_vec()));
    env.extend(
        ["busybox", "sh", "-c", "printf %s \"$ODD\" | od -An -tx1 | tr -d ' \\n'"].map(OsString::from),
    );
    let output = host.bulkhead(env).run();
    match output.code() {
        0 => assert_eq!(output.stdout(), "fffe", "{output}"),
        125 => drop(output.says("utf-8")),
        _ => panic!("{output}"),
    }
    // The environment of the command itself is nobody's business.
    host.bulkhead(["run", "--rm", "busybox", "true"]).env("X", OsStr::from_bytes(b"\xff")).prints("");
    let name = OsString::from_vec(b"\xff\xfe".to_vec());
    let output = host.bulkhead([OsString::from("rm"), name]).run();
    assert_ne!(output.code(), 0, "{output}");
    host.finish();
}

#[test]
fn a_full_disk() {
    let host = Host::new("extremes-full").with_busybox();
    host.bulkhead(["run", "--rm", "busybox", "true"]).prints("");
    host.sh("dd if=/dev/zero of=/var/lib/bulkhead/filler bs=1M count=8 2>/dev/null; used=$(du -sm /var/lib/bulkhead | cut -f1)
        mount -o remount,size=$((used + 1))m /var/lib/bulkhead; cat /dev/zero >> /var/lib/bulkhead/filler 2>/dev/null || true")
        .prints("");
    let failed = host.bulkhead(["run", "--rm", "busybox", "sh", "-c", "echo x > /file"]).run();
    assert_ne!(failed.code(), 0, "{failed}");
    failed.says("space");
    images::make(Image::Tools);
    let failed = host.bulkhead(["load", "-i", &Image::Tools.on_host()]).run();
    assert_ne!(failed.code(), 0, "{failed}");
    // Reading and removing go on, and so does everything when there is room again.
    host.bulkhead(["ps", "-a"]).run().succeeds();
    host.bulkhead(["images"]).run().succeeds();
    host.sh("rm /var/lib/bulkhead/filler").prints("");
    host.bulkhead(["run", "--rm", "busybox", "true"]).prints("");
    host.finish();
}

#[test]
fn a_full_run_directory() {
    let host = Host::new("extremes-run").with_busybox();
    host.sh("mkdir -p /run/bulkhead; mount -t tmpfs -o size=64k small /run/bulkhead; \
             cat /dev/zero > /run/bulkhead/filler 2>/dev/null || true")
        .prints("");
    let failed = host.bulkhead(["run", "--rm", "busybox", "true"]).run();
    if failed.code() != 0 {
        assert_eq!(failed.code(), 125, "{failed}");
    }
    host.sh("umount /run/bulkhead").run();
    host.bulkhead(["run", "--rm", "busybox", "true"]).prints("");
    host.finish();
}

#[test]
fn folders_that_cannot_be_written() {
    let host = Host::new("extremes-roots");
    host.bulkhead(["--root=/usr/no", "ps"]).run().says("/usr/no");
    host.bulkhead(["--root=/etc/passwd", "ps"]).run().says("/etc/passwd");
    host.bulkhead(["--state=/usr/no", "run", "--rm", "host", "true"]).run().says("/usr/no");
    host.bulkhead(["--root=relative", "ps"]).run();
    host.finish_clean();
}
