#!/usr/bin/env bash
# `cargo test` with the arguments given. Tests make namespaces, mounts and cgroups of their own, so test executables
# run as root; without root, they alone run under sudo, and everything is still built as who you are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bulkhead=$(scripts/build.sh --path)
export BULKHEAD_BIN="${BULKHEAD_BIN:-$bulkhead}"
if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
        echo "test.sh: tests need root for namespaces and mounts, and there is neither root nor sudo here" >&2
        exit 1
    fi
    tuple=$(rustc --print host-tuple)
    runner="CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$tuple")_RUNNER"
    export "$runner=sudo -E"
fi
exec cargo test "$@"
