#!/usr/bin/env bash
# Makes the images of the tests and the demo, unless they are there already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
runner=()
[[ $(id -u) -eq 0 ]] || runner=(sudo -E)
cargo build --quiet -p bulkhead-tests --bins
exec "${runner[@]}" "${CARGO_TARGET_DIR:-target}/$(rustc --print host-tuple)/debug/test-host" images
