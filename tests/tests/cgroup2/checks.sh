# What must hold on pure cgroup version 2; see main.rs. Each line of `report.sh`'s helpers is a check.
. /report.sh

has 'info tells the version' 'Cgroup Version: 2' "$(bulkhead info 2>&1)"
ends 'an image is loaded' 0 bulkhead load -i /images/busybox.tar
prints 'run --rm prints' 'hello' bulkhead run --rm busybox echo hello
end
