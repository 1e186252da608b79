# What must hold of the OCI runtime on pure cgroup version 2; see main.rs and checks.sh.
. /report.sh
bundle=/tmp/bundle
group=/sys/fs/cgroup/pod/one

mkdir -p $bundle/rootfs/bin $bundle/rootfs/dev $bundle/rootfs/proc $bundle/rootfs/sys $bundle/rootfs/tmp
cp /bin/busybox $bundle/rootfs/bin/busybox
for applet in sh rm cat sleep echo mknod head wc grep ls mkdir test dd; do ln -s busybox $bundle/rootfs/bin/$applet; done

# config SCRIPT RESOURCES [CGROUP OPTION]: writes config.json
config() {
    cat >$bundle/config.json <<JSON
{ "ociVersion": "1.2.0", "root": { "path": "rootfs" },
  "process": { "args": ["sh", "-c", "$1"], "cwd": "/", "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 },
    "capabilities": { "bounding": ["CAP_MKNOD"], "permitted": ["CAP_MKNOD"], "effective": ["CAP_MKNOD"] } },
  "mounts": [ { "destination": "/proc", "type": "proc", "source": "proc" },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
    { "destination": "/sys", "type": "sysfs", "source": "sysfs" },
    { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["${3:-ro}"] } ],
  "linux": { "cgroupsPath": "/pod/one", "resources": { $2 },
    "namespaces": [ { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }, { "type": "cgroup" } ] } }
JSON
}
oci() {
    bulkhead oci "$@"
}
made() {
    oci create --bundle $bundle one </dev/null >/tmp/output 2>&1
}

# Limits, in the words of version 1 and in those of version 2.
config 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max' \
    '"memory": { "limit": 67108864 }, "pids": { "limit": 20 }, "cpu": { "quota": 50000, "period": 100000 }'
prints 'limits hold' "67108864
20
50000 100000" oci run --bundle $bundle one
ends 'and the group goes' 1 test -e $group
config 'cat /sys/fs/cgroup/memory.high /sys/fs/cgroup/cpu.weight /sys/fs/cgroup/memory.oom.group' \
    '"unified": { "memory.high": "33554432", "cpu.weight": "77", "memory.oom.group": "1" }'
prints 'files of version 2 are written as they are' "33554432
77
1" oci run --bundle $bundle one
config 'true' '"unified": { "nosuch.max": "1" }'
ends 'one of no controller is an error' 1 oci run --bundle $bundle one
has 'which names it' 'nosuch.max' "$said"
config 'true' '"unified": { "../one/memory.high": "1" }'
ends 'one that leads elsewhere too' 1 oci run --bundle $bundle one
ends 'and the group goes with it' 1 test -e $group

if grep -q hugetlb /sys/fs/cgroup/cgroup.controllers; then
    config 'cat /sys/fs/cgroup/hugetlb.2MB.max /sys/fs/cgroup/hugetlb.2MB.rsvd.max' \
        '"hugepageLimits": [ { "pageSize": "2MB", "limit": 4194304 } ]'
    prints 'huge pages are limited as they are reserved, too' "4194304
4194304" oci run --bundle $bundle one
fi

# Devices: the program that is attached to the group decides. (Nodes may be made by every container, as with runc.)
node='rm -f /tmp/kmsg; mknod /tmp/kmsg c 1 11 && dd if=/dev/null of=/tmp/kmsg 2>/dev/null && echo opened; head -c3 /dev/zero | wc -c'
none='{ "allow": false, "access": "rwm" }'
one='"type": "c", "major": 1, "minor": 11'
config "$node" "\"devices\": [ $none ]"
prints 'what no rule allows cannot be opened, standard devices can' 3 oci run --bundle $bundle one
config "$node" "\"devices\": [ $none, { \"allow\": true, $one, \"access\": \"rm\" } ]"
prints 'what may be read cannot be written' 3 oci run --bundle $bundle one
config "$node" "\"devices\": [ $none, { \"allow\": true, $one, \"access\": \"rwm\" } ]"
prints 'what is allowed can' "opened
3" oci run --bundle $bundle one
config "$node" "\"devices\": [ { \"allow\": true, \"access\": \"rwm\" }, { \"allow\": false, $one, \"access\": \"rwm\" } ]"
prints 'of two rules the later counts' 3 oci run --bundle $bundle one

# Life.
config 'echo started; exec sleep 1000' '"pids": { "limit": 30 }'
ends 'create' 0 made
prints 'its process is in its group before it starts' 1 sh -c "wc -l <$group/cgroup.procs"
prints 'nothing has run' '' cat /tmp/output
ends 'start' 0 oci start one
waits 'it runs' started cat /tmp/output
prints 'exec is in the group' '0::/' oci exec one cat /proc/self/cgroup
ends 'pause' 0 oci pause one
prints 'freezes it' 1 cat $group/cgroup.freeze
has 'and says so' '"status": "paused"' "$(oci state one)"
ends 'exec in it is refused' 255 oci exec one true
ends 'resume' 0 oci resume one
prints 'thaws it' 0 cat $group/cgroup.freeze
ends 'update' 0 oci update --pids-limit 40 --memory 32m one
prints 'changes limits' '40 33554432' sh -c "echo \$(cat $group/pids.max $group/memory.max)"
echo '{ "unified": { "memory.low": "4096" } }' >/tmp/resources
ends 'update by a file' 0 oci update --resources /tmp/resources one
prints 'changes those of version 2' 4096 cat $group/memory.low
mkdir $group/below
prints 'exec can be in a group below' '0::/below' oci exec --cgroup below one cat /proc/self/cgroup
ends 'of no controller by name' 255 oci exec --cgroup memory:below one true
has 'events tell what is used' '"pids":{"current":1,"limit":40}' "$(oci events --stats one)"
ends 'delete of one that runs is refused' 1 oci delete one
ends 'delete --force' 0 oci delete --force one
ends 'removes the group, and what was below' 1 test -e $group

# A container that manages groups of its own: its first group takes no process any more.
config 'mkdir /sys/fs/cgroup/init && echo 1 >/sys/fs/cgroup/init/cgroup.procs && echo +pids >/sys/fs/cgroup/cgroup.subtree_control && echo ready; exec sleep 1000' '' rw
ends 'create of one that may write its groups' 0 made
ends 'start of it' 0 oci start one
waits 'it has moved' ready cat /tmp/output
prints 'exec is where its first process is' '0::/init' oci exec one cat /proc/self/cgroup
ends 'delete of it' 0 oci delete --force one
ends 'leaves nothing' 1 test -e $group

prints 'no container is left' '' oci list -q
ends 'nor a group' 0 rmdir /sys/fs/cgroup/pod
end
