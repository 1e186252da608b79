//! A registry that cuts the line, stalls, lies, and sends people elsewhere.

use bulkhead_tests::Host;
use bulkhead_tests::archive::digest;
use serde_json::json;

use crate::server::{INDEX, MANIFEST, Reply, Sample, Server, described};
use crate::{assert_empty, bulkhead};

const IMAGE: &str = "127.0.0.1:5000/a/b:1";

/// Pulls from a server whose answers `change` makes worse; gives the server.
#[track_caller]
fn serve(
    host: &Host,
    change: impl Fn(&Sample, &crate::server::Asked, usize) -> Reply + Send + Sync + 'static,
) -> Server {
    let sample = Sample::new();
    Server::start(host, 5000, move |asked, before| change(&sample, asked, before))
}

#[track_caller]
fn fails(host: Host, why: &str) {
    bulkhead(&host, &["pull", IMAGE]).fails(1, why);
    assert_empty(&host);
    host.finish();
}

#[test]
fn a_pull_goes_on_where_the_line_was_cut() {
    let host = Host::new("cut");
    let server = serve(&host, |sample, asked, _| {
        let reply = sample.reply(asked);
        let cut = asked.path.ends_with(&sample.large()).then_some(1_200_000);
        Reply { cut: cut.filter(|cut| *cut < reply.body.len()), ..reply }
    });
    bulkhead(&host, &["pull", IMAGE]).run().succeeds().shows("Pull complete");
    let ranges: Vec<String> = server
        .about(&Sample::new().large())
        .iter()
        .filter_map(|asked| Some(asked.header("range")?.to_owned()))
        .collect();
    assert_eq!(ranges, ["bytes=1200000-", "bytes=2400000-"]);
    host.finish();
}

#[test]
fn a_registry_that_knows_no_parts_sends_all_again() {
    let host = Host::new("whole");
    serve(&host, |sample, asked, before| {
        let mut whole = asked.clone();
        whole.headers.retain(|(name, _)| name != "range");
        let cut = (before == 0 && asked.path.ends_with(&sample.large())).then_some(700_000);
        Reply { cut, ..sample.reply(&whole) }
    });
    bulkhead(&host, &["pull", IMAGE]).run().succeeds();
    host.finish();
}

#[test]
fn a_line_that_is_cut_again_and_again_is_given_up() {
    let host = Host::new("cuts");
    let server = serve(&host, |sample, asked, _| {
        let cut = asked.path.ends_with(&sample.large()).then_some(100);
        Reply { cut, ..sample.reply(asked) }
    });
    bulkhead(&host, &["pull", IMAGE]).fails(1, "ended the connection");
    assert!(server.about(&Sample::new().large()).len() <= 5);
    assert_empty(&host);
    host.finish();
}

#[test]
fn a_silence_ends() {
    let host = Host::new("stall");
    serve(&host, |sample, asked, _| {
        let stall = asked.path.ends_with(&sample.large()).then_some(1000);
        Reply { stall, ..sample.reply(asked) }
    });
    fails(host, "it was silent for 0.6 seconds");
}

#[test]
fn a_server_that_fails_for_a_while_is_asked_again() {
    let host = Host::new("busy");
    serve(&host, |sample, asked, before| match before {
        0 | 1 if asked.path != "/v2/" => Reply::new(503, "busy"),
        _ => sample.reply(asked),
    });
    bulkhead(&host, &["pull", IMAGE]).run().succeeds();
    host.finish();
}

#[test]
fn other_content_than_was_promised_is_refused() {
    let host = Host::new("forged");
    let server = serve(&host, |sample, asked, _| {
        let mut reply = sample.reply(asked);
        if asked.path.ends_with(&sample.large()) {
            // The same length, and still a gzip stream: the last byte is of its checksum's length field.
            let last = reply.body.len() - 1;
            reply.body[last] ^= 1;
        }
        reply
    });
    bulkhead(&host, &["pull", IMAGE]).run().ends_with(1);
    assert_eq!(server.about(&Sample::new().large()).len(), 2, "damage is fetched once more");
    assert_empty(&host);
    host.finish();
}

