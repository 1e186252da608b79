#!/usr/bin/env bash
# Builds the two static executables in release mode and prints where they are. With `--path` it builds nothing and
# prints the path of `bulkhead` alone, for the other scripts. With `--fail-points` it builds, without optimising, those in
# which tests kill processes at each step (tests/tests/fail_points).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder="${CARGO_TARGET_DIR:-$PWD/target}/$(rustc --print host-tuple)/release"
if [[ "${1:-}" == --path ]]; then
    echo "$folder/bulkhead"
    exit 0
fi
if [[ "${1:-}" == --fail-points ]]; then
    exec cargo build -p bulkhead-cli -p bulkhead-supervisor -p bulkhead-sys --features bulkhead-sys/fail-points
fi
cargo build --release -p bulkhead-cli -p bulkhead-supervisor
echo "built: $folder/bulkhead (and bulkhead-supervisor beside it)"
