//! How `run` and `create` stand to Docker's flags: every flag that Docker 28 and 29 have, and for each that is not as
//! Docker's, or is refused, the reason. What is refused is not defined as a flag at all (defining costs time at every
//! start); whoever writes it is answered from here. docs/docker.md is made from this and the definitions.

/// What is to be said about a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// It works, but not quite as Docker's.
    Differs(&'static str),
    /// It is refused.
    Refused(&'static str),
}

/// The flags of `docker run` (<https://docs.docker.com/reference/cli/docker/container/run/>), by name.
pub(crate) const DOCKERS: [&str; 104] = [
    "add-host",
    "annotation",
    "attach",
    "blkio-weight",
    "blkio-weight-device",
    "cap-add",
    "cap-drop",
    "cgroup-parent",
    "cgroupns",
    "cidfile",
    "cpu-count",
    "cpu-percent",
    "cpu-period",
    "cpu-quota",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cpu-shares",
    "cpus",
    "cpuset-cpus",
    "cpuset-mems",
    "detach",
    "detach-keys",
    "device",
    "device-cgroup-rule",
    "device-read-bps",
    "device-read-iops",
    "device-write-bps",
    "device-write-iops",
    "disable-content-trust",
    "dns",
    "dns-option",
    "dns-search",
    "domainname",
    "entrypoint",
    "env",
    "env-file",
    "expose",
    "gpus",
    "group-add",
    "health-cmd",
    "health-interval",
    "health-retries",
    "health-start-interval",
    "health-start-period",
    "health-timeout",
    "help",
    "hostname",
    "init",
    "interactive",
    "io-maxbandwidth",
    "io-maxiops",
    "ip",
    "ip6",
    "ipc",
    "isolation",
    "kernel-memory",
    "label",
    "label-file",
    "link",
    "link-local-ip",
    "log-driver",
    "log-opt",
    "mac-address",
    "memory",
    "memory-reservation",
    "memory-swap",
    "memory-swappiness",
    "mount",
    "name",
    "network",
    "network-alias",
    "no-healthcheck",
    "oom-kill-disable",
    "oom-score-adj",
    "pid",
    "pids-limit",
    "platform",
    "privileged",
    "publish",
    "publish-all",
    "pull",
    "quiet",
    "read-only",
    "restart",
    "rm",
    "runtime",
    "security-opt",
    "shm-size",
    "sig-proxy",
    "stop-signal",
    "stop-timeout",
    "storage-opt",
    "sysctl",
    "tmpfs",
    "tty",
    "ulimit",
    "use-api-socket",
    "user",
    "userns",
    "uts",
    "volume",
    "volume-driver",
    "volumes-from",
    "workdir",
];

use Says::{Differs, Refused};

const WINDOWS: Says = Refused("it is for Windows");
const NO_WEIGHTS: &str =
    "where no disk scheduler of the kernel weighs groups (BFQ does), it has no effect, with a warning";

/// What is not as Docker's.
pub(crate) const NOTES: &[(&str, Says)] = &[
    (
        "annotation",
        Differs("kept and shown by `inspect`; there is no other runtime that it would be passed on to"),
    ),
    ("blkio-weight", Differs(NO_WEIGHTS)),
    ("blkio-weight-device", Differs(NO_WEIGHTS)),
    ("cgroup-parent", Differs("`/bulkhead` unless given")),
    ("cgroupns", Differs("`private` unless given, on both versions of cgroups, `--privileged` included")),
    ("cpu-count", WINDOWS),
    ("cpu-percent", WINDOWS),
    (
        "cpu-rt-period",
        Differs(
            "cgroup version 1 and a kernel with CONFIG_RT_GROUP_SCHED only; no daemon gives the groups above time: see `--cpu-rt-runtime`",
        ),
    ),
    (
        "cpu-rt-runtime",
        Differs(
            "as `--cpu-rt-period`; the groups above must have been given as much (`cpu.rt_runtime_us`), which Docker's daemon does",
        ),
    ),
    ("detach-keys", Differs("work with a terminal only")),
    ("device", Differs("paths only: names of the Container Device Interface are refused")),
    ("disable-content-trust", Differs("`true` alone: signatures are not verified, so `false` is refused")),
    ("expose", Differs("recorded, and shown by `inspect`")),
    (
        "gpus",
        Refused("this version of bulkhead has no requests for devices (give device files with --device)"),
    ),
    ("io-maxbandwidth", WINDOWS),
    ("io-maxiops", WINDOWS),
    ("ipc", Differs("`private` unless given")),
    ("isolation", Differs("`default` alone, as Docker on Linux")),
    ("kernel-memory", Differs("as Docker since 23.0: it has no effect, with a warning")),
    ("link-local-ip", Refused("no driver of bulkhead has link-local addresses of one's own choice")),
    ("memory-swappiness", Differs("cgroup version 1 only; on version 2 it has no effect, with a warning")),
    (
        "mount",
        Differs(
            "types bind, volume, tmpfs and image; a subpath is refused; `idmap`, `noidmap` and `U` beside Docker's keys",
        ),
    ),
    ("network", Differs("drivers `bridge` and `macvlan`: see [networks.md](networks.md)")),
    ("oom-kill-disable", Differs("cgroup version 1 only; on version 2 it has no effect, with a warning")),
    ("platform", Differs("this machine's own alone: there is no emulation")),
    (
        "privileged",
        Differs("within the container's user namespace: see [user-namespaces.md](user-namespaces.md)"),
    ),
    ("runtime", Differs("`bulkhead` alone, which is the default")),
    ("security-opt", Differs("AppArmor profiles, SELinux labels and seccomp notifications are refused")),
    ("storage-opt", Refused("this version of bulkhead has no size limit for the writable layer")),
    ("ulimit", Differs("a hard limit that this engine may not raise is lowered, with a warning")),
    (
        "use-api-socket",
        Refused(
            "it would give the container the whole engine, and this version of bulkhead has no API socket",
        ),
    ),
    ("userns", Differs("`auto` unless given, not `host`: see [user-namespaces.md](user-namespaces.md)")),
    (
        "volume",
        Differs(
            "a missing folder is made when the container starts, as the container's user; whose IDs files have: see [user-namespaces.md](user-namespaces.md)",
        ),
    ),
    ("volume-driver", Differs("`local` alone")),
];

/// Docker's flags before the command that are refused, and why.
pub(crate) const GLOBALLY_REFUSED: [(&str, &str); 5] = {
    const WHY: &str = "there is no connection that it could protect: bulkhead is the engine itself";
    [("tls", WHY), ("tlscacert", WHY), ("tlscert", WHY), ("tlskey", WHY), ("tlsverify", WHY)]
};

/// Why a flag, `--name` as it was written, is refused, if it is one of Docker's.
pub(crate) fn refusal(flag: &str, of_run: bool) -> Option<&'static str> {
    let name = flag.strip_prefix("--")?;
    if !of_run {
        return GLOBALLY_REFUSED.iter().find(|(known, _)| *known == name).map(|(_, why)| *why);
    }
    NOTES.iter().find(|(known, _)| *known == name).and_then(|(_, says)| match says {
        Refused(why) => Some(*why),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{DOCKERS, NOTES, Says};
    use crate::reference::flags_of_run;

    #[test]
    fn every_flag_of_docker_s_is_there_or_refused_with_a_reason() {
        let defined = flags_of_run();
        for name in DOCKERS {
            let says = NOTES.iter().find(|(noted, _)| *noted == name).map(|(_, says)| says);
            let refused = matches!(says, Some(Says::Refused(_)));
            assert_ne!(
                defined.contains_key(name),
                refused,
                "--{name}: it is defined, or refused, and never both"
            );
        }
        for (name, _) in NOTES {
            assert!(DOCKERS.contains(name), "--{name} is no flag of Docker's");
            assert_eq!(NOTES.iter().filter(|(other, _)| other == name).count(), 1, "--{name} is noted twice");
        }
        assert!(DOCKERS.is_sorted(), "by name");
    }
}
