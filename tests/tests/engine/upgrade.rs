//! A newer version takes over what an older one has left: its database, its containers' states, and those that run.

use bulkhead_tests::Host;

/// Makes of a store one as version 0.1 began with (schema 1), with what it says of containers and volumes.
const BACK: &str = r#"python3 -c "
import json, sqlite3
store = sqlite3.connect('/var/lib/bulkhead/bulkhead.db')
containers = store.execute('SELECT id, name, created, image, config, auto_remove, creator FROM containers').fetchall()
volumes = store.execute('SELECT name, created, labels, anonymous FROM volumes').fetchall()
images = store.execute('SELECT id, created, loaded, size, layers, config, architecture FROM images').fetchall()
rest = {t: store.execute('SELECT * FROM ' + t).fetchall() for t in ('tags', 'volume_uses')}
bridge = store.execute(\"SELECT id, settings FROM networks WHERE name = 'bridge'\").fetchone()
settings = json.loads(bridge[1]); link = settings['link']; ipam = settings['ipam'][0]
rest['addresses'] = [(link, address, container) for address, container in store.execute('SELECT ipv4, container FROM endpoints').fetchall()]
rest['settings'] = [row for row in store.execute('SELECT * FROM settings').fetchall() if 'id' not in row[0].split()] + [('default network', json.dumps({'name': link, 'subnet': ipam['subnet'], 'gateway': ipam['gateway'], 'mtu': 1500}))]
store.close()
import os, glob
for name in glob.glob('/var/lib/bulkhead/bulkhead.db*'): os.remove(name)
old = sqlite3.connect('/var/lib/bulkhead/bulkhead.db')
old.executescript(open('/run/version_1.sql').read())
def fill(table, rows):
    for row in rows:
        old.execute('INSERT INTO %s VALUES (%s)' % (table, ','.join('?' * len(row))), row)
fill('images', images); fill('containers', containers); fill('volumes', volumes)
for table, rows in rest.items(): fill(table, rows)
old.execute('PRAGMA user_version = 1')
old.commit()
old.close()
for status in glob.glob('/var/lib/bulkhead/containers/*/status.json'):
    text = json.load(open(status))
    for new in ('restarts', 'waited', 'stopped', 'health'): text.pop(new)
    json.dump(text, open(status, 'w'))
""#;

#[test]
fn an_old_store_is_taken_over() {
    let host = Host::new("upgrade").with_busybox();
    // Old containers had no user namespaces.
    host.bulkhead([
        "run",
        "--userns=host",
        "--name",
        "ended",
        "-v",
        "v1:/data",
        "busybox",
        "sh",
        "-c",
        "echo kept > /file; exit 3",
    ])
    .run()
    .ends_with(3);
    host.run_detached(["--userns=host", "--name", "runs", "busybox", "sleep", "1000"]);
    host.bulkhead(["create", "--userns=host", "--name", "created", "busybox", "echo", "first"])
        .run()
        .succeeds();
    let schema = include_str!("../../../crates/engine/src/store/schema/version_1.sql");
    host.sh("cat > /run/version_1.sql").stdin(schema).run().succeeds();
    host.sh(BACK).prints("");
    // Several commands at once: one of them brings it up to date.
    host.sh("for i in 1 2 3 4 5 6 7 8; do bulkhead ps -aq | wc -l & done; wait")
        .prints("3\n3\n3\n3\n3\n3\n3\n3");
    assert_eq!(
        host.inspect("ended", "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}"),
        "exited 3 0"
    );
    host.bulkhead(["exec", "runs", "echo", "there"]).prints("there");
    host.bulkhead(["pause", "runs"]).prints("runs");
    host.bulkhead(["unpause", "runs"]).prints("runs");
    host.bulkhead(["restart", "-t", "0", "runs"]).prints("runs");
    host.bulkhead(["start", "-a", "created"]).prints("first");
    host.bulkhead(["start", "ended"]).prints("ended");
    host.bulkhead(["wait", "ended"]).prints("3");
    host.bulkhead(["run", "--rm", "--userns=host", "-v", "v1:/data", "busybox", "echo", "new"]).prints("new");
    host.sh("rm /run/version_1.sql").prints("");
    host.bulkhead(["rm", "-f", "runs", "ended", "created"]).run().succeeds();
    host.finish();
}
