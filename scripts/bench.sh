#!/usr/bin/env bash
# Tables: what a user namespace costs; our networks, OCI runtime and times beside those of the peers that are installed, measured alternately
# on one host.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bulkhead=$(scripts/build.sh --path)
export BULKHEAD_BIN="${BULKHEAD_BIN:-$bulkhead}"
if [[ $(id -u) -ne 0 ]]; then
    runner="CARGO_TARGET_$(rustc --print host-tuple | tr 'a-z-' 'A-Z_')_RUNNER"
    export "$runner=sudo -E"
fi
cargo bench -p bulkhead-tests --bench user_namespaces
cargo bench -p bulkhead-tests --bench networks -- "$@"
cargo bench -p bulkhead-tests --bench oci -- "$@"
cargo bench -p bulkhead-tests --bench api -- "$@"
exec cargo bench -p bulkhead-tests --bench compare -- "$@"
