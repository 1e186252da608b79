//! Files through the API: `docker cp` and `docker export`, and what a hostile archive can do.

use bulkhead_tests::archive::{Layer, gzip};
use bulkhead_tests::wait::until;
use tar::EntryType;

use crate::{SOCKET, Served};

/// A container that runs, one that has ended, and one that never ran.
fn containers(api: &Served) -> [&'static str; 3] {
    api.host.run_detached(["--name", "running", "-v", "vol:/vol", "busybox", "sleep", "1000"]);
    api.host.bulkhead(["run", "--name", "ended", "-v", "vol2:/vol", "busybox", "true"]).prints("");
    api.host.bulkhead(["create", "--name", "created", "-v", "vol3:/vol", "busybox", "true"]).run().succeeds();
    ["running", "ended", "created"]
}

fn archive(container: &str, path: &str) -> String {
    format!("/containers/{container}/archive?path={path}")
}

#[test]
fn docker_cp_goes_both_ways() {
    let api = Served::new("api-cp");
    let names = containers(&api);
    let files = "mkdir -p /tmp/in/d/sub; cd /tmp/in; echo file >f; echo deep >d/sub/deep; ln -s f link; ln -s none broken
        truncate -s 1M holes; echo end >>holes; chmod 4711 d/sub/deep; touch -d 2001-02-03 f";
    api.host.sh(files).prints("");
    for docker in api.docker_commands() {
        for name in names {
            let script = format!(
                r#"rm -rf /tmp/out; mkdir /tmp/out; cd /tmp/out; cp() {{ {docker} cp "$@" >/dev/null; }}
                for to in /tmp /vol; do
                    cp /tmp/in/f {name}:$to
                    cp /tmp/in/f {name}:$to/renamed
                    cp /tmp/in/d {name}:$to
                    cp /tmp/in/d {name}:$to/other
                    cp /tmp/in/d/. {name}:$to/contents/
                    cp /tmp/in/link {name}:$to
                    cp -L /tmp/in/link {name}:$to/followed
                    cp /tmp/in/holes {name}:$to/holes2
                    cp {name}:$to/f .
                    cp {name}:$to/renamed again
                    cp {name}:$to/d copy
                    cp {name}:$to/other .
                    cp {name}:$to/contents/. flat
                    cp {name}:$to/link .
                    cp -L {name}:$to/link real
                    cp {name}:$to/holes2 holes3
                    cmp again /tmp/in/f; cmp real /tmp/in/f; cmp holes3 /tmp/in/holes
                    cmp copy/sub/deep other/sub/deep; cmp flat/sub/deep /tmp/in/d/sub/deep
                    readlink link; stat -c %a copy/sub/deep; date -r f +%Y
                    cat f; rm -rf /tmp/out/*
                done
                (cd /tmp/in; tar c d/sub) | {docker} cp - {name}:/root
                {docker} cp {name}:/root/d - | tar tf - | sort | xargs"#
            );
            let each = "f\n4711\n2001\nfile\n";
            api.host.sh(&script).prints(&format!("{each}{each}d/ d/sub/ d/sub/deep"));
            // The older one has words of its own for that status.
            let missing = api.host.sh(&format!("{docker} cp {name}:/none /tmp/out")).fails(1, "").stderr();
            let words = [
                format!("Could not find the file /none in container {name}"),
                format!("No such container:path: {name}:/none"),
            ];
            assert!(words.iter().any(|words| missing.contains(words)), "{missing}");
            api.host.sh(&format!("{docker} cp /tmp/in/f {name}:/none/f")).fails(1, "/none");
            api.host.sh(&format!("{docker} cp /tmp/in/d {name}:/tmp/f")).fails(1, "cannot copy directory");
            api.host.sh(&format!("{docker} cp {name}:/bin/busybox/. /tmp/out")).fails(1, "not a directory");
            // Everything, under a name that is not there yet.
            api.host
                .sh(&format!("{docker} cp {name}:/ /tmp/whole >/dev/null; cat /tmp/whole/tmp/f; ls /tmp/whole/proc; rm -rf /tmp/whole"))
                .prints("file");
        }
    }
    api.finish();
}

#[test]
fn owners_are_those_of_the_archive() {
    let api = Served::new("api-cp-owners");
    let names = containers(&api);
    api.host.sh("mkdir /tmp/in; echo x >/tmp/in/f; chown -R 33:44 /tmp/in").prints("");
    for docker in api.docker_commands() {
        for name in names {
            let script = format!(
                "{docker} cp /tmp/in {name}:/home >/dev/null; {docker} cp -a /tmp/in/. {name}:/vol >/dev/null
                 for at in /home/in/f /vol/f; do {docker} cp {name}:$at - | tar tv --numeric-owner | cut -d' ' -f2; done
                 {docker} cp -a {name}:/vol/f /tmp/kept; {docker} cp {name}:/vol/f /tmp/mine; stat -c %u:%g /tmp/kept /tmp/mine"
            );
            api.host.sh(&script).prints("33/44\n33/44\n0:0\n0:0");
        }
    }
    api.finish();
}

#[test]
fn what_is_at_a_path_is_told() {
    let api = Served::new("api-path-stat");
    for name in containers(&api) {
        let stat = |path: &str| {
            let script = format!(
                "curl -sS --head --unix-socket {SOCKET} 'http://d{}' | tr -d '\\r' | awk '/^HTTP/{{print $2}} /path-stat/{{print $2}}' > /tmp/head
                 head -n1 /tmp/head; tail -n+2 /tmp/head | base64 -d",
                archive(name, path)
            );
            api.host.sh(&script).run()
        };
        stat("/bin/busybox")
            .shows("200")
            .shows(r#""linkTarget":"","mode":493,"#)
            .shows(r#""name":"busybox""#);
        stat("/bin/sh")
            .shows(r#""linkTarget":"/bin/busybox","mode":134218239,"#)
            .shows("2023-11-14T22:13:20Z");
        stat("/tmp/").shows(r#""mode":2148532735,"#).shows(r#""name":"tmp""#);
        stat("/").shows(r#""name":"/""#);
        stat("/none").shows("404").hides("200");
        api.send("GET", &archive(name, "/none"), "")
            .run()
            .shows("404")
            .shows(&format!("Could not find the file /none in container {name}"));
        api.send("GET", &archive(name, "/bin/busybox/"), "").run().shows("400").shows("not a directory");
        api.send("GET", &archive(name, ""), "").run().shows("400").shows("path cannot be empty");
        api.send("GET", &archive(name, "/%00"), "").run().shows("400");
        api.send("GET", &archive(name, "/proc/self/environ"), "").run().shows("404");
        api.send("PUT", &archive(name, "/none"), "")
            .run()
            .shows("404")
            .shows("Could not find the file /none");
        api.send("PUT", &archive(name, "/bin/busybox"), "").run().shows("400").shows("is not a directory");
    }
    api.send("PUT", &archive("running", "/proc"), Layer::new().done()).run().shows("404");
    api.send("GET", &archive("nobody", "/"), "").prints("404\n{\"message\":\"No such container: nobody\"}");
    api.send("PUT", &archive("nobody", "/"), "").prints("404\n{\"message\":\"No such container: nobody\"}");
    api.send("GET", "/containers/nobody/export", "")
        .prints("404\n{\"message\":\"No such container: nobody\"}");
    api.finish();
}

#[test]
fn what_is_read_only_is_not_written() {
    let api = Served::new("api-cp-readonly");
    api.host.sh("mkdir /tmp/bind /tmp/shared; chmod 777 /tmp/shared; echo x >/tmp/f").prints("");
    let flags = "--read-only -v rw:/rw -v ro:/ro:ro -v /tmp/bind:/bind:ro -v /tmp/shared:/shared busybox";
    api.docker(&format!("run -d --name c1 {flags} sleep 1000")).run().succeeds();
    api.docker(&format!("create --name c2 {flags} true")).run().succeeds();
    let file = Layer::new().file("f", 0o644, "x").done();
    for name in ["c1", "c2"] {
        for docker in api.docker_commands() {
            let cp = |to: &str| api.host.sh(&format!("{docker} cp /tmp/f {name}:{to}"));
            cp("/rw").run().succeeds();
            cp("/shared/there").run().succeeds();
            let back =
                format!("cat /tmp/shared/there; rm /tmp/shared/there; {docker} cp {name}:/rw/f - | tar xO");
            api.host.sh(&back).prints("x\nx");
            cp("/root").fails(1, "container rootfs is marked read-only");
            cp("/ro").fails(1, "mounted volume is marked read-only");
            cp("/bind").fails(1, "volume is marked read-only");
        }
        api.send("PUT", &archive(name, "/root"), file.clone())
            .run()
            .shows("403")
            .shows("rootfs is marked read-only");
        api.send("PUT", &archive(name, "/ro"), file.clone())
            .run()
            .shows("403")
            .shows("volume is marked read-only");
    }
    api.host.sh("ls /tmp/bind").prints("");
    api.finish();
}

#[test]
fn archives_come_as_they_are_or_compressed() {
    let api = Served::new("api-compressed");
    let read = |name: &str, path: &str| {
        api.host.sh(&format!("curl -sS --unix-socket {SOCKET} 'http://d{}' | tar xO", archive(name, path)))
    };
    for name in containers(&api) {
        let file = |content: &str| Layer::new().file("f", 0o644, content).done();
        api.send("PUT", &archive(name, "/root"), file("plain")).prints("200");
        read(name, "/root/f").prints("plain");
        api.send("PUT", &archive(name, "/root"), gzip(&file("gzip"))).prints("200");
        read(name, "/root/f").prints("gzip");
        let zstd = zstd::encode_all(file("zstd").as_slice(), 1).unwrap();
        api.send("PUT", &archive(name, "/root"), zstd).prints("200");
        read(name, "/root/f").prints("zstd");
        for (scheme, head) in [("bzip2", b"BZh91AY".as_slice()), ("xz", b"\xfd7zXZ\0\0")] {
            api.send("PUT", &archive(name, "/root"), head)
                .run()
                .shows("400")
                .shows(&format!("{scheme} compression is not supported"));
        }
        let whole = gzip(&Layer::new().file("g", 0o644, vec![7; 500_000]).done());
        api.send("PUT", &archive(name, "/root"), &whole[..whole.len() / 2]).run().shows("400");
        api.send("PUT", &archive(name, "/root"), "nonsense".repeat(1000)).run().shows("400").shows("archive");
        read(name, "/root/f").prints("zstd");
    }
    api.finish();
}

#[test]
fn folders_and_files_take_each_other_s_place_when_they_may() {
    let api = Served::new("api-replace");
    for name in containers(&api) {
        let [file, folder] = [
            Layer::new().file("x", 0o644, "file").done(),
            Layer::new().dir("x", 0o755).file("x/in", 0o644, "in").done(),
        ];
        let put = |flag: &str, tar: &[u8]| {
            api.send("PUT", &format!("{}{flag}", archive(name, "/root")), tar.to_vec()).run()
        };
        put("&noOverwriteDirNonDir=true", &folder).shows("200");
        put("&noOverwriteDirNonDir=true", &file).shows("400").shows("cannot overwrite directory");
        put("", &file).shows("200");
        put("&noOverwriteDirNonDir=1", &folder).shows("400").shows("cannot overwrite non-directory");
        put("&noOverwriteDirNonDir=0", &folder).shows("200");
        let list = format!("curl -sS --unix-socket {SOCKET} 'http://d{}' | tar t", archive(name, "/root/x"));
        api.host.sh(&list).prints("x/\nx/in");
    }
    api.finish();
}

/// The host's own files, which nothing may touch.
const TARGETS: &str = "ls -d /tmp/escaped /etc/escaped /var/lib/escaped /escaped /tmp/secret/escaped 2>/dev/null || true; cat /tmp/secret/file";

#[test]
fn nothing_in_an_archive_leads_out_of_the_container() {
    let api = Served::new("api-cp-attacks");
    api.host.sh("mkdir /tmp/secret; echo of-the-host >/tmp/secret/file").prints("");
    let mut attacks = Vec::new();
    for path in
        ["../escaped", "../../../../../../tmp/escaped", "/../tmp/escaped", "a/../../../tmp/escaped", ".."]
    {
        attacks.push(Layer::new().file(path, 0o644, "x").done());
        attacks.push(Layer::new().dir(path, 0o755).done());
        attacks.push(Layer::new().symlink(path, "/etc").done());
    }
    for target in
        ["/tmp", "/tmp/secret", "../../../../../../../../tmp", "/proc/self/root/tmp", "/proc/1/root/tmp"]
    {
        attacks.push(Layer::new().symlink("way", target).file("way/escaped", 0o644, "x").done());
        attacks.push(Layer::new().symlink("way", &format!("{target}/file")).file("way", 0o644, "x").done());
        let link = Layer::new().symlink("way", target).hardlink("mine", "way/file");
        attacks.push(link.file("mine", 0o644, "escaped").done());
    }
    for target in ["/tmp/secret/file", "../../../../../../../tmp/secret/file"] {
        attacks.push(Layer::new().hardlink("mine", target).file("mine", 0o644, "escaped").done());
    }
    attacks.push(Layer::new().device("disk", EntryType::Block, 7, 0).done());
    for name in containers(&api) {
        // What lies in the container leads nowhere either.
        let links = Layer::new().symlink("out", "/tmp/secret").symlink("up", "../../../../../tmp/secret");
        api.send("PUT", &archive(name, "/"), links.done()).prints("200");
        for attack in &attacks {
            for at in ["/root", "/vol", "/"] {
                let answer = api.send("PUT", &archive(name, at), attack.clone()).run();
                assert!(answer.stdout().starts_with(['2', '4']), "{answer}");
            }
        }
        for at in ["/out", "/up", "/../../tmp/secret", "/proc/1/root/tmp/secret"] {
            let file = Layer::new().file("file", 0o644, "escaped").done();
            let answer = api.send("PUT", &archive(name, at), file).run();
            assert!(answer.stdout().starts_with(['2', '4']), "{answer}");
        }
        api.host.sh(TARGETS).prints("of-the-host");
        for at in ["/out/file", "/up/file", "/root/way/file", "/out/", "/../../../tmp/secret/file"] {
            api.send("GET", &archive(name, at), "").run().hides("of-the-host");
        }
        // What the links lead to is the container's.
        let folder = Layer::new().dir("tmp/secret", 0o755).file("tmp/secret/file", 0o644, "inside").done();
        api.send("PUT", &archive(name, "/"), folder).prints("200");
        let read =
            format!("curl -sS --unix-socket {SOCKET} 'http://d{}' | tar xO", archive(name, "/out/file"));
        api.host.sh(&read).prints("inside");
    }
    api.host.sh(TARGETS).prints("of-the-host");
    api.finish();
}

#[test]
fn a_whole_root_is_exported() {
    let api = Served::new("api-export");
    for name in containers(&api) {
        for docker in api.docker_commands() {
            let script = format!(
                "{docker} export {name} | tar t | grep -c -x -e bin/busybox -e etc/passwd; {docker} export -o /tmp/e.tar {name}; tar xOf /tmp/e.tar etc/passwd | head -n1"
            );
            api.host.sh(&script).prints("2\nroot:x:0:0:root:/root:/bin/sh");
        }
    }
    api.host
        .sh(&format!("curl -sS -D - -o /dev/null --unix-socket {SOCKET} http://d/containers/ended/export"))
        .run()
        .shows("content-type: application/octet-stream");
    api.finish();
}

#[test]
fn half_an_answer_is_known_for_it() {
    let api = Served::new("api-half");
    api.host.run_detached([
        "--name",
        "one",
        "busybox",
        "sh",
        "-c",
        "yes | head -c 50000000 >/big; exec sleep 1000",
    ]);
    until("the file is there", || {
        api.host.sh("bulkhead exec one stat -c %s /big || true").stdout() == "50000000"
    });
    let workers = "cat /proc/$(cat /tmp/server)/task/*/children";
    let paths = ["/containers/one/archive?path=/big", "/containers/one/export", "/images/get?names=busybox"];
    for path in paths {
        // The reader waits until the process that writes has been killed.
        let script = format!(
            "mkfifo /tmp/fifo; curl -sS -N --unix-socket {SOCKET} 'http://d{path}' > /tmp/fifo & curl=$!
             exec 3< /tmp/fifo; head -c 100000 <&3 >/dev/null; kill -9 $({workers}); cat <&3 >/dev/null; rm /tmp/fifo
             wait $curl || echo ended with $?"
        );
        api.host.sh(&script).run().shows("ended with 18");
    }
    for docker in api.docker_commands() {
        let script = format!(
            "mkfifo /tmp/fifo; {docker} cp one:/big - > /tmp/fifo & docker=$!
             exec 3< /tmp/fifo; head -c 100000 <&3 >/dev/null; kill -9 $({workers}); cat <&3 >/dev/null; rm /tmp/fifo
             wait $docker || echo failed"
        );
        api.host.sh(&script).run().shows("failed").says("unexpected EOF");
    }
    api.http("GET", "/_ping", "").prints("200\nOK");
    api.finish();
}

#[test]
fn half_an_upload_is_no_archive() {
    let api = Served::new("api-cut");
    for name in containers(&api) {
        // The client goes in the middle of the file.
        let tar = Layer::new().file("cut", 0o644, vec![1; 20_000_000]).done();
        let put = format!("curl -sS --unix-socket {SOCKET} -X PUT -T - 'http://d{}'", archive(name, "/root"));
        let script = format!(
            "cat > /tmp/half; mkfifo /tmp/fifo; {put} < /tmp/fifo & curl=$!
             exec 3> /tmp/fifo; cat /tmp/half >&3; kill -9 $curl; rm /tmp/fifo"
        );
        api.host.sh(&script).stdin(&tar[..10_000_000]).run().succeeds();
        until("the request's process has ended", || {
            api.host.sh("cat /proc/$(cat /tmp/server)/task/*/children | wc -w").stdout() == "0"
        });
        let size = format!("bulkhead cp {name}:/root/cut - 2>/dev/null | wc -c");
        let size: usize = api.host.sh(&size).stdout().parse().unwrap();
        assert!((1..12_000_000).contains(&size), "{size} bytes of it are there");
        // And the container can be had at once.
        api.send("PUT", &archive(name, "/root"), Layer::new().file("whole", 0o644, "x").done()).prints("200");
        // Who is refused before all is sent hears why.
        let long = format!(
            "head -c 50000000 /dev/zero | curl -sS --unix-socket {SOCKET} -X PUT -T - 'http://d{}'",
            archive(name, "/none")
        );
        api.host.sh(&long).run().succeeds().shows("Could not find the file /none");
    }
    api.finish();
}

#[test]
fn three_hundred_megabytes_cost_little_memory() {
    let api = Served::new("api-large");
    api.host.sh("mount -t tmpfs -o size=4g large /mnt; yes bulkhead | head -c 314572800 > /mnt/big; tar cf /mnt/big.tar -C /mnt big").run().succeeds();
    api.host.sh("bulkhead create --name one busybox true").run().succeeds();
    // The highest that any process of ours had, looked at all the time.
    let watch = r#"(while [ ! -e /tmp/enough ]; do
            cat /proc/[0-9]*/status 2>/dev/null | awk '/^Name:/{n=$2} /^VmHWM:/{if (n=="bulkhead" && $2>m) m=$2} END{print m+0}'
            sleep 0.05; done > /tmp/peaks) > /dev/null 2>&1 < /dev/null &"#;
    api.host.sh(watch).run().succeeds();
    let curl = format!("curl -sS --fail --unix-socket {SOCKET}");
    for step in [
        format!("{curl} -X POST -T /mnt/big.tar 'http://d/images/create?fromSrc=-&repo=large' >/dev/null"),
        format!(
            "{curl} 'http://d/images/get?names=large' > /mnt/saved.tar; bulkhead rmi -f large >/dev/null"
        ),
        format!(
            "{curl} -X POST -T /mnt/saved.tar 'http://d/images/load' | tail -n1 | grep -q 'Loaded image: large'"
        ),
        format!("docker -H unix://{SOCKET} cp /mnt/big one:/home/big >/dev/null; rm -f /mnt/saved.tar"),
        format!("docker -H unix://{SOCKET} cp one:/home/big /mnt/back >/dev/null; cmp /mnt/big /mnt/back"),
        format!("{curl} http://d/containers/one/export | wc -c | grep -q 31......."),
    ] {
        api.host.sh(&step).timeout(300).run().succeeds();
    }
    let peaks = api.host.sh("touch /tmp/enough; sort -n /tmp/peaks | tail -n1").stdout();
    let peak: u64 = peaks.parse().unwrap();
    assert!((1_000..64 * 1024).contains(&peak), "{peak} kB");
    api.host.bulkhead(["rmi", "large"]).run().succeeds();
    api.host.sh("umount /mnt").run().succeeds();
    api.finish();
}
