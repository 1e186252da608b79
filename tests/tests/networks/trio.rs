//! What compose makes: a web server, an application and a database on two networks, which know each other by names only.

use bulkhead_tests::Host;

use super::outside::{HERE, Outside};
use super::{ask, inside, network};

/// Passes a question on to another server, and answers with what it said after its own name.
const PASS_ON: &str = r#"mkdir -p /www/cgi-bin; cat > /www/cgi-bin/who <<END
#!/bin/sh
echo
at=\$(nslookup $NEXT 127.0.0.11 | grep -A1 ^Name: | sed -n 's/^Address.*: //p' | head -n1)
echo "$(hostname), and \$(printf 'GET /cgi-bin/who HTTP/1.0\r\n\r\n' | nc -w 3 \$at 80 | tail -n 1)"
END
chmod +x /www/cgi-bin/who; exec httpd -f -p 80 -h /www"#;

#[test]
fn web_app_and_db_by_names_only() {
    let host = Host::new("trio").with_busybox();
    let outside = Outside::of(&host);
    network(&host, "front", &[]);
    network(&host, "back", &["--internal"]);
    let pass_on = |name: &str, next: &str, flags: &[&str]| {
        let next = format!("NEXT={next}");
        let run = ["--name", name, "--hostname", name, "-e", &next].into_iter().chain(flags.iter().copied());
        host.run_detached(run.chain(["busybox", "sh", "-c", PASS_ON]));
    };
    super::serve(&host, "db", &["--network", "back"]);
    pass_on("app", "db", &["--network", "front", "--network", "back"]);
    pass_on("web", "app", &["--network", "front", "-p", "80:80"]);
    let app_at_back = super::address(&host, "app", "back");
    let all = format!("web, and app, and db to {app_at_back}");
    bulkhead_tests::wait::until("all three serve", || ask(&host, "127.0.0.1") == all);
    assert_eq!(outside.ask(HERE), all);
    // The web server neither sees nor reaches the database.
    let db = super::address(&host, "db", "back");
    host.bulkhead(["exec", "web", "nslookup", "db", "127.0.0.11"]).run().ends_with(1);
    assert!(super::ask_from(&host, "web", &format!("{db}:80")).contains("time"));
    // Who is made anew is found again.
    host.bulkhead(["rm", "-f", "db"]).prints("db");
    assert!(ask(&host, "127.0.0.1").starts_with("web, and app"));
    super::serve(&host, "db", &["--network", "back"]);
    assert_eq!(ask(&host, "127.0.0.1"), all);
    assert!(inside(&host, "db", "ip route").lines().all(|line| !line.starts_with("default")));
    outside.end();
    host.finish();
}
