#!/bin/sh
# The whole service on one Debian 12 machine, for trying it and for developing.
#
#   sh deploy/local.sh        build, start everything, stay; Ctrl-C stops it all
#   sh deploy/local.sh -d     the same in the background; returns when it is ready
#   sh deploy/local.sh stop   ends what runs in CM_DATA_DIR
#
# Everything that it keeps lies in CM_DATA_DIR (default .local): Redis' append-only
# file, the programs' state directories (instead of CM_STATE_DIR), logs, pids, the
# admin token, the demo key and local.env. A second start finds them there. It does
# not restart a Redis that dies.
#
# CM_TLS_CERT_FILE and CM_TLS_KEY_FILE turn TLS on, on CM_TLS_LISTEN; where that is
# set without them, a certificate for localhost is made.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
data=${CM_DATA_DIR:-$root/.local}
case $data in /*) ;; *) data=$PWD/$data ;; esac
redis_port=${CM_REDIS_PORT:-6390}
listen=${CM_LISTEN:-0.0.0.0:8080}
tls_listen=${CM_TLS_LISTEN:-0.0.0.0:8443}
ops=${CM_OPS_LISTEN:-127.0.0.1:9090}
admin=${CM_ADMIN_LISTEN:-127.0.0.1:9180}
admin_ops=${CM_ADMIN_OPS_LISTEN:-127.0.0.1:9190}
bin=$root/build/release
usage='usage: sh deploy/local.sh [-d | stop]'

say() { printf '%s\n' "$*"; }
die() {
    printf 'local: %s\n' "$*" >&2
    exit 1
}

# How a client on this machine reaches a listen address.
reach() {
    case $1 in
    0.0.0.0:*) printf '127.0.0.1:%s' "${1#0.0.0.0:}" ;;
    '[::]:'*) printf '[::1]:%s' "${1#'[::]:'}" ;;
    *) printf '%s' "$1" ;;
    esac
}

# --- processes: a pid file holds the pid and its start time, so that a pid that
# was given to somebody else meanwhile is never taken for ours.

# Fields after the command's closing parenthesis: $1 is the state, ${20} the start time.
started_at() {
    line=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) || return 1
    # shellcheck disable=SC2086
    set -- $line
    [ "$1" != Z ] && printf '%s' "${20}"
}

remember() { printf '%s %s\n' "$2" "$(started_at "$2" || true)" >"$data/run/$1.pid"; }

# Prints the pid of NAME when it still runs.
running() {
    [ -f "$data/run/$1.pid" ] || return 1
    read -r pid born <"$data/run/$1.pid" || return 1
    [ -n "$born" ] || return 1
    [ "$(started_at "$pid")" = "$born" ] || return 1
    printf '%s' "$pid"
}

end() {
    if pid=$(running "$1"); then
        kill -TERM "$pid" 2>/dev/null || true
        left=400
        while running "$1" >/dev/null && [ $left -gt 0 ]; do
            sleep 0.1
            left=$((left - 1))
        done
        ! running "$1" >/dev/null || kill -KILL "$pid" 2>/dev/null || true
    fi
    rm -f "$data/run/$1.pid"
}

end_all() {
    end cm-models
    end cm-admin
    end redis
    rm -f "$data/run/ready"
}

stop() {
    if pid=$(running local); then
        kill -TERM "$pid"
        left=900
        while running local >/dev/null && [ $left -gt 0 ]; do
            sleep 0.1
            left=$((left - 1))
        done
    fi
    end_all
    rm -f "$data/run/local.pid"
    say "stopped; the data stays in $data"
}

# --- what it needs

install_packages() {
    missing=
    for package in gcc libc6-dev cmake ninja-build pkg-config curl openssl redis-server \
        libh2o-dev libhiredis-dev libjansson-dev libuv1-dev libssl-dev zlib1g-dev uthash-dev; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "installing Debian packages:$missing"
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "run as root: apt-get install$missing"
        sudo=sudo
    fi
    # policy-rc.d 101 keeps the packaged Redis service from starting: we run our own.
    guard=
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        guard=yes
        printf '#!/bin/sh\nexit 101\n' | $sudo tee /usr/sbin/policy-rc.d >/dev/null
        $sudo chmod +x /usr/sbin/policy-rc.d
    fi
    # shellcheck disable=SC2086
    { $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing; } >"$data/log/apt.log" 2>&1 &&
        installed=yes || installed=no
    [ -z "$guard" ] || $sudo rm -f /usr/sbin/policy-rc.d
    [ "$installed" = yes ] || die "apt-get failed: $data/log/apt.log"
}

build() {
    mkdir -p "$root/build"
    say "building into build/release"
    (
        flock 9
        cmake -S "$root" --preset release && cmake --build "$bin"
    ) >"$data/log/build.log" 2>&1 9>"$root/build/local.lock" ||
        die "the build failed: $data/log/build.log"
}

# --- secrets: made once, 0600

secret() {
    [ -s "$data/$1" ] || openssl rand -hex 32 >"$data/$1"
}

# The SHA-256 of the secret in that file, in hex.
digest() { tr -d '\n' <"$data/$1" | sha256sum | cut -d ' ' -f 1; }

# The programs get the users that deploy/redis ships; redis.password is that of an
# operator who may do everything.
write_users() {
    sed -e "s/@ADMIN_SHA256@/$(digest redis-admin.password)/" \
        -e "s/@MODELS_SHA256@/$(digest redis-models.password)/" \
        -e "s/{cm}/{${CM_REDIS_PREFIX:-cm}}/g" "$root/deploy/redis/users.acl.in"
    printf 'user operator on #%s ~* &* +@all\n' "$(digest redis.password)"
}

write_secrets() {
    umask 077
    secret redis.password
    secret redis-admin.password
    secret redis-models.password
    secret admin.token
    printf 'local editor sha256:%s\n' "$(digest admin.token)" >"$data/admin.tokens"
    write_users >"$data/redis.acl"
    cat >"$data/redis.conf" <<CONF
bind 127.0.0.1
port $redis_port
dir $data/redis
aclfile $data/redis.acl
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
CONF
}

# A certificate of our own is enough to try TLS with.
prepare_tls() {
    if [ -n "${CM_TLS_LISTEN:-}" ] && [ -z "${CM_TLS_CERT_FILE:-}${CM_TLS_KEY_FILE:-}" ]; then
        export CM_TLS_CERT_FILE="$data/tls.crt" CM_TLS_KEY_FILE="$data/tls.key"
        [ -s "$CM_TLS_CERT_FILE" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
            -nodes -days 3650 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
            -keyout "$CM_TLS_KEY_FILE" -out "$CM_TLS_CERT_FILE" 2>/dev/null
    fi
}

# --- starting

# Its log begins anew, so that its end tells of this start; the last one's is kept.
launch() {
    name=$1
    shift
    [ ! -e "$data/log/$name.log" ] || mv "$data/log/$name.log" "$data/log/$name.log.1"
    setsid "$@" </dev/null >>"$data/log/$name.log" 2>&1 9>&- &
    remember "$name" $!
}

# Waits until the command succeeds; NAME must stay alive meanwhile.
await() {
    name=$1
    shift
    left=300
    until "$@" >/dev/null 2>&1; do
        running "$name" >/dev/null || die "$name ended: $(tail -n 3 "$data/log/$name.log")"
        [ $left -gt 0 ] || die "$name is not ready after 30 s: $data/log/$name.log"
        sleep 0.1
        left=$((left - 1))
    done
}

redis_cli() {
    REDISCLI_AUTH=$(cat "$data/redis.password") redis-cli --user operator -p "$redis_port" "$@"
}

# Ours, and not another one on that port.
redis_answers() { redis_cli info server | tr -d '\r' | grep -qx "process_id:$(running redis)"; }
probe() { curl -sf -m 2 -o /dev/null "http://$1/readyz"; }

start_all() {
    unset CM_REDIS_PASSWORD CM_REDIS_URL_FILE CM_ADMIN_TOKEN CM_DEMO_KEY
    export CM_ADMIN_TOKENS_FILE="$data/admin.tokens"
    export CM_LISTEN="$listen" CM_TLS_LISTEN="$tls_listen" CM_OPS_LISTEN="$ops"
    export CM_ADMIN_LISTEN="$admin" CM_ADMIN_OPS_LISTEN="$admin_ops"
    export CM_WORKERS="${CM_WORKERS:-2}"
    launch redis redis-server "$data/redis.conf"
    await redis redis_answers
    # Both programs know these names; each has a user and a directory of its own.
    export CM_REDIS_URL="redis://cm-admin@127.0.0.1:$redis_port"
    export CM_REDIS_PASSWORD_FILE="$data/redis-admin.password"
    export CM_STATE_DIR="$data/admin-state"
    launch cm-admin "$bin/admin/cm-admin"
    await cm-admin probe "$(reach "$admin_ops")"
    export CM_REDIS_URL="redis://cm-models@127.0.0.1:$redis_port"
    export CM_REDIS_PASSWORD_FILE="$data/redis-models.password"
    export CM_STATE_DIR="$data/models-state"
    launch cm-models "$bin/services/cm-models"
    await cm-models probe "$(reach "$ops")"
}

call() {
    method=$1 path=$2
    shift 2
    curl -sS -m 30 -X "$method" "http://$(reach "$admin")/admin/v1$path" \
        -H "Authorization: Bearer $(cat "$data/admin.token")" -H 'Content-Type: application/json' "$@"
}

seed() {
    if ! call GET '/models?limit=1' | grep -q '"data":\[{'; then
        say 'loading the sample catalog'
        answer=$(call POST '/catalog/import?format=native&mode=merge' -H 'Prefer: wait=5' \
            --data-binary "@$root/deploy/sample/catalog.json")
        case $answer in *'"created":'*) ;; *) die "the import was refused: $answer" ;; esac
    fi
    [ -s "$data/demo.key" ] && return 0
    answer=$(call POST /keys -H 'Prefer: wait=5' --data '{"name":"demo","aliases":[
        {"match":"exact","name":"cross-model-basic","target":"deepseek/deepseek-v4-pro"},
        {"match":"prefix","name":"claude-opus","target":"anthropic/claude-opus-4-8"}]}')
    key=$(printf '%s' "$answer" | sed -n 's/.*"secret":"\([^"]*\)".*/\1/p')
    [ -n "$key" ] || die "no demo key: $answer"
    printf '%s\n' "$key" >"$data/demo.key"
}

