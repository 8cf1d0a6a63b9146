# redis.conf and the rights of its users, tried on a Redis of our own.
# Sourced by ../deploy.sh; $tmp is its scratch folder, removed at the end.
# shellcheck shell=sh disable=SC2154

# as_user NAME PASSWORD COMMAND...: what Redis says to that user.
as_user() {
    who=$1 with=$2
    shift 2
    redis-cli -s "$tmp/redis/sock" --user "$who" --pass "$with" --no-auth-warning "$@" 2>&1 | head -n 1
}

# Starts it in the background; false when it does not answer within 5 s.
start_redis() {
    redis-server "$tmp/redis/conf" >>"$tmp/redis/log" 2>&1 &
    redis_pid=$!
    tries=0
    until [ "$(as_user health - ping)" = PONG ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ] && kill -0 "$redis_pid" 2>/dev/null || return 1
        sleep 0.1
    done
}

stop_redis() {
    kill "$redis_pid"
    wait "$redis_pid" 2>/dev/null || :
    redis_pid=
}

check_redis() {
    dir=$tmp/redis
    sh deploy/make-secrets.sh "$dir/secrets" >/dev/null
    sed -e "s|^aclfile .*|aclfile $dir/secrets/redis_users.acl|" -e "s|^dir .*|dir $dir|" \
        -e "s|^bind .*|unixsocket $dir/sock|" -e 's|^port .*|port 0|' deploy/redis/redis.conf >"$dir/conf"
    if ! start_redis; then
        bad redis-starts "$(tail -n 3 "$dir/log" | oneline)"
        return
    fi
    ok redis-starts

    admin=$(cat "$dir/secrets/redis_admin_password")
    models=$(cat "$dir/secrets/redis_models_password")
    why=
    for line in maxmemory-policy:noeviction appendonly:yes; do
        [ "$(redis-cli -s "$dir/sock" --user cm-admin --pass "$admin" --no-auth-warning config get "${line%:*}" | sed -n 2p)" = "${line#*:}" ] ||
            why="$why ${line%:*};"
    done
    result redis-settings "$why"

    why=
    set -f
    while read -r who expected command; do
        case $who in
        cm-admin) password=$admin ;;
        cm-models) password=$models ;;
        *) password=- ;;
        esac
        # shellcheck disable=SC2086 # a command line
        answer=$(as_user "$who" "$password" $command)
        case $answer in
        NOPERM* | NOAUTH* | WRONGPASS* | AUTH*) got=no ;;
        *ERR*) got="error ($answer)" ;;
        *) got=yes ;;
        esac
        [ "$got" = "$expected" ] || why="$why $who $command: $got;"
    done <<'MATRIX'
cm-models yes hmget {cm}:head epoch rev
cm-models yes hgetall {cm}:head
cm-models yes hscan {cm}:models 0
cm-models yes xrange {cm}:log - +
cm-models yes get {cm}:key:00
cm-models yes publish {cm}:0:ack hello
cm-models yes role
cm-models yes ping
cm-models yes client setname worker
cm-models yes info replication
cm-models no hset {cm}:head rev 9
cm-models no set {cm}:key:00 x
cm-models no del {cm}:head
cm-models no publish {cm}:0:bell x
cm-models no eval return(1) 0
cm-models no get other
cm-models no keys x
cm-models no flushall
cm-models no config get dir
cm-models no acl list
cm-admin yes eval return(1) 0
cm-admin yes script load return(1)
cm-admin yes hset {cm}:fleet a b
cm-admin yes xadd {cm}:audit * e x
cm-admin yes xtrim {cm}:audit maxlen 10
cm-admin yes zadd {cm}:keyorder 0 a
cm-admin yes sadd {cm}:refs:a/b a
cm-admin yes set {cm}:idem:00 x ex 5
cm-admin yes publish {cm}:0:bell x
cm-admin yes config get maxmemory-policy
cm-admin yes info persistence
cm-admin yes info replication
cm-admin yes wait 0 1
cm-admin yes role
cm-admin yes time
cm-admin no set other x
cm-admin no config set maxmemory-policy allkeys-lru
cm-admin no flushall
cm-admin no keys x
cm-admin no acl list
cm-admin no shutdown
health yes ping
health no get {cm}:head
default no ping
default no get {cm}:head
MATRIX
    set +f
    result redis-rights "$why"

    # A refused channel answers and returns; a granted one would wait for ever.
    why=
    for channel in bell:yes ack:no; do
        got=no
        timeout 1 redis-cli -s "$dir/sock" --user cm-models --pass "$models" --no-auth-warning \
            subscribe "{cm}:0:${channel%:*}" 2>&1 | grep -q NOPERM || got=yes
        [ "$got" = "${channel#*:}" ] || why="$why ${channel%:*}: $got;"
    done
    result redis-channels "$why"

    # A script's writes are a transaction in the append-only file.
    as_user cm-admin "$admin" eval "redis.call('hset', KEYS[1], 'rev', 7) return redis.call('set', KEYS[2], 'x')" \
        2 '{cm}:head' '{cm}:key:kept' >/dev/null
    stop_redis
    why=
    start_redis || why="does not start again;"
    [ "$(as_user cm-models "$models" hget '{cm}:head' rev)" = 7 ] || why="$why the write is gone;"
    [ "$(as_user cm-models "$models" get '{cm}:key:kept')" = x ] || why="$why half of the write is gone;"
    result redis-keeps-writes "$why"
    stop_redis
}
