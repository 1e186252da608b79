//! `login` and `logout` against Debian's registry with TLS and passwords; where credentials are kept.

use bulkhead_tests::Host;

use crate::{bulkhead, finish, serve};

/// `secret`, by bcrypt.
const HTPASSWD: &str = "tester:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";
const AUTH: &str = "auth: {htpasswd: {realm: tests, path: /run/htpasswd}}";

/// A registry with a certificate of an authority of its own, for r.test.
#[track_caller]
fn with_tls(host: &Host) {
    let make = "cd /run
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=r.test -keyout r.key -out r.csr
        printf 'subjectAltName=DNS:r.test' > ext
        openssl x509 -req -in r.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out r.crt
        ip addr add 10.9.8.7/32 dev lo; echo 10.9.8.7 r.test >> /etc/hosts";
    host.sh(make).run().succeeds();
    host.sh("cat > /run/htpasswd").stdin(HTPASSWD).run().succeeds();
    serve(
        host,
        &format!(
            "{AUTH}\nhttp: {{addr: \":5000\", secret: x, tls: {{certificate: /run/r.crt, key: /run/r.key}}}}"
        ),
    );
}

#[test]
fn a_certificate_is_believed_when_its_authority_is() {
    let host = Host::new("tls").with_busybox();
    with_tls(&host);
    let login = ["login", "-u", "tester", "--password-stdin", "r.test:5000"];
    bulkhead(&host, &login).stdin("secret\n").fails(1, "/etc/docker/certs.d/r.test:5000/ca.crt");
    host.sh("mkdir -p /etc/docker/certs.d/r.test:5000 && cp /run/ca.crt /etc/docker/certs.d/r.test:5000/")
        .run()
        .succeeds();
    bulkhead(&host, &login).stdin("wrong\n").fails(1, "401 Unauthorized");
    host.sh("ls /root/.docker 2>/dev/null || true").prints("");
    bulkhead(&host, &login)
        .stdin("secret\n")
        .run()
        .succeeds()
        .shows("Login Succeeded")
        .says("stored unencrypted");
    host.sh("stat -c %a /root/.docker/config.json").prints("600");
    host.bulkhead(["tag", "busybox", "r.test:5000/x"]).prints("");
    bulkhead(&host, &["push", "r.test:5000/x"]).run().succeeds();
    bulkhead(&host, &["logout", "r.test:5000"]).prints("Removing login credentials for r.test:5000");
    bulkhead(&host, &["pull", "r.test:5000/x"]).fails(1, "authentication required");
    bulkhead(&host, &["logout", "r.test:5000"]).run().succeeds().shows("Not logged in to r.test:5000");
    // A key that is another's is told before anything is sent.
    host.sh("cd /etc/docker/certs.d/r.test:5000 && cp /run/ca.crt client.cert && cp /run/r.key client.key")
        .run()
        .succeeds();
    bulkhead(&host, &["pull", "r.test:5000/x"]).fails(1, "not the key of the certificate");
    finish(host);
}

#[test]
fn passwords_are_kept_where_the_file_says() {
    let host = Host::new("helper").with_busybox();
    host.sh("cat > /run/htpasswd").stdin(HTPASSWD).run().succeeds();
    serve(&host, AUTH);
    let helper = r#"#!/bin/sh
        case $1 in
        store) cat > /run/kept;;
        get) [ -s /run/kept ] && cat /run/kept || { echo "credentials not found in native keychain"; exit 1; };;
        erase) rm -f /run/kept;;
        esac"#;
    host.sh("mkdir -p /run/helpers /root/.docker; cat > /run/helpers/docker-credential-mine; chmod +x /run/helpers/*").stdin(helper).run().succeeds();
    host.sh("cat > /root/.docker/config.json")
        .stdin(r#"{"credsStore": "mine", "psFormat": "x"}"#)
        .run()
        .succeeds();
    let path = "/run/helpers:/run/host/bin:/usr/bin:/bin";
    let with = |args: &[&str]| bulkhead(&host, args).env("PATH", path);
    with(&["login", "-u", "tester", "-p", "secret", "127.0.0.1:5000"])
        .run()
        .succeeds()
        .says("--password via the CLI is insecure");
    host.sh("cat /root/.docker/config.json").run().succeeds().shows("psFormat").hides("dGVzdGVy");
    host.sh("cat /run/kept").run().shows(r#""Secret":"secret""#);
    host.bulkhead(["tag", "busybox", "127.0.0.1:5000/x"]).prints("");
    with(&["push", "-q", "127.0.0.1:5000/x"]).run().succeeds();
    with(&["logout", "127.0.0.1:5000"]).run().succeeds();
    host.sh("test ! -e /run/kept").run().succeeds();
    with(&["push", "127.0.0.1:5000/x"]).fails(1, "authentication required");
    host.sh("cat > /root/.docker/config.json").stdin(r#"{"credsStore": "../../bin/sh"}"#).run().succeeds();
    with(&["pull", "127.0.0.1:5000/x"]).fails(1, "is no name of a credential helper");
    host.sh("cat > /root/.docker/config.json").stdin("[").run().succeeds();
    with(&["pull", "127.0.0.1:5000/x"]).fails(1, "cannot read /root/.docker/config.json");
    finish(host);
}

#[test]
fn what_login_lacks_is_said() {
    let host = Host::new("login");
    bulkhead(&host, &["login", "--password-stdin", "127.0.0.1:5000"])
        .stdin("x")
        .fails(1, "Must provide --username");
    bulkhead(&host, &["login", "-u", "x", "--password-stdin", "127.0.0.1:5000"])
        .stdin("\n")
        .fails(1, "password is empty");
    bulkhead(&host, &["login", "127.0.0.1:5000"])
        .fails(1, "Cannot perform an interactive login from a non TTY device");
    bulkhead(&host, &["login", "-u", "x", "-p", "y", "127.0.0.1:5009"]).fails(1, "connection refused");
    host.finish();
}
