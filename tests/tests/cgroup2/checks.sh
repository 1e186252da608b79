# What must hold on pure cgroup version 2; see main.rs. Each line of `report.sh`'s helpers is a check.
. /report.sh
groups=/sys/fs/cgroup/bulkhead

run() {
    bulkhead run --rm "$@"
}
# inside FLAG… SCRIPT: runs a shell script in a new container
inside() {
    flags=
    while [ $# -gt 1 ]; do
        flags="$flags $1"
        shift
    done
    bulkhead run --rm $flags busybox sh -c "$1"
}
id_of() {
    bulkhead inspect -f '{{.Id}}' "$1"
}

# The first steps.
has 'info tells the version' 'Cgroup Version: 2' "$(bulkhead info 2>&1)"
ends 'an image is loaded' 0 bulkhead load -i /images/busybox.tar
prints 'run --rm prints' 'hello' run busybox echo hello
prints 'a second run does too' 'again' run busybox echo again
ends 'its exit code is passed on' 7 run busybox sh -c 'exit 7'
ends 'no such program is 127' 127 run busybox nosuch
prints 'what it writes is in its own layer' 'x' inside 'echo x >/root/f; cat /root/f; rm /bin/vi'
prints 'and in no other' '' inside 'ls /root; test -e /bin/vi'

# Limits, as the container itself reads them.
prints 'memory.max' 67108864 inside -m=64m 'cat /sys/fs/cgroup/memory.max'
prints 'memory.low' 33554432 inside --memory-reservation=32m 'cat /sys/fs/cgroup/memory.low'
prints 'memory.swap.max' 33554432 inside -m=64m --memory-swap=96m 'cat /sys/fs/cgroup/memory.swap.max'
prints 'as much swap as memory without --memory-swap' 67108864 inside -m=64m 'cat /sys/fs/cgroup/memory.swap.max'
prints 'pids.max' 10 inside --pids-limit=10 'cat /sys/fs/cgroup/pids.max'
said=$(inside --pids-limit=5 'for i in 1 2 3 4 5 6 7; do sleep 3 & done' 2>&1)
has 'pids.max holds' "can't fork" "$said"
prints 'cpu.max' '50000 100000' inside --cpus=0.5 'cat /sys/fs/cgroup/cpu.max'
prints 'cpu.weight' 20 inside --cpu-shares=512 'cat /sys/fs/cgroup/cpu.weight'
prints 'cpuset.cpus' '1 1' inside --cpuset-cpus=1 \
    'echo $(cat /sys/fs/cgroup/cpuset.cpus; grep Cpus_allowed_list /proc/self/status | cut -f2)'
prints 'io.max' "$(cat /sys/block/vda/dev) rbps=1048576 wbps=max riops=max wiops=max" \
    inside --device-read-bps=/dev/vda:1m 'cat /sys/fs/cgroup/io.max'
mkdir /sys/fs/cgroup/bare
prints 'a parent that passes nothing down is made to' 67108864 \
    inside --cgroup-parent=/bare -m=64m 'cat /sys/fs/cgroup/memory.max'
rmdir /sys/fs/cgroup/bare
ends 'and is left empty' 1 test -e /sys/fs/cgroup/bare

# Out of memory.
ends 'out of memory is 137' 137 bulkhead run --name oom -m 32m busybox dd if=/dev/zero of=/dev/null bs=200M count=1
prints 'and told in inspect' 'true 137' bulkhead inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom
ends 'killed otherwise' 0 bulkhead run -d --name killed -m 32m busybox sleep 1000
supervisor=$(sed 's/.*"supervisor":{"pid":\([0-9]*\).*/\1/' /var/lib/bulkhead/containers/$(id_of killed)/status.json)
prints 'its supervisor was born in a group of its own' '0::/bulkhead/supervisors' cat /proc/$supervisor/cgroup
ends 'kill' 0 bulkhead kill killed
prints 'wait' 137 bulkhead wait killed
prints 'is not told as that' 'false' bulkhead inspect -f '{{.State.OOMKilled}}' killed
ends 'rm' 0 bulkhead rm oom killed

# Devices: in the host's user namespace, only the program that is attached to the group stands between root and the node.
node='mknod /tmp/kmsg c 1 11 && dd if=/dev/null of=/tmp/kmsg'
disk='mknod /tmp/disk b '$(tr : ' ' </sys/block/vda/dev)' && head -c1 /tmp/disk | wc -c'
prints 'standard devices work' '4 4' inside 'echo x >/dev/null; echo $(head -c4 /dev/zero | wc -c; head -c4 /dev/urandom | wc -c)'
ends 'a node of the kernel log may be made, not opened' 1 inside --userns=host "$node"
has 'since that is not permitted' 'Operation not permitted' "$said"
said=$(inside --userns=host "$disk" 2>&1)
has 'nor a disk' 'Operation not permitted' "$said"
ends 'with --privileged it may' 0 inside --privileged --userns=host "$node"
prints 'a disk too' 1 inside --privileged --userns=host "$disk"
ends 'with --device it may' 0 run --userns=host --device /dev/kmsg busybox sh -c "$node"
ends 'with a rule it may' 0 run --userns=host --device-cgroup-rule 'c 1:11 rwm' busybox sh -c "$node"
ends 'with a rule for reading alone it may not be written' 1 run --userns=host --device-cgroup-rule 'c 1:11 r' busybox sh -c "$node"

# A container that stays.
ends 'run -d' 0 bulkhead run -d --name c1 busybox sleep 1000
id=$(id_of c1)
group=$groups/$id
ends 'its group is there' 0 test -d "$group"
prints 'with its first process and no other' 1 wc -l <"$group/cgroup.procs"
prints 'the namespace shows its group as the root' '0::/' bulkhead exec c1 cat /proc/self/cgroup
ends 'exec -d' 0 bulkhead exec -d c1 sleep 1001
waits 'lands in the group' 'sleep 1001' sh -c "for pid in \$(cat $group/cgroup.procs); do tr '\\0' ' ' </proc/\$pid/cmdline; done"
prints 'the mounted hierarchy is the group itself' 3 bulkhead exec c1 sh -c 'wc -l </sys/fs/cgroup/cgroup.procs'
ends 'and read-only' 1 bulkhead exec c1 mkdir /sys/fs/cgroup/x
ends 'devices are refused to exec too' 1 bulkhead exec c1 sh -c "$node"
ends 'pause' 0 bulkhead pause c1
prints 'freezes the group' '1 1' sh -c "echo \$(cat $group/cgroup.freeze) \$(sed -n 's/frozen //p' $group/cgroup.events)"
prints 'and is told' paused bulkhead inspect -f '{{.State.Status}}' c1
ends 'unpause' 0 bulkhead unpause c1
prints 'thaws it' '0 0' sh -c "echo \$(cat $group/cgroup.freeze) \$(sed -n 's/frozen //p' $group/cgroup.events)"
prints 'and it lives' lives bulkhead exec c1 echo lives

# Other limits while it runs, and what it uses.
prints 'update' c1 bulkhead update -m 64m --pids-limit=20 --cpus=0.5 c1
prints 'is written to the group' '67108864 20 50000 100000' \
    bulkhead exec c1 sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max pids.max cpu.max)'