#[test]
fn a_layer_of_another_tar_is_refused() {
    // Both digests of the blob are right; but it is not the tar that the config names.
    let host = Host::new("swapped");
    let (mut sample, other) =
        (Sample::new(), bulkhead_tests::archive::Layer::new().file("evil", 0o755, b"evil").done());
    let evil = bulkhead_tests::archive::gzip(&other);
    let mut manifest: serde_json::Value = serde_json::from_slice(&sample.manifest).unwrap();
    manifest["layers"][1] = described("application/vnd.oci.image.layer.v1.tar+gzip", &evil);
    sample.manifest = serde_json::to_vec(&manifest).unwrap();
    sample.blobs[1] = evil;
    Server::start(&host, 5000, move |asked, _| sample.reply(asked));
    fails(host, "is damaged or forged");
}

#[test]
fn a_manifest_with_another_digest_is_refused() {
    let host = Host::new("manifest");
    serve(&host, |sample, asked, _| {
        let reply = sample.reply(asked);
        match asked.path.contains("/manifests/") {
            true => reply.with("Docker-Content-Digest", digest(b"other")),
            false => reply,
        }
    });
    bulkhead(&host, &["pull", IMAGE]).fails(1, "gives a manifest with the digest");
    let by_digest = format!("127.0.0.1:5000/a/b@{}", digest(b"another"));
    bulkhead(&host, &["pull", &by_digest]).fails(1, "gives a manifest with the digest");
    assert_empty(&host);
    host.finish();
}

#[test]
fn lengths_that_are_lies_are_refused() {
    let host = Host::new("longer");
    serve(&host, |sample, asked, _| {
        let mut reply = sample.reply(asked);
        if asked.path.ends_with(&sample.large()) {
            reply.body.extend_from_slice(b"more");
            reply.stated = None;
        }
        reply
    });
    fails(host, "bytes that the manifest says");
    let host = Host::new("stated");
    serve(&host, |sample, asked, _| {
        let reply = sample.reply(asked);
        let stated = if asked.path.ends_with(&sample.large()) { Some(7) } else { reply.stated };
        Reply { stated, ..reply }
    });
    fails(host, "says that a blob has 7 bytes");
}

#[test]
fn what_is_too_large_is_not_read() {
    let host = Host::new("gigantic");
    serve(&host, |sample, asked, _| match asked.path.contains("/manifests/") {
        true => Reply { stated: None, ..Reply::new(200, vec![b' '; 5 << 20]) },
        false => sample.reply(asked),
    });
    fails(host, "sends more than 4194304 bytes as a manifest");
    let host = Host::new("headers");
    serve(&host, |sample, asked, _| match asked.path.contains("/manifests/") {
        true => sample.reply(asked).with("X-Long", "x".repeat(200_000)),
        false => sample.reply(asked),
    });
    bulkhead(&host, &["pull", IMAGE]).run().ends_with(1);
    assert_empty(&host);
    host.finish();
}

