//! What a supervisor costs, and what it does not depend on.

use bulkhead_tests::Host;

/// The PID of the supervisor of the only container.
const SUPERVISOR: &str =
    r#"$(sed 's/.*"supervisor":{"pid":\([0-9]*\).*/\1/' /var/lib/bulkhead/containers/*/status.json)"#;

/// Whoever ends all processes of its starter's control group (a service that is stopped, a login that ends) does not end
/// the container.
#[test]
fn its_starter_s_group_is_not_its_own() {
    let host = Host::new("supervisor-group").with_busybox();
    let script = format!(
        r#"
        mine=$(cat /proc/self/cgroup)
        for group in /sys/fs/cgroup/*; do
            test -e $group/tasks || continue
            mkdir -p $group/service
            if test -e $group/cpuset.cpus; then
                cat $group/cpuset.cpus > $group/service/cpuset.cpus; cat $group/cpuset.mems > $group/service/cpuset.mems
            fi
        done
        test -e /sys/fs/cgroup/cgroup.procs && mkdir -p /sys/fs/cgroup/service
        sh -c 'for procs in /sys/fs/cgroup/service/cgroup.procs /sys/fs/cgroup/*/service/cgroup.procs; do
                test -e $procs && echo 0 > $procs; done
            bulkhead run -d --name c1 busybox sleep 1000
            sleep 1000 & exit 0' >/dev/null 2>&1
        left=$(cat /sys/fs/cgroup/service/cgroup.procs /sys/fs/cgroup/*/service/cgroup.procs 2>/dev/null | sort -u)
        # The attack bites on what stayed.
        test -n "$left"
        supervisor={SUPERVISOR}
        for pid in $left; do test $pid != $supervisor; kill -9 $pid; done
        sleep 0.1
        for group in /sys/fs/cgroup/service /sys/fs/cgroup/*/service; do test ! -e $group || rmdir $group; done
        bulkhead exec c1 echo there"#
    );
    host.sh(&script).prints("there");
    host.finish();
}

/// It sleeps until somebody wants something: no timer wakes it, and its memory is what it wrote to.
#[test]
fn it_costs_next_to_nothing_while_nothing_happens() {
    let host = Host::new("supervisor-idle").with_busybox();
    host.run_detached(["--name", "c1", "--restart", "always", "busybox", "sleep", "1000"]);
    let script = format!(
        r#"
        switches() {{ sed -n 's/^voluntary_ctxt_switches:[^0-9]*//p' /proc/$1/status; }}
        supervisor={SUPERVISOR}
        # What it does after the start has been done.
        sleep 0.3
        before=$(switches $supervisor)
        sleep 1
        test $(switches $supervisor) = $before
        bulkhead exec c1 true
        test $(switches $supervisor) != $before
        test $(ls /proc/$supervisor/task | wc -l) = 1
        kb=$(awk '/^Anonymous/ {{ sum += $2 }} END {{ print sum }}' /proc/$supervisor/smaps_rollup)
        test $kb -lt 1024 || {{ echo $kb kB; exit 1; }}"#
    );
    host.sh(&script).prints("");
    host.finish();
}