prints 'limits are lifted again' c1 bulkhead update -m 128m --memory-swap=-1 --pids-limit=-1 c1
prints 'in the group, too' '134217728 max max' bulkhead exec c1 sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max memory.swap.max pids.max)'
said=$(bulkhead stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' c1)
has 'stats tells them' ' / 128MiB 2' "$said"
prints 'info finds every limit but weights of disks' '' \
    sh -c 'bulkhead info 2>&1 | grep "^WARNING: No .* support" | grep -v weight || true'
ends 'and memory that is used' 1 sh -c "echo '$said' | grep ' 0B / 128MiB'"
said=$(run --cpu-rt-runtime=1000 busybox true 2>&1)
has 'there is no real-time for groups' 'does not support CPU real-time scheduler' "$said"

# The network.
address=$(bulkhead inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' c1)
gateway=$(bulkhead inspect -f '{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}' c1)
has 'it has its address' "inet $address/" "$(bulkhead exec c1 ip -4 addr show dev eth0)"
ends 'the gateway answers' 0 bulkhead exec c1 ping -c1 -W5 "$gateway"
ends 'the host reaches it' 0 ping -c1 -W5 "$address"
ends 'and so does a neighbour' 0 run busybox ping -c1 -W5 "$address"
# On a kernel that is older than some messages to its firewall.
ends 'a network of its own' 0 bulkhead network create shop
serve='echo served >/index.html; exec httpd -f -p 80 -h /'
ends 'a port is published' 0 bulkhead run -d --name web --network shop -p 8080:80 busybox sh -c "$serve"
for i in 1 2 3 4 5 6 7 8 9; do bulkhead exec web nc -z 127.0.0.1 80 2>/dev/null && break; sleep 0.3; done
ask="printf 'GET /index.html HTTP/1.0\r\n\r\n' | nc -w 5 127.0.0.1 8080 | tail -n1"
prints 'and reached by loopback' 'served' sh -c "$ask"
has 'it is found by its name' 'Name:' "$(run --network shop busybox nslookup web 127.0.0.11 2>&1)"
ends 'it goes' 0 bulkhead rm -f web
ends 'and its port with it' 0 bulkhead run -d --name web -p 8080:80 busybox sleep 1000
ends 'and the next' 0 bulkhead rm -f web
ends 'the network too' 0 bulkhead network rm shop

# Joining.
prints 'a joined container sees the processes of its donor' 2 run --pid=container:c1 busybox sh -c 'ps -o args | grep -c "^sleep"'
ends 'joined, and there to stay' 0 bulkhead run -d --name guest --pid=container:c1 busybox sleep 1002
ends 'it has a group of its own' 0 test -d "$groups/$(id_of guest)"
has 'the donor sees it' 'sleep 1002' "$(bulkhead exec c1 ps -o args)"
ends 'rm -f of the donor' 0 bulkhead rm -f c1
ends 'removes its group' 1 test -e "$group"
prints 'and the guest ends with it' 137 bulkhead wait guest
ends 'rm of the guest' 0 bulkhead rm guest

# This kernel's overlays take no detached mounts as layers, which ID-mapped ones are: they are attached first.
prints 'the image host, seen through mapped IDs' '65534 /init' run host sh -c 'stat -c "%u %n" /init'
prints 'is the same machine, and cannot be changed' 'written here' run host sh -c 'echo written here >/tmp/x; cat /tmp/x'
ends 'nothing of that is on the machine' 1 test -e /tmp/x
ends 'nor are its mounts' 1 grep overlay /proc/self/mountinfo

# Nor do they take descriptors: the layers go in by path, of which one option holds no more than 255 bytes.
ends 'an image of 120 layers is loaded' 0 bulkhead load -i /images/layers.tar
prints 'all of its layers are seen' '0 119 120' run layers sh -c 'echo $(cat /layer/0 /layer/119; ls /layer | wc -l)'

# IDs are mapped by mounts on ext4, and by copies of the layers on tmpfs, which has no ID-mapped mounts before Linux 6.3.
has 'a store on ext4 maps IDs' 'ID-mapped mounts: yes' "$(bulkhead info 2>&1)"
there() {
    bulkhead --root /tmp/store --state /tmp/state "$@"
}
ends 'a store on tmpfs takes images' 0 there load -i /images/busybox.tar
has 'and says that it maps none' 'ID-mapped mounts: no: layers are copied' "$(there info 2>/dev/null)"
look='echo $(stat -c %u:%g /bin/busybox) $(awk "{print (\$2 >= 524288), \$3}" /proc/self/uid_map); echo x >/bin/x; rm /bin/vi; chown 5:6 /etc/group'
prints 'what root owns there belongs to the container' '0:0 1 65536' \
    there run --rm --network=none busybox sh -c "$look"
prints 'it works in a volume of its own' '33:33' there run --rm --network=none -v vol:/v busybox \
    sh -c 'echo x >/v/f; chown 33:33 /v/f; stat -c %u:%g /v/f'
prints 'no copy is left' '' ls -A /tmp/store/images/shifted
ends 'many layers are taken there too' 0 there load -i /images/layers.tar
prints 'and all of their copies are seen' '0 119 120' there run --rm --network=none layers \
    sh -c 'echo $(cat /layer/0 /layer/119; ls /layer | wc -l)'
ends 'the engine there goes' 0 rm -r /tmp/store /tmp/state

# At the end.
prints 'no container is left' '' bulkhead ps -aq
prints 'no group is left but the supervisors, which is empty' $groups/supervisors find $groups -mindepth 1 -type d
prints 'and nobody is in it' '' cat $groups/supervisors/cgroup.procs
waits 'no supervisor is left' 0 sh -c 'ps -o args | grep -v grep | grep -c bulkhead'
waits 'no link of a container is left' 0 sh -c 'ls -d /sys/class/net/*/brport 2>/dev/null | wc -l'
end
