#!/usr/bin/env bash
# Walks through a first day with containers (scripts/story.sh) on a host of its own: namespaces with their own /run,
# /var/lib/bulkhead, network and cgroups, made as the tests make theirs. Nothing is left on the machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bulkhead="${BULKHEAD_BIN:-$(scripts/build.sh --path)}"
helper="${CARGO_TARGET_DIR:-$PWD/target}/$(rustc --print host-tuple)/debug/test-host"
as_root=()
if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
        echo "demo.sh: containers need root for namespaces and mounts, and there is neither root nor sudo here" >&2
        exit 1
    fi
    as_root=(sudo)
fi
images=$("${as_root[@]}" "$helper" images | head -n1 | xargs dirname)

name="bulkhead-demo-$$"
coproc HOST { exec "${as_root[@]}" "$helper" up "$name" "$(dirname "$bulkhead")" "$images"; }
helper_pid=$HOST_PID
hold=${HOST[1]}
# The host lives until its input is closed.
finish() {
    exec {hold}>&-
    wait "$helper_pid" || true
    "${as_root[@]}" "$helper" down "$name"
}
trap finish EXIT
read -r first <&"${HOST[0]}"
read -r second <&"${HOST[0]}"
[[ "$first" =~ ^[0-9]+$ ]] || first=$second

path="/run/host/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"${as_root[@]}" env -i PATH="$path" HOME=/root LANG=C.UTF-8 TERM="${TERM:-xterm}" \
    "$helper" enter "$name" "$first" -- bash -c "$(cat scripts/story.sh)" </dev/null
