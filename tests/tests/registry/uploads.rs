//! A registry that loses the line while a layer is sent to it.

use std::sync::{Arc, Mutex};

use bulkhead_tests::Host;
use bulkhead_tests::archive::digest;

use crate::bulkhead;
use crate::server::{Asked, Reply, Server};

/// What it has got of the layer that is being sent, and of which digests it has all.
#[derive(Default)]
struct State {
    upload: Vec<u8>,
    whole: Vec<String>,
}

fn reply(state: &mut State, asked: &Asked) -> Reply {
    let range = |state: &State| format!("0-{}", state.upload.len().saturating_sub(1));
    let on = || ("Location", "/v2/a/b/blobs/uploads/one?state=x".to_owned());
    match asked.method.as_str() {
        "HEAD" if state.whole.iter().any(|digest| asked.path.ends_with(digest)) => Reply::new(200, ""),
        "HEAD" => Reply::new(404, ""),
        "POST" => {
            state.upload.clear();
            Reply::new(202, "").with(on().0, on().1)
        }
        "PATCH" => {
            state.upload.extend_from_slice(&asked.content);
            Reply::new(202, "").with(on().0, on().1).with("Range", range(state))
        }
        "PUT" if asked.path.contains("/manifests/") => Reply::new(201, ""),
        "PUT" => {
            state.upload.extend_from_slice(&asked.content);
            let found = digest(&state.upload);
            match asked.path.ends_with(&found.replace(':', "%3A")) {
                true => {
                    state.whole.push(found);
                    Reply::new(201, "")
                }
                false => {
                    Reply::new(400, r#"{"errors":[{"code":"DIGEST_INVALID","message":"not that digest"}]}"#)
                }
            }
        }
        "GET" if asked.path.contains("/uploads/") => {
            Reply::new(204, "").with(on().0, on().1).with("Range", range(state))
        }
        _ => Reply::new(200, "{}"),
    }
}

#[test]
fn a_push_goes_on_where_the_line_was_cut() {
    let host = Host::new("push-cut").with_busybox();
    let state: Arc<Mutex<State>> = Arc::default();
    let shared = Arc::clone(&state);
    let server = Server::reading(&host, 5000, Some(300_000), move |asked, _| {
        reply(&mut shared.lock().unwrap(), asked)
    });
    host.bulkhead(["tag", "busybox", "127.0.0.1:5000/a/b"]).prints("");
    bulkhead(&host, &["push", "127.0.0.1:5000/a/b"]).run().succeeds().shows(": Pushed");
    let patches: Vec<Asked> = server.asked().into_iter().filter(|asked| asked.method == "PATCH").collect();
    assert_eq!(patches.len(), 2, "one that was cut, and the rest");
    assert_eq!(patches[0].content.len(), 300_000);
    // Nothing was sent twice: what came, joined, has the digest that the registry was told.
    assert_eq!(state.lock().unwrap().whole.len(), 2);
    host.finish();
}

#[test]
fn a_push_that_is_refused_says_why() {
    let host = Host::new("push-denied").with_busybox();
    let server = Server::start(&host, 5000, |asked, _| match asked.method.as_str() {
        "POST" => Reply::new(
            403,
            r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
        ),
        "HEAD" => Reply::new(404, ""),
        _ => Reply::new(200, "{}"),
    });
    host.bulkhead(["tag", "busybox", "127.0.0.1:5000/a/b"]).prints("");
    bulkhead(&host, &["push", "127.0.0.1:5000/a/b"])
        .fails(1, "denied: requested access to the resource is denied");
    assert!(server.about("/manifests/").is_empty());
    host.finish();
}
