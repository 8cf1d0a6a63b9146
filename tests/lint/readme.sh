#!/bin/sh
# The README's options are what the programs say of themselves.
# `sh tests/lint/readme.sh --write` puts them there.
set -eu
cd "$(dirname "$0")/../.."
bin=${CM_BIN_DIR:-build/asan}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{
    for program in services/cm-models admin/cm-admin; do
        printf '```text\n'
        "$bin/$program" --help
        printf '```\n'
    done
} >"$work/help"

awk -v help="$work/help" '
    /^<!-- options:begin -->$/ { print; while ((getline line < help) > 0) print line; skip = 1; next }
    /^<!-- options:end -->$/ { skip = 0 }
    !skip { print }' README.md >"$work/readme"

if [ "${1:-}" = --write ]; then
    cp "$work/readme" README.md
else
    diff -u README.md "$work/readme"
fi
