#!/bin/sh
# One environment may serve all programs of a machine: no program takes a name of
# its sister's, or one of deploy/local.sh, for a mistake.
set -eu
cd "$(dirname "$0")/../.."
bin=${CM_BIN_DIR:-build/asan}

names() {
    for program in services/cm-models admin/cm-admin; do
        "$bin/$program" --help | sed -n 's/^  \(CM_[A-Z0-9_]*\) .*/\1/p'
    done
    # What local.sh takes and what it writes for clients.
    grep -o 'CM_[A-Z0-9_]*' deploy/local.sh
}

# shellcheck disable=SC2046 # names
unset $(env | sed -n 's/^\(CM_[A-Z0-9_]*\)=.*/\1/p')
all=$(names | sort -u)
[ "$(printf '%s\n' "$all" | wc -l)" -gt 30 ]
for name in $all; do
    for program in services/cm-models admin/cm-admin; do
        if env "$name=1" "$bin/$program" --check-config 2>&1 | grep "$name: unknown variable"; then
            echo "options: $program does not know $name" >&2
            exit 1
        fi
    done
done
