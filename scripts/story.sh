# The story, by commands as a person types them. scripts/demo.sh runs it on a host of its own; tests/tests/story has
# the same steps, asserted.
set -euo pipefail

# One line that says what comes, the command, and what it really prints.
step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() {
    printf '$ %s\n' "$*"
    bash -c "$*"
}
# A command that must fail, and does.
refused() {
    printf '$ %s\n' "$*"
    if bash -c "$*"; then
        echo "demo: this should have been refused" >&2
        exit 1
    else
        printf '(exit code %s)\n' "$?"
    fi
}
# The same on a terminal, with lines typed into it.
typed() {
    local lines=$1
    shift
    printf '$ %s\n' "$*"
    # The shell inside asks the terminal for its cursor; nobody answers here, so the question is left out.
    (sleep 0.3; while read -r line; do printf '%s\n' "$line"; sleep 0.3; done <<<"$lines") |
        script -qec "$*" /dev/null | sed 's/\x1b\[[0-9]*[nJ]//g'
}
address() { bulkhead inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$1"; }

for image in busybox tools debian-apache; do
    archive=$(ls -v /run/host/images/"$image".*.tar | tail -n1)
    bulkhead load -q -i "$archive" >/dev/null
done
show 'bulkhead images'

step '1. A container has processes of its own: sh is PID 1, and nobody else is there.'
typed $'ps aux\nexit' 'bulkhead run -it --name container1 busybox sh'

step '2. What runs in one container is not seen from another.'
show 'bulkhead run -d --name container2 busybox sleep 1000'
show 'bulkhead run --rm busybox ps aux'
show 'pgrep -a sleep # on the host it is there'

step '3. Unless it is asked for: container3 joins the PID namespace of container1.'
show 'bulkhead rm container1; bulkhead run -itd --name container1 busybox sh; bulkhead exec -d container1 sleep 1000'
typed $'ps aux\nexit' 'bulkhead run -it --rm --pid=container:container1 --name container3 busybox sh'
refused 'bulkhead run --rm --pid=container:nobody busybox ps'

step '4. The ID is the hostname, and its first characters are enough to name it.'
show 'bulkhead run -itd --name container5 busybox sh | tee /tmp/id'
show "bulkhead exec container5 hostname; bulkhead exec $(cut -c-4 /tmp/id) hostname"
show 'bulkhead run --rm --cap-add SYS_ADMIN --hostname=customhost busybox sh -c "hostname; hostname changed; hostname"; hostname'

step '5. Shared memory, semaphores and queues made in one container are invisible in another.'
show 'bulkhead run -d --name ipc1 tools sleep 1000 >/dev/null; bulkhead exec ipc1 ipcmk -Q; bulkhead exec ipc1 ipcs -q'
show 'bulkhead run --rm tools ipcs -q; ipcs -q'

step '6. Mounts made inside stay inside; those of the host are what was asked for.'
show 'bulkhead run --rm --cap-add SYS_ADMIN busybox sh -c "mkdir /m; mount -t tmpfs made-inside /m; grep made-inside /proc/mounts"; grep -c made-inside /proc/mounts || true'
refused 'mkdir /tmp/src; echo from the host > /tmp/src/file; bulkhead run --rm -v /tmp/src:/dst:ro busybox sh -c "cat /dst/file; echo x > /dst/file"'
refused 'bulkhead run --rm --read-only busybox touch /x'

step '7. Three Apaches on port 80 at once, beside the host on its own port 80.'
mkdir -p /tmp/www && echo 'the host' >/tmp/www/index.html && busybox httpd -p 80 -h /tmp/www
for web in web1 web2 web3; do
    show "bulkhead run -d --name $web --hostname $web debian-apache sh -c 'hostname > /var/www/html/index.html; . /etc/apache2/envvars; mkdir -p /run/apache2; exec apache2 -DFOREGROUND 2>/dev/null'"
done
for web in web1 web2 web3; do
    show "curl -s --retry 20 --retry-connrefused --retry-delay 1 http://$(address $web)/"
done
show 'curl -s http://127.0.0.1/'
show "bulkhead exec web1 curl -s http://$(address web2)/"
show 'bulkhead run --rm --network=none busybox ls /sys/class/net'

step '8. Who shares which namespace with whom.'
show "lsns -p $(bulkhead inspect --format '{{.State.Pid}}' web1)"
show 'bulkhead run -d --name guest --pid=container:container1 --network=host busybox sleep 1000 >/dev/null; bulkhead ns'

step "9. The machine's own userland as an image, with nothing downloaded and without its secrets."
show 'bulkhead run --rm host sh -c "head -n1 /etc/os-release; ps aux; ls -A /root; cat /etc/shadow || true"'

step 'And all of it is gone again.'
show 'bulkhead rm -f $(bulkhead ps -aq) | wc -l; bulkhead ps -a'
pkill -x busybox || true
