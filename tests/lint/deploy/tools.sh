# The Debian packages that the checks need.
# Sourced by ../deploy.sh; $tmp is its scratch folder, removed at the end.
# shellcheck shell=sh disable=SC2154

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >"$tmp/apt" 2>&1
}

# Debian packages that are missing, in one go and without starting services.
install_tools() {
    wanted=
    for pair in jq:jq shellcheck:shellcheck haproxy:haproxy redis-server:redis-server redis-cli:redis-tools; do
        command -v "${pair%%:*}" >/dev/null || wanted="$wanted ${pair#*:}"
    done
    /usr/bin/python3 -c 'import yaml' 2>/dev/null || wanted="$wanted python3-yaml"
    docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null ||
        wanted="$wanted docker-compose"
    apt-cache show libh2o-dev >/dev/null 2>&1 || [ "$(id -u)" != 0 ] || apt-get -q update >/dev/null
    [ -n "$wanted" ] || return 0
    [ "$(id -u)" = 0 ] || {
        echo "run as root once, or install:$wanted" >&2
        exit 1
    }
    echo "installing:$wanted"
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 0755 "$policy"
    fi
    # The lists may be absent or too old to find what they name: once more with new ones.
    # shellcheck disable=SC2086 # a list of names
    apt_install $wanted || { apt-get -q update >"$tmp/apt" 2>&1 && apt_install $wanted; } || {
        cat "$tmp/apt" >&2
        exit 1
    }
    [ -z "$policy" ] || rm -f "$policy"
    policy=
}
