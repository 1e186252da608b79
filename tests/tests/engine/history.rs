//! `history`: an image's steps.

use bulkhead_tests::Host;

#[test]
fn steps_are_shown_the_latest_first() {
    let host = Host::new("history").with_busybox();
    host.bulkhead(["run", "--name", "c1", "busybox", "sh", "-c", "head -c 4096 /dev/zero >/four"]).prints("");
    let id = host.bulkhead(["commit", "-m", "a\tmessage", "c1", "new:1"]).stdout();
    let base = host.bulkhead(["images", "-q", "--no-trunc", "busybox"]).stdout();
    let format = "{{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}";
    let shown = host.bulkhead(["history", "--no-trunc", "--format", format, "new:1"]).stdout();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], format!("{id}|sh -c head -c 4096 /dev/zero >/four|4.1kB|a\tmessage"));
    assert!(lines[1].starts_with(&format!("{base}|")) && lines.len() == 2, "{shown}");
    host.bulkhead(["image", "history", "-q", "new:1"]).prints(&format!("{}\n{}", &id[7..19], &base[7..19]));
    let table = host.bulkhead(["history", "-H=false", "new:1"]).stdout();
    assert!(table.starts_with("IMAGE          CREATED") && table.contains("   4096   "), "{table}");
    assert!(host.bulkhead(["history", "new:1"]).stdout().contains("sh -c head -c 4096 /dev/zero >/four"));
    host.bulkhead(["history", "nosuch"]).fails(1, "No such image: nosuch");
    host.finish();
}
