# The Kubernetes manifests: as files, and rendered where kustomize is there.
# Sourced by ../deploy.sh; $tmp is its scratch folder, removed at the end.
# shellcheck shell=sh disable=SC2154

has_kustomize() {
    command -v kubectl >/dev/null || return 1
    kubectl version --client -o json 2>/dev/null |
        jq -e '.clientVersion | (.major | tonumber) * 1000 + (.minor | gsub("[^0-9]"; "") | tonumber) >= 1027' >/dev/null
}

# render NAME DIR: rendered objects as $tmp/NAME.json.
render() {
    if kubectl kustomize "$2" >"$tmp/$1.yaml" 2>"$tmp/err" && [ ! -s "$tmp/err" ]; then
        ok "$1-renders"
    else
        bad "$1-renders" "$(oneline <"$tmp/err")"
        return 1
    fi
    yaml_to_json "$tmp/$1.yaml" >"$tmp/$1.json"
}

# The base's files as they are, its .env files in the place of the ConfigMaps.
read_base() {
    base=deploy/kubernetes/base
    yaml_to_json "$base"/*-*.yaml "$base/networkpolicy.yaml" >"$tmp/objects.json"
    for env in cm-models cm-admin; do
        jq -R -s --arg name "$env" '{kind: "ConfigMap", metadata: {name: $name},
            data: (split("\n") | map(capture("^(?<key>CM_[A-Z0-9_]+)=(?<value>.*)$")) | from_entries)}' "$base/$env.env"
    done | jq -s --slurpfile objects "$tmp/objects.json" '$objects[0] + .' >"$tmp/source.json"
}

check_kubernetes() {
    why=
    for dir in base components/redis-dev components/tls overlays/dev; do
        for file in "deploy/kubernetes/$dir"/*.yaml; do
            name=$(basename "$file")
            [ "$name" = kustomization.yaml ] || grep -Eqx " *- $name" "deploy/kubernetes/$dir/kustomization.yaml" ||
                why="$why $file is not used;"
        done
        sed -n 's/^ *- \([a-z-]*\.yaml\)$/\1/p' "deploy/kubernetes/$dir/kustomization.yaml" >"$tmp/named"
        while read -r name; do
            [ -f "deploy/kubernetes/$dir/$name" ] || why="$why $dir/$name is missing;"
        done <"$tmp/named"
    done
    result kubernetes-files "$why"

    read_base
    apply kubernetes- kubernetes.jq "$tmp/source.json" --argjson base true --argjson rendered false

    if ! has_kustomize; then
        echo "SKIP kustomize: no kubectl of 1.27 or later; the files were checked as they are"
        return
    fi
    # A copy, because the dev overlay wants secrets beside it.
    cp -R deploy/kubernetes "$tmp/kubernetes"
    render base "$tmp/kubernetes/base" &&
        apply base- kubernetes.jq "$tmp/base.json" --argjson base true --argjson rendered true
    for overlay in "$tmp"/kubernetes/overlays/*/; do
        name=$(basename "$overlay")
        sh deploy/make-secrets.sh "$overlay/secrets" >/dev/null
        render "$name" "$overlay" &&
            apply "$name-" kubernetes.jq "$tmp/$name.json" --argjson base false --argjson rendered true
    done
    return 0
}
