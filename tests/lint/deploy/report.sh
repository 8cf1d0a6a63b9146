# How a check reports: one line `ok NAME` or `not ok NAME: why`, and the counts.
# Sourced by ../deploy.sh. Names with an underscore are this file's own.
# shellcheck shell=sh disable=SC2154

ok() {
    passed=$((passed + 1))
    echo "ok $1"
}

bad() {
    failed=$((failed + 1))
    echo "not ok $1: $2"
    echo "  $1: $2" >>"$tmp/failures"
}

# result NAME WHY: an empty WHY is a pass.
result() {
    if [ -z "$2" ]; then ok "$1"; else bad "$1" "$2"; fi
}

# What stdin says, on one line of bearable length.
oneline() {
    tr '\n' ' ' | cut -c1-400
}

# check NAME COMMAND...: a pass when the command ends with 0.
check() {
    _name=$1
    shift
    if "$@" >"$tmp/out" 2>&1; then
        ok "$_name"
    else
        bad "$_name" "$(oneline <"$tmp/out")"
    fi
}

# apply PREFIX FILE.jq INPUT.json [JQ OPTION...]: each line that the rules
# print is a check; no line at all is a failure, not a pass.
apply() {
    _prefix=$1 _program=$2 _input=$3
    shift 3
    if ! jq -r -L "$rules" "$@" -f "$rules/$_program" "$_input" >"$tmp/rules" 2>"$tmp/err"; then
        bad "$_prefix$_program" "$(oneline <"$tmp/err")"
        return
    fi
    [ -s "$tmp/rules" ] || bad "$_prefix$_program" "printed no rule"
    while IFS="$(printf '\t')" read -r _name _why; do
        result "$_prefix$_name" "$_why"
    done <"$tmp/rules"
}

# YAML documents of the files, as one JSON array.
yaml_to_json() {
    /usr/bin/python3 -c '
import json, sys, yaml
docs = [d for f in sys.argv[1:] for d in yaml.safe_load_all(open(f)) if d is not None]
json.dump(docs, sys.stdout)' "$@"
}
