#!/bin/sh
# Checks everything in deploy/ that can be checked without a container engine
# and a cluster: sh tests/lint/deploy.sh, as root on Debian 12 (it installs
# what is missing). Each part has its file in deploy/ beside this one; what can
# be said of data is said there in *.jq.
set -eu

cd "$(dirname "$0")/../.."
rules=tests/lint/deploy
tmp=$(mktemp -d)
passed=0
failed=0
redis_pid=
policy=

tidy() {
    [ -z "$redis_pid" ] || kill "$redis_pid" 2>/dev/null || :
    [ -z "$policy" ] || rm -f "$policy"
    rm -rf "$tmp"
}
trap tidy EXIT
trap 'exit 130' INT TERM

for part in report tools compose secrets redis image kubernetes; do
    # shellcheck source=/dev/null
    . "$rules/$part.sh"
done

# Every CM_* name that is set exists in the source of the program that gets it:
# an unknown one would keep it from starting.
check_settings() {
    if ! grep -rqs '"CM_LISTEN"' services || ! grep -rqs '"CM_ADMIN_LISTEN"' admin; then
        echo "SKIP settings-exist: the option tables are not there yet"
        return
    fi
    for program in cm-models:services cm-admin:admin; do
        why=
        for name in $(sed -n 's/^\(CM_[A-Z0-9_]*\)=.*/\1/p' "deploy/kubernetes/base/${program%:*}.env") \
            $(jq -r --arg s "${program%:*}" '.services[$s].environment | keys[]' "$tmp/compose.json"); do
            grep -rqsE --exclude="known_names.*" "\"(${name}|${name%_FILE})\"" common "${program#*:}" || why="$why $name;"
        done
        result "settings-exist-${program%:*}" "$why"
    done
}

check_scripts() {
    find deploy tests -name '*.sh' ! -path '*/node_modules/*' >"$tmp/scripts"
    [ ! -f .ci/run ] || echo .ci/run >>"$tmp/scripts"
    while read -r script; do
        check "shellcheck $script" shellcheck -x "$script"
    done <"$tmp/scripts"
}

install_tools
apply "" catalog.jq deploy/sample/catalog.json
check_compose
check_haproxy
check_secrets
check_redis
check_dockerfile
check_runtime_libraries
check_versions
check_settings
check_kubernetes
check_scripts

# Once more at the end, where a caller that shows only the tail finds them.
[ "$failed" = 0 ] || cat "$tmp/failures"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
