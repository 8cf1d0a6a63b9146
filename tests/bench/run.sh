#!/bin/sh
# How fast is it? Our worker against bare libh2o and nginx, which return the very
# same bytes as constants, in turns on one processor, the load on another:
# processor time per request by the kernel's accounts, rates and times.
#
#   sh tests/bench/run.sh [-r ROUNDS] [-s SECONDS] [-c CASE[,CASE]] [-p h1|h2] [-b BUILD]
#
# Fails only when an answer is not what it must be. BUILD: a build directory to
# take the programs from; without it they are built by the preset "bench".
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/bench/support/prepare.sh
build=
while getopts r:s:c:p:b: option; do
    case $option in
    r) set_option --rounds "$OPTARG" ;;
    s) set_option --seconds "$OPTARG" ;;
    c) set_option --case "$OPTARG" ;;
    p) set_option --proto "$OPTARG" ;;
    b) build=$OPTARG ;;
    *)
        sed -n 's/^#   /usage: /p' "$0" >&2
        exit 2
        ;;
    esac
done
prepare "$build" || exit 2
# shellcheck disable=SC2086
exec node tests/bench/run.mjs $options