write_env() {
    cat >"$data/local.env.new" <<ENV
CM_URL=http://$(reach "$listen")
CM_ADMIN_URL=http://$(reach "$admin")
CM_OPS_URL=http://$(reach "$ops")
CM_ADMIN_OPS_URL=http://$(reach "$admin_ops")
${CM_TLS_CERT_FILE:+CM_TLS_URL=https://$(reach "$tls_listen")
}CM_ADMIN_TOKEN=$(cat "$data/admin.token")
CM_DEMO_KEY=$(cat "$data/demo.key")
CM_REDIS_URL=redis://operator:$(cat "$data/redis.password")@127.0.0.1:$redis_port
ENV
    mv "$data/local.env.new" "$data/local.env"
}

# -k where the certificate is somebody else's: its name is not this address.
tls_line() {
    trust=-k
    [ "$CM_TLS_CERT_FILE" != "$data/tls.crt" ] || trust="--cacert $data/tls.crt"
    printf '%s' "curl -s $trust \"\$CM_TLS_URL/v1/models\" -H \"Authorization: Bearer \$CM_DEMO_KEY\""
}

print_lines() {
    cat <<LINES

ready. These lines work as they are, from any directory:

  . $data/local.env
  curl -s "\$CM_URL/v1/models" -H "Authorization: Bearer \$CM_DEMO_KEY"
  curl -s "\$CM_URL/v1/models/deepseek%2Fdeepseek-v4-pro" -H "Authorization: Bearer \$CM_DEMO_KEY"
  curl -s "\$CM_URL/v1/models/claude-opus-4-9" -H "x-api-key: \$CM_DEMO_KEY"
${CM_TLS_CERT_FILE:+  $(tls_line)
}  curl -s "\$CM_ADMIN_URL/admin/v1/fleet" -H "Authorization: Bearer \$CM_ADMIN_TOKEN"
  curl -s "\$CM_OPS_URL/readyz"

logs: $data/log
LINES
}

