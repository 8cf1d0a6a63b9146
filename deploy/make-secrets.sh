#!/bin/sh
# Makes the secret files that docker-compose.yml and the Kubernetes dev overlay
# mount. Usage: sh deploy/make-secrets.sh [DIR]     (default: deploy/secrets)
#
#   admin_token            0600  the operator's admin token; never mounted
#   admin_tokens           0444  what cm-admin reads: name, role, digest
#   redis_admin_password   0444  of the Redis user cm-admin
#   redis_models_password  0444  of the Redis user cm-models (reads only)
#   redis_users.acl        0444  what Redis reads: users, rights, digests
#
# DIR is 0700 and keeps the world out. The mounted files must be readable by
# others all the same: Compose binds a file secret with the mode that it has on
# the host, and the containers run as users that the host does not know.
#
# A file that exists is kept, so it is safe to run again; to replace a secret,
# delete its file and the file of its digests (admin_tokens, redis_users.acl).
set -eu
umask 077

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/secrets}

die() {
    echo "make-secrets: $*" >&2
    exit 1
}

[ -r "$here/redis/users.acl.in" ] || die "$here/redis/users.acl.in is missing"
command -v sha256sum >/dev/null || die "needs sha256sum (coreutils)"

# 256 random bits in hex.
random() {
    od -An -N32 -v -tx1 /dev/urandom | tr -d ' \n'
}

# The SHA-256 of what the file holds, in hex.
digest() {
    sha256sum <"$1" | cut -d' ' -f1
}

# keep NAME MODE TEXT: TEXT becomes the file, unless it is there already. It is
# written aside and renamed, so that a killed run leaves no half file that the
# next one would keep.
keep() {
    if [ -e "$dir/$1" ]; then
        kept="$kept $1"
        return
    fi
    printf '%s' "$3" >"$dir/.$1.tmp"
    chmod "$2" "$dir/.$1.tmp"
    mv "$dir/.$1.tmp" "$dir/$1"
    made="$made $1"
}

mkdir -p "$dir"
chmod 0700 "$dir"
made=
kept=
newline='
'

keep admin_token 0600 "cma-$(random)"
keep redis_admin_password 0444 "$(random)"
keep redis_models_password 0444 "$(random)"
keep admin_tokens 0444 "operator editor sha256:$(digest "$dir/admin_token")$newline"
keep redis_users.acl 0444 "$(sed \
    -e "s/@ADMIN_SHA256@/$(digest "$dir/redis_admin_password")/" \
    -e "s/@MODELS_SHA256@/$(digest "$dir/redis_models_password")/" \
    "$here/redis/users.acl.in")$newline"

# stale NAME FILE: says so when FILE does not hold the digest of the secret NAME,
# because one of them was replaced without the other.
stale() {
    grep -q "$(digest "$dir/$1")" "$dir/$2" ||
        echo "make-secrets: $2 does not know $1; delete $2 and run this again" >&2
}

stale admin_token admin_tokens
stale redis_admin_password redis_users.acl
stale redis_models_password redis_users.acl
[ -z "$made" ] || echo "made:$made"
[ -z "$kept" ] || echo "kept:$kept"
echo "The admin token is in $dir/admin_token"
