#!/bin/sh
# How far does it reach? A large catalog, a million keys, a thousand workers on one
# Redis: memory, cold keys, turns of the loop, what each costs Redis.
#
#   sh tests/bench/scale.sh [-k KEYS] [-w WORKERS] [-m MODELS] [-o keys|workers] [-b BUILD]
#
# Takes 3 GiB of memory and some minutes. Prints a table; fails only when an answer
# is wrong. BUILD: as in run.sh.
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/bench/support/prepare.sh
build=
while getopts k:w:m:o:b: option; do
    case $option in
    k) set_option --keys "$OPTARG" ;;
    w) set_option --workers "$OPTARG" ;;
    m) set_option --models "$OPTARG" ;;
    o) set_option --only "$OPTARG" ;;
    b) build=$OPTARG ;;
    *)
        sed -n 's/^#   /usage: /p' "$0" >&2
        exit 2
        ;;
    esac
done
prepare "$build" || exit 2
prlimit --pid $$ --nofile=8192: || exit 2
# shellcheck disable=SC2086
exec node tests/bench/scale.mjs $options
