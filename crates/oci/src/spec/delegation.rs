//! Whether a container's control group becomes its own (config-linux.md, "Cgroup ownership"): on version 2, if it has a
//! cgroup namespace of its own and the groups are mounted to be written to; to whom its program runs as. Without users of
//! its own that is who it is anyway.

use bulkhead_isolation::cgroups::layout::Layout;
use bulkhead_isolation::namespaces::Namespaces;
use bulkhead_isolation::namespaces::cgroup::CgroupNamespace;

use super::Spec;
use super::mounts::Mount;

/// The users, as the host knows them, whose it becomes.
pub(super) fn owner(spec: &Spec, namespaces: &Namespaces) -> Option<(u32, u32)> {
    let mappings = namespaces.user.mappings()?;
    let writable = spec.mounts.iter().flatten().any(is_writable);
    if !writable || namespaces.cgroup != CgroupNamespace::New || !is_v2() {
        return None;
    }
    let user = spec.process.as_ref()?.user.as_ref();
    mappings.outside(user.map_or(0, |user| user.uid), user.map_or(0, |user| user.gid))
}

fn is_writable(mount: &Mount) -> bool {
    let read_only = |option: &String| option == "ro";
    mount.source.as_deref() == Some("cgroup")
        && mount.destination == "/sys/fs/cgroup"
        && !mount.options.iter().flatten().any(read_only)
}

fn is_v2() -> bool {
    // What there is instead of it is told when the group is made.
    matches!(Layout::detect(), Ok(Layout::V2(_)))
}