#[test]
fn credentials_do_not_follow_a_redirection_to_another_host() {
    let host = Host::new("redirect");
    host.sh("mkdir -p /root/.docker; cat > /root/.docker/config.json")
        .stdin(r#"{"auths": {"127.0.0.1:5000": {"auth": "dXNlcjpzZWNyZXQ="}}}"#)
        .run()
        .succeeds();
    let elsewhere = serve_at(&host, 5001);
    let server = serve(&host, |sample, asked, _| {
        if asked.header("authorization").is_none() {
            return Reply::new(401, "{}").with("WWW-Authenticate", "Basic realm=\"x\"");
        }
        match asked.path.ends_with(&sample.large()) {
            true => Reply::new(307, "").with("Location", format!("http://127.0.0.1:5001{}", asked.path)),
            false => sample.reply(asked),
        }
    });
    bulkhead(&host, &["pull", IMAGE]).run().succeeds();
    // The host that was named got them; the other served the blob, and did not.
    let named = server.about(&Sample::new().large());
    assert!(
        named.iter().any(|asked| asked.header("authorization") == Some("Basic dXNlcjpzZWNyZXQ=")),
        "{named:?}"
    );
    let other = elsewhere.asked();
    assert!(!other.is_empty());
    assert!(other.iter().all(|asked| asked.header("authorization").is_none()), "{other:?}");
    host.finish();
}

fn serve_at(host: &Host, port: u16) -> Server {
    let sample = Sample::new();
    Server::start(host, port, move |asked, _| sample.reply(asked))
}

#[test]
fn redirections_end() {
    let host = Host::new("loop");
    let server = serve(&host, |sample, asked, _| match asked.path.contains("/blobs/") {
        true => Reply::new(302, "").with("Location", asked.path.clone()),
        false => sample.reply(asked),
    });
    bulkhead(&host, &["pull", IMAGE]).fails(1, "redirects again and again");
    assert!(server.about("/blobs/").len() <= 7);
    assert_empty(&host);
    host.finish();
}

#[test]
fn the_manifest_for_the_platform_is_chosen_and_old_ones_are_refused() {
    let host = Host::new("index");
    let sample = Sample::new();
    let entry = |architecture: &str, variant: &str| {
        let mut entry = described(MANIFEST, &sample.manifest);
        entry["platform"] = json!({ "os": "linux", "architecture": architecture, "variant": variant });
        entry
    };
    let mut other = entry("s390x", "");
    other["digest"] = digest(b"not asked for").into();
    let own = bulkhead_tests::archive::architecture();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [other, entry(own, "")] });
    let index = serde_json::to_vec(&index).unwrap();
    let stated = digest(&index);
    Server::start(&host, 5000, move |asked, _| match asked.path.as_str() {
        "/v2/a/b/manifests/1" => Reply::new(200, index.clone()).with("Content-Type", INDEX),
        "/v2/a/b/manifests/old" => Reply::new(200, r#"{"schemaVersion": 1, "fsLayers": []}"#)
            .with("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        "/v2/a/b/manifests/chart" => Reply::new(200, r#"{"mediaType": "application/x-chart"}"#),
        "/v2/secret/x/manifests/latest" => Reply::new(
            403,
            r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
        ),
        _ => sample.reply(asked),
    });
    bulkhead(&host, &["pull", IMAGE]).run().succeeds().shows(&format!("Digest: {stated}"));
    host.bulkhead(["images", "--digests", "--format", "{{.Digest}}"]).prints(&stated);
    host.inspect("127.0.0.1:5000/a/b:1", "{{.RepoDigests}}").contains(&stated).then_some(()).unwrap();
    let none = bulkhead(&host, &["pull", "--platform", "linux/riscv64", IMAGE]);
    none.fails(1, "no matching manifest for linux/riscv64 in the manifest list entries");
    bulkhead(&host, &["pull", "--platform", "a/b/c/d", IMAGE]).fails(1, "invalid platform");
    bulkhead(&host, &["pull", "127.0.0.1:5000/a/b:old"]).fails(1, "schema 1");
    bulkhead(&host, &["pull", "127.0.0.1:5000/a/b:chart"]).fails(1, "is no container image");
    bulkhead(&host, &["pull", "127.0.0.1:5000/secret/x"])
        .fails(1, "pull access denied for 127.0.0.1:5000/secret/x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied");
    bulkhead(&host, &["pull", "127.0.0.1:5009/a/b"]).fails(1, "connection refused");
    bulkhead(&host, &["pull", "-a", IMAGE]).fails(1, "tag can't be used with --all-tags/-a");
    bulkhead(&host, &["pull", "--disable-content-trust=false", IMAGE]).fails(1, "does not verify signatures");
    host.finish();
}

#[test]
fn zstd_layers_are_pulled() {
    let host = Host::new("zstd");
    let sample = Sample::packed("+zstd", |tar| zstd::encode_all(tar, 1).unwrap());
    Server::start(&host, 5000, move |asked, _| sample.reply(asked));
    bulkhead(&host, &["pull", "-q", IMAGE]).prints(IMAGE);
    host.finish();
}
