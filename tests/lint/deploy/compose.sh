# docker-compose.yml and the load balancer in it.
# Sourced by ../deploy.sh; $tmp is its scratch folder, removed at the end.
# shellcheck shell=sh disable=SC2154

check_compose() {
    if docker compose version >/dev/null 2>&1; then
        set -- docker compose
    else
        set -- docker-compose
    fi
    if "$@" -f docker-compose.yml config >"$tmp/compose.yml" 2>"$tmp/err"; then
        ok "compose-config ($*)"
        yaml_to_json "$tmp/compose.yml" | jq '.[0]' >"$tmp/compose.json"
        apply "" compose.jq "$tmp/compose.json"
        check_compose_tls "$@"
    else
        bad "compose-config ($*)" "$(oneline <"$tmp/err")"
    fi
}

# What deploy/compose.tls.yml adds, put together as it says.
check_compose_tls() {
    why=
    "$@" -f docker-compose.yml -f deploy/compose.tls.yml config >"$tmp/compose-tls.yml" 2>"$tmp/err" ||
        why=$(oneline <"$tmp/err")
    result compose-tls-config "$why"
    haproxy -c -f deploy/haproxy/haproxy.cfg -f deploy/haproxy/tls.cfg >"$tmp/out" 2>&1 && why= || why="refused: "
    why=$why$(grep -E '^\[(WARNING|ALERT)\]' "$tmp/out" | oneline)
    result haproxy-tls-config "$why"
}

# is_our_error FILE: an error object as the public API words it.
is_our_error() {
    [ -s "$1" ] && jq -e '.error | .message and .type and .code and has("param")' "$1" >/dev/null 2>&1
}

check_haproxy() {
    cfg=deploy/haproxy/haproxy.cfg
    why=
    haproxy -c -f "$cfg" >"$tmp/out" 2>&1 || why="refused: "
    # A warning is a mistake too: it would be in every start of the container.
    why=$why$(grep -E '^\[(WARNING|ALERT)\]' "$tmp/out" | oneline)
    result haproxy-config "$why"
    why=
    grep -Eq '^ *option httpchk GET /readyz$' "$cfg" || why="$why no check of /readyz;"
    grep -Eq 'check port 9090 .*resolvers docker' "$cfg" || why="$why not checked on 9090;"
    grep -Eq '^ *server-template m [0-9-]+ cm-models:8080' "$cfg" || why="$why no server-template;"
    ! grep -Eq 'normalize-uri|set-path|set-uri|replace-path|replace-uri|url_dec' "$cfg" || why="$why changes the path;"
    for status in 500 502 503 504; do
        sed -n "s/^ *http-error status $status content-type application.json string '\([^']*\)'.*/\1/p" "$cfg" >"$tmp/body"
        is_our_error "$tmp/body" || why="$why $status is not our error shape;"
    done
    result haproxy-rules "$why"
}
