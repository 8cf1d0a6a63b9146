#!/bin/sh
# All tests, on a bare Debian 12: installs what they need, builds with
# sanitizers, runs lint, unit, fault, integration and SDK tests, and closes with
# the names of what failed and the counts. CM_TEST_SEED repeats the random ones; --long gives the fault tests
# their full counts and times (CM_TEST_LONG=1 in their environment).
set -u
cd "$(dirname "$0")/.." || exit 2
case "${1-}" in
'') ;;
--long) export CM_TEST_LONG=1 ;;
*)
    echo "usage: sh tests/run.sh [--long]" >&2
    exit 2
    ;;
esac
passed=0
failed=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

say() { printf '\n== %s\n' "$*"; }

install_packages() {
    missing=
    for package in gcc libc6-dev cmake ninja-build pkg-config curl openssl jq git redis-server redis-sentinel iproute2 \
        libh2o-dev libhiredis-dev libjansson-dev libuv1-dev libssl-dev zlib1g-dev uthash-dev \
        libcmocka-dev clang-format-14 shellcheck haproxy nghttp2-client; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
            missing="$missing $package"
    done
    command -v node >/dev/null && command -v npm >/dev/null || missing="$missing nodejs npm"
    [ -n "$missing" ] || return 0
    echo "installing Debian packages:$missing"
    # policy-rc.d 101 keeps packaged services from starting: tests run their own.
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
    # shellcheck disable=SC2086
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing; } >"$logs/apt" 2>&1
    status=$?
    rm -f /usr/sbin/policy-rc.d
    [ $status -eq 0 ] || tail -n 20 "$logs/apt"
    return $status
}

# check NAME COMMAND...: one test.
check() {
    name=$1
    shift
    if "$@" >"$logs/out" 2>&1; then
        passed=$((passed + 1))
        echo "ok $name"
    else
        failed=$((failed + 1))
        echo "not ok $name" | tee -a "$logs/failures"
        tail -n 60 "$logs/out"
    fi
}

build() {
    cmake --preset asan >"$logs/build" 2>&1 && cmake --build --preset asan >>"$logs/build" 2>&1
}

# ctest's programs, one count each; the figures that tests print are shown.
run_ctest() {
    ctest --preset asan --output-junit "$logs/junit.xml" >"$logs/ctest" 2>&1
    grep -E '^ *[0-9]+/[0-9]+ Test|\*\*\*' "$logs/ctest"
    grep -E '\*\*\*' "$logs/ctest" >>"$logs/failures"
    grep -hE '^(figure|seed):' build/asan/Testing/Temporary/LastTest.log
    total=$(sed -n 's/.*tests="\([0-9]*\)".*/\1/p' "$logs/junit.xml" | head -n 1)
    bad=$(sed -n 's/.*failures="\([0-9]*\)".*/\1/p' "$logs/junit.xml" | head -n 1)
    if [ -z "$total" ]; then
        total=1 bad=1
    fi
    [ "$bad" = 0 ] || tail -n 150 "$logs/ctest"
    passed=$((passed + total - bad))
    failed=$((failed + bad))
}

# node's test runner over files; counts from its closing lines.
run_node() {
    node --test --test-concurrency=1 --test-reporter=tap "$@" >"$logs/tap" 2>&1
    status=$?
    grep -E '^ *(not )?ok |^ *# figure|^# (pass|fail) ' "$logs/tap"
    # What failed is said again at the end, with the first lines that tell why.
    awk '/^ *not ok/ { print; near = 1 } near && /^ *error:/ { left = 4; near = 0 } left-- > 0' \
        "$logs/tap" >>"$logs/failures"
    good=$(sed -n 's/^# pass \([0-9]*\)$/\1/p' "$logs/tap")
    bad=$(sed -n 's/^# fail \([0-9]*\)$/\1/p' "$logs/tap")
    if [ -z "$good" ] || { [ $status -ne 0 ] && [ "${bad:-0}" = 0 ]; }; then
        good=${good:-0} bad=1
    fi
    [ "$bad" = 0 ] || grep -B 2 -A 40 '^ *not ok' "$logs/tap" | head -n 200
    passed=$((passed + good))
    failed=$((failed + bad))
}

# shellcheck disable=SC2317 # called through check
sdk_packages() { (cd tests/sdk && npm ci --no-audit --no-fund); }

finish() {
    if [ -s "$logs/failures" ]; then
        say 'failed'
        cat "$logs/failures"
    fi
    echo
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

say 'packages'
install_packages || {
    failed=1
    finish
}
say 'build (address and undefined sanitizers)'
build || {
    tail -n 40 "$logs/build"
    failed=1
    finish
}
say 'lint'
check headers-compile-alone cmake --build build/asan --target all_verify_interface_header_sets
check layers sh tests/lint/layers.sh
check format sh tests/lint/format.sh
check shellcheck sh -c 'git ls-files "*.sh" | xargs shellcheck'
for lint in readme options deploy; do
    check "$lint" sh "tests/lint/$lint.sh"
done
say 'unit and fault tests'
run_ctest
say 'integration tests'
run_node tests/integration/*.test.mjs
say 'fault tests of the whole'
set -- tests/fault/*.test.mjs
[ -e "$1" ] && run_node "$@"
say 'SDK tests'
check sdk-packages sdk_packages
run_node tests/sdk/*.test.mjs
say 'benchmarks (that they run and compare equal bytes)'
check bench sh tests/bench/run.sh -b build/asan -r 1 -s 1 -c retrieve,list-gzip
finish
