//! Clocks that jump: what was written by one that was ahead is shown sensibly, and what waits does so by a clock that nobody
//! sets.

use bulkhead_tests::Host;

/// Moments that lie ahead, as after a clock that was set back, in every place where the engine keeps one.
const AHEAD: &str = r#"
    sed -i 's/"started_at":"[^"]*"/"started_at":"2099-01-01T00:00:00Z"/; s/"finished_at":"[^"]*"/"finished_at":"2099-01-02T00:00:00Z"/' /var/lib/bulkhead/containers/*/status.json
    python3 -c "
import sqlite3
store = sqlite3.connect('/var/lib/bulkhead/bulkhead.db')
store.execute('UPDATE containers SET created = 4070908800000000000')
store.execute('UPDATE volumes SET created = 4070908800')
store.commit()""#;

#[test]
fn moments_that_lie_ahead() {
    let host = Host::new("clock-ahead").with_busybox();
    host.run_detached(["--name", "runs", "-v", "v1:/data", "busybox", "sh", "-c", "echo said; sleep 1000"]);
    host.bulkhead(["run", "--name", "ended", "busybox", "true"]).prints("");
    host.sh("for i in $(seq 500); do bulkhead logs runs | grep -q said && break; sleep 0.01; done")
        .prints("");
    host.sh(AHEAD).prints("");
    host.sh("bulkhead ps -a --format '{{.Names}} {{.State}}' | sort").prints("ended exited\nruns running");
    host.bulkhead(["ps", "-a"]).run().succeeds().shows("Less than a second");
    host.bulkhead(["logs", "--since", "1h", "runs"]).prints("said");
    host.bulkhead(["inspect", "runs", "ended"]).run().succeeds();
    host.bulkhead(["container", "prune", "-f", "--filter", "until=1h"]).run().succeeds();
    assert_eq!(host.inspect("ended", "{{.State.Status}}"), "exited", "it is not older than an hour");
    host.bulkhead(["start", "ended"]).prints("ended");
    host.bulkhead(["restart", "-t", "0", "runs"]).prints("runs");
    host.bulkhead(["rm", "-f", "runs", "ended"]).run().succeeds();
    host.finish();
}
