# The last steps before systemd, in a mount and PID namespace of its own on a test's host: all that is the machine's
# becomes read-only, which is looked at, and then this becomes systemd. See host.rs.

# The host's own, whose end is the host's: memory, overlays over it, the host's part of the groups, its processes.
is_own() {
    case $1 in
    /run | /run/* | /tmp | /etc | /var | /var/* | /root | /home | /dev | /dev/* | /proc | /sys/fs/cgroup | /sys/fs/cgroup/*) true ;;
    *) false ;;
    esac
}

# Kernel parameters are all the machine's; of /proc, processes alone are not.
for place in /proc/sys /proc/sysrq-trigger /proc/irq /proc/bus /proc/fs; do
    test ! -e $place || { mount --bind $place $place && mount -o remount,bind,ro $place; }
done
while read -r _ _ _ _ place _; do
    # What lies below another mount cannot be reached, here or by systemd.
    is_own "$place" || mount -o remount,bind,ro "$place" 2>/dev/null || true
done </proc/self/mountinfo
# Its words go nowhere: the machine's console and the kernel's log are not the host's.
for node in /dev/console /dev/kmsg; do
    test ! -e $node || mount --bind /dev/null $node
done

# Disks are no business of systemd's here; this /dev is the host's.
find /dev -xdev -type b -delete

unsafe() {
    echo "UNSAFE: $1 is the machine's and could be written to by systemd" >&2
    exit 1
}
for place in / /usr /opt /srv /boot /work /mnt /sys /sys/kernel /proc/sys/fs /proc/sys/kernel /proc/sysrq-trigger; do
    test ! -w $place || unsafe $place
done
test -z "$(find /dev -type b)" || unsafe /dev
while read -r _ _ _ _ place _; do
    is_own "$place" || test ! -w "$place" || unsafe "$place"
done </proc/self/mountinfo
# Memory, or an overlay with its upper folder in memory.
for place in /run /tmp /etc /var /root /home /dev; do
    test ! -d $place || case $(stat --file-system --format %T $place) in
    tmpfs | overlayfs) ;;
    *) unsafe $place ;;
    esac
done

# A path without a colon at its end is the whole path: no unit and no generator of the machine.
export container=tests SYSTEMD_UNIT_PATH=/run/units:/run/systemd/transient
export SYSTEMD_GENERATOR_PATH=/run/nothing SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/nothing
exec setpriv --bounding-set -sys_time,-sys_boot,-sys_module,-syslog \
    /usr/lib/systemd/systemd --system --unit=tests.target --show-status=no --log-target=console
