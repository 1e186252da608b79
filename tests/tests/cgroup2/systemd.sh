# What must hold of `--systemd-cgroup` on pure cgroup version 2; see main.rs and checks.sh. systemd is PID 1 of a namespace.
. /report.sh
bundle=/tmp/bundle
group=/sys/fs/cgroup/a.slice/a-b.slice/p-one.scope

mkdir -p /run/units
printf '[Unit]\nDescription=tests\nDefaultDependencies=no\n' >/run/units/tests.target
export container=tests SYSTEMD_UNIT_PATH=/run/units:/run/systemd/transient
unshare -p -f -m --propagation=private --mount-proc /usr/lib/systemd/systemd --system --unit=tests.target \
    --show-status=no --log-target=console </dev/null >/run/systemd.log 2>&1 &
outer=$!
waits 'systemd is there' yes sh -c 'test -S /run/systemd/private && echo yes'
read pid rest </proc/$outer/task/$outer/children
inside() {
    nsenter -t $pid -p -m "$@"
}
oci() {
    inside bulkhead oci --systemd-cgroup "$@"
}
# show UNIT NAME…: properties
show() {
    unit=$1
    shift
    for name; do inside systemctl show $unit --property $name --value; done
}

mkdir -p $bundle/rootfs/bin $bundle/rootfs/dev $bundle/rootfs/proc $bundle/rootfs/sys $bundle/rootfs/tmp
cp /bin/busybox $bundle/rootfs/bin/busybox
for applet in sh cat sleep mkdir stat head wc mknod; do ln -s busybox $bundle/rootfs/bin/$applet; done
# config SCRIPT RESOURCES MORE-OF-LINUX CGROUP-OPTION [USER]
config() {
    cat >$bundle/config.json <<JSON
{ "ociVersion": "1.2.0", "root": { "path": "rootfs" },
  "process": { "args": ["sh", "-c", "$1"], "cwd": "/", "env": ["PATH=/bin"], "user": { "uid": ${5:-0}, "gid": ${5:-0} } },
  "mounts": [ { "destination": "/proc", "type": "proc", "source": "proc" },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
    { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["$4"] } ],
  "linux": { "cgroupsPath": "a-b.slice:p:one", "resources": { $2 }, $3
    "namespaces": [ { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "cgroup" }, { "type": "network" } ] } }
JSON
}

config 'exec sleep 1000' '"memory": { "limit": 67108864, "reservation": 1048576, "swap": 100663296 }, "pids": { "limit": 1 },
    "cpu": { "shares": 512, "quota": 50000, "period": 100000, "cpus": "0" }, "unified": { "memory.high": "33554432" }' '' ro
ends 'create' 0 sh -c "nsenter -t $pid -p -m bulkhead oci --systemd-cgroup create --bundle $bundle one </dev/null >/tmp/output 2>&1"
cat /tmp/output
prints 'systemd shows its limits' 'a-b.slice
yes
67108864
1048576
33554432
33554432
1
20
500ms
0
strict' show p-one.scope Slice Delegate MemoryMax MemoryLow MemorySwapMax MemoryHigh TasksMax CPUWeight CPUQuotaPerSecUSec AllowedCPUs DevicePolicy
prints 'they are in the group' '67108864 33554432 1 20 50000 100000 0' \
    sh -c "cd $group; echo \$(cat memory.max memory.high pids.max cpu.weight cpu.max cpuset.cpus)"
prints 'its process is alone there' 1 sh -c "wc -l <$group/cgroup.procs"
ends 'start' 0 oci start one
ends 'update' 0 oci update --pids-limit 20 --memory 32m one
prints 'is seen by systemd' '33554432
20' show p-one.scope MemoryMax TasksMax
prints 'and in the group' '33554432 20' sh -c "cd $group; echo \$(cat memory.max pids.max)"
prints 'exec is in the group' '0::/' oci exec one cat /proc/self/cgroup
prints 'all holds when systemd has written it anew' '33554432 20' \
    sh -c "nsenter -t $pid -p -m systemctl daemon-reload; cd $group; echo \$(cat memory.max pids.max)"
prints 'standard devices can be used' 3 oci exec one sh -c 'head -c3 /dev/zero | wc -c'
node='mknod /kmsg c 1 11; echo x >/kmsg'
ends 'others cannot' 1 oci exec --cap CAP_MKNOD one sh -c "$node"
has 'by neither list' 'Operation not permitted' "$said"
echo '{ "memory": { "limit": 4096, "checkBeforeUpdate": true } }' >/tmp/resources
ends 'an update below what is used is refused if asked for' 1 oci update --resources /tmp/resources one
has 'and says so' 'nothing was changed' "$said"
prints 'and nothing is changed' 33554432 cat $group/memory.max
ends 'pause' 0 oci pause one
prints 'freezes it' 1 cat $group/cgroup.freeze
ends 'resume' 0 oci resume one
ends 'delete --force' 0 oci delete --force one
ends 'the group has gone' 1 test -e $group
prints 'and the unit' '' inside systemctl list-units --all --no-legend 'p-*'

# Killed between the unit and the start.
printf '#!/bin/sh\necho $PPID >/run/runtime\nexec sleep 1000\n' >/tmp/hang
chmod +x /tmp/hang
sed -i 's,"root":,"hooks": { "createRuntime": [ { "path": "/tmp/hang" } ] }\, "root":,' $bundle/config.json
oci create --bundle $bundle one </dev/null >/dev/null 2>&1 &
waits 'the hook runs' yes sh -c 'test -s /run/runtime && echo yes'
prints 'the unit is there' active show p-one.scope ActiveState
inside kill -9 $(cat /run/runtime)
waits 'it ends by itself' inactive sh -c "nsenter -t $pid -p -m systemctl show p-one.scope -p ActiveState --value"
ends 'there is no container' 1 oci state one
ends 'nor its group' 1 test -e $group

# A container that may write its groups gets what the kernel names, and no more.
user='"uidMappings": [ { "containerID": 0, "hostID": 100000, "size": 1000 } ], "gidMappings": [ { "containerID": 0, "hostID": 100000, "size": 1000 } ],'
config 'cd /sys/fs/cgroup; stat -c %u . cgroup.procs cgroup.subtree_control memory.max; mkdir x 2>/dev/null && echo made; true' '' "$user" rw 5
sed -i 's,{ "type": "network" },{ "type": "network" }\, { "type": "user" },' $bundle/config.json
chmod 755 $bundle /tmp
prints 'what is delegated is its own' '5
5
5
65534
made' oci run --bundle $bundle one
sed -i 's,"rw","ro",' $bundle/config.json
prints 'without a mount to write to, nothing is' '65534
65534
65534
65534' oci run --bundle $bundle one
prints 'no container is left' '' oci list -q
ends 'nor a group' 1 test -e /sys/fs/cgroup/a.slice/a-b.slice/p-one.scope
kill -9 $pid
end
