# deploy/make-secrets.sh: what it makes, keeps and never shows.
# Sourced by ../deploy.sh; $tmp is its scratch folder, removed at the end.
# shellcheck shell=sh disable=SC2154

check_secrets() {
    dir=$tmp/secrets
    why=
    if ! sh deploy/make-secrets.sh "$dir" >"$tmp/first" 2>&1; then
        bad secrets-made "fails: $(oneline <"$tmp/first")"
        return
    fi
    (cd "$dir" && stat -c '%a %n' admin_token admin_tokens redis_admin_password redis_models_password redis_users.acl) >"$tmp/modes" 2>&1
    [ "$(stat -c %a "$dir")" = 700 ] || why="$why directory mode;"
    [ "$(cut -d' ' -f1 "$tmp/modes" | tr '\n' ' ')" = "600 444 444 444 444 " ] || why="$why modes: $(oneline <"$tmp/modes");"
    for secret in admin_token redis_admin_password redis_models_password; do
        [ "$(wc -c <"$dir/$secret")" -ge 64 ] || why="$why $secret is short;"
        ! grep -qF "$(cat "$dir/$secret")" "$tmp/first" || why="$why prints $secret;"
        ! grep -qF "$(cat "$dir/$secret")" "$dir/admin_tokens" "$dir/redis_users.acl" || why="$why $secret in the clear;"
    done
    grep -qF "$dir/admin_token" "$tmp/first" || why="$why does not say where the token is;"
    token=$(sha256sum <"$dir/admin_token" | cut -d' ' -f1)
    grep -Eqx "[a-z]+ editor sha256:$token" "$dir/admin_tokens" || why="$why token line;"
    result secrets-made "$why"

    cat "$dir"/* | sha256sum >"$tmp/before"
    why=
    sh deploy/make-secrets.sh "$dir" >/dev/null 2>&1 || why="fails when run again;"
    cat "$dir"/* | sha256sum | cmp -s - "$tmp/before" || why="$why replaces what is there;"
    rm -f "$dir/admin_token"
    sh deploy/make-secrets.sh "$dir" 2>&1 | grep -q 'admin_tokens does not know' || why="$why stale digest unnoticed;"
    result secrets-kept "$why"

    why=
    if git rev-parse --git-dir >/dev/null 2>&1; then
        for dir in deploy/secrets deploy/kubernetes/overlays/dev/secrets; do
            git check-ignore -q "$dir/admin_token" || why="$why $dir is not ignored;"
            [ -z "$(git ls-files "$dir")" ] || why="$why $dir is committed;"
        done
    fi
    [ "$(grep -Ec '^!deploy($|/$|/\*|/secrets)' .dockerignore)" = 0 ] || why="$why secrets reach the build context;"
    result secrets-stay-out "$why"
}
