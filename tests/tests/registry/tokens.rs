//! Token servers: what they are asked, and who gets a password.

use bulkhead_tests::Host;

use crate::server::{Asked, Reply, Sample, Server};
use crate::{assert_empty, bulkhead};

const IMAGE: &str = "127.0.0.1:5000/a/b:1";
const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

/// A registry that wants a token from 127.0.0.1:5001.
fn registry(host: &Host) -> Server {
    let sample = Sample::new();
    Server::start(host, 5000, move |asked, _| match asked.header("authorization") {
        Some("Bearer good") => sample.reply(asked),
        _ => Reply::new(401, "{}").with(
            "WWW-Authenticate",
            "Bearer realm=\"http://127.0.0.1:5001/token\",service=\"the, tests\",scope=\"x\"",
        ),
    })
}

fn give(asked: &Asked) -> Reply {
    let refreshed = String::from_utf8_lossy(&asked.content).contains("refresh_token=lasting");
    match asked.header("authorization") {
        Some(BASIC) => Reply::new(200, r#"{"token": "good", "refresh_token": "lasting"}"#),
        None if refreshed => Reply::new(200, r#"{"access_token": "good", "expires_in": 300}"#),
        _ => Reply::new(401, "{}"),
    }
}

#[test]
fn tokens_are_fetched_for_what_is_asked() {
    let host = Host::new("token");
    let registry = registry(&host);
    let tokens = Server::start(&host, 5001, |asked, _| give(asked));
    bulkhead(&host, &["pull", IMAGE]).fails(1, "may require 'docker login'");
    assert_empty(&host);
    bulkhead(&host, &["login", "-u", "user", "-p", "wrong", "127.0.0.1:5000"])
        .fails(1, "incorrect username or password");
    bulkhead(&host, &["login", "-u", "user", "-p", "secret", "127.0.0.1:5000"])
        .run()
        .succeeds()
        .shows("Login Succeeded");
    // A token that lasts is kept, and the password is not.
    host.sh("cat /root/.docker/config.json").run().shows("lasting").hides("dXNlcjpzZWNyZXQ=");
    bulkhead(&host, &["pull", IMAGE]).run().succeeds();
    let asked = tokens.asked();
    let last = asked.last().unwrap();
    let form = String::from_utf8_lossy(&last.content).into_owned();
    assert_eq!(last.method, "POST");
    assert!(
        form.contains("scope=repository%3Aa%2Fb%3Apull") && form.contains("service=the%2C%20tests"),
        "{form}"
    );
    // The registry itself never saw the password.
    assert!(registry.asked().iter().all(|asked| asked.header("authorization") != Some(BASIC)));
    host.finish();
}

#[test]
fn a_token_server_that_gives_none_is_no_reason_to_go_on() {
    let host = Host::new("no-token");
    let _registry = registry(&host);
    let bodies = ["", "{}", "[]", r#"{"token": "a\r\nX-Evil: 1"}"#, r#"{"token": "bad"}"#];
    Server::start(&host, 5001, move |_, before| Reply::new(200, bodies[before.min(bodies.len() - 1)]));
    for _ in bodies {
        bulkhead(&host, &["pull", IMAGE]).run().ends_with(1);
    }
    assert_empty(&host);
    host.finish();
}
