#!/bin/sh
# What does the guard cost? cm-models with it and without it (compiled out), in
# turns on one processor, the load on another: processor time per request by the
# kernel's accounts, over HTTP/1.1 and HTTP/2, in cleartext and TLS.
#
#   sh tests/bench/guard.sh [-r ROUNDS] [-s SECONDS]
#
# Fails only when a request fails.
set -u
cd "$(dirname "$0")/../.." || exit 2
# shellcheck source=tests/bench/support/prepare.sh
. tests/bench/support/prepare.sh
while getopts r:s: option; do
    case $option in
    r) set_option --rounds "$OPTARG" ;;
    s) set_option --seconds "$OPTARG" ;;
    *)
        sed -n 's/^#   /usage: /p' "$0" >&2
        exit 2
        ;;
    esac
done
prepare '' || exit 2
{ cmake --preset bench -B build/bench-unguarded -DCMAKE_C_FLAGS=-DCM_HTTP2_GUARD=0 &&
    cmake --build build/bench-unguarded --target cm-models; } >&2 || exit 2
# shellcheck disable=SC2086
exec node tests/bench/guard.mjs $options
