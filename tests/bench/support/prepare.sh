#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the benchmarks need: packages, node, and the programs built for speed.
# Sourced at the root of the tree.

options=
set_option() { options="$options $1 $2"; }

# Debian packages beside those that tests/run.sh installs.
bench_packages() {
    missing=
    for package in gcc libc6-dev cmake ninja-build pkg-config redis-server wrk nginx-light nghttp2-client \
        libh2o-dev libhiredis-dev libjansson-dev libuv1-dev libssl-dev zlib1g-dev; do
        case $package in
        nginx-light) command -v nginx >/dev/null && continue ;;
        *) dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' && continue ;;
        esac
        missing="$missing $package"
    done
    command -v node >/dev/null || missing="$missing nodejs"
    [ -n "$missing" ] || return 0
    echo "installing Debian packages:$missing" >&2
    # policy-rc.d 101 keeps packaged services from starting: we run our own.
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
    # shellcheck disable=SC2086
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing; } >&2
    status=$?
    rm -f /usr/sbin/policy-rc.d
    return $status
}

# prepare BUILD: sets CM_BIN_DIR for the node programs.
prepare() {
    bench_packages || return 1
    if [ "$(nproc)" -lt 2 ]; then
        echo 'two processors are needed: one for the server, one for the load' >&2
        return 1
    fi
    CM_BIN_DIR=${1:-build/bench}
    export CM_BIN_DIR
    [ -n "$1" ] && return 0
    { cmake --preset bench && cmake --build --preset bench; } >&2
}