run() {
    ! running local >/dev/null || die "already running in $data (sh deploy/local.sh stop)"
    mkdir -p "$data/run" "$data/log" "$data/redis" "$data/admin-state"
    chmod 700 "$data" "$data/admin-state"
    rm -f "$data/run/ready"
    remember local $$
    end_all # what a killed run left behind
    trap 'end_all; rm -f "$data/run/local.pid"' EXIT
    trap 'exit 0' INT TERM HUP
    install_packages
    build
    write_secrets
    prepare_tls
    start_all
    seed
    write_env
    : >"$data/run/ready"
    print_lines
    while running cm-models >/dev/null && running cm-admin >/dev/null; do
        sleep 1 &
        wait $!
    done
    die "a program ended; see $data/log"
}

background() {
    ! running local >/dev/null || die "already running in $data (sh deploy/local.sh stop)"
    mkdir -p "$data/run" "$data/log"
    chmod 700 "$data"
    rm -f "$data/run/ready"
    : >"$data/log/local.log"
    say "starting in the background; the first time builds for minutes (log: $data/log/local.log)"
    setsid sh "$root/deploy/local.sh" </dev/null >>"$data/log/local.log" 2>&1 &
    child=$!
    until [ -e "$data/run/ready" ]; do
        kill -0 $child 2>/dev/null || die "it did not start: $(tail -n 5 "$data/log/local.log")"
        sleep 0.2
    done
    cat "$data/log/local.log"
    say 'running in the background; sh deploy/local.sh stop ends it'
}

case ${1:-} in
'') run ;;
-d) background ;;
stop) stop ;;
-h | --help) say "$usage" ;;
*) die "$usage" ;;
esac
