# The Dockerfile, its packages, and the version that everything names.
# Sourced by ../deploy.sh; $tmp is its scratch folder, removed at the end.
# shellcheck shell=sh disable=SC2154

# The apt packages that FILE installs, one a line.
dockerfile_packages() {
    awk '/apt-get install/ { on = 1; sub(/.*apt-get install/, "") }
         on { line = $0; if (sub(/&&.*/, "", line)) on = 0
              n = split(line, w, /[ \\]+/)
              for (i = 1; i <= n; i++) if (w[i] ~ /^[a-z0-9]/) print w[i]
              if ($0 !~ /\\$/) on = 0 }' "$1"
}

check_dockerfile() {
    file=deploy/Dockerfile
    why=
    for target in cm-models cm-admin; do
        stage=$(awk -v t="$target" '$1 == "FROM" { on = ($4 == t) } on' "$file")
        echo "$stage" | grep -Eq "^ENTRYPOINT \\[\"/usr/local/bin/$target\"\\]$" || why="$why $target: no exec-form ENTRYPOINT;"
        echo "$stage" | grep -Eq '^EXPOSE( [0-9]+)+$' || why="$why $target: EXPOSE;"
        echo "$stage" | grep -Eq '^ *CMD \["cm-health"' || why="$why $target: HEALTHCHECK;"
        echo "$stage" | grep -q 'org.opencontainers.image.title' || why="$why $target: title;"
        echo "$stage" | grep -q '^FROM runtime AS ' || why="$why $target: not from runtime;"
    done
    runtime=$(awk '$1 == "FROM" { on = ($4 == "runtime") } on' "$file")
    echo "$runtime" | grep -Eqx 'USER [1-9][0-9]*:[1-9][0-9]*' || why="$why USER is not a number;"
    [ "$(grep -c '^USER' "$file")" = 1 ] || why="$why USER is changed later;"
    echo "$runtime" | grep -qx 'STOPSIGNAL SIGTERM' || why="$why STOPSIGNAL;"
    for label in licenses version revision created; do
        echo "$runtime" | grep -q "org.opencontainers.image.$label=" || why="$why label $label;"
    done
    ! grep -Eq '^(ENTRYPOINT|CMD) +[^[]' "$file" || why="$why shell form;"
    ! grep -Eq ':latest|^ADD |curl|wget' "$file" || why="$why fetches what is not pinned;"
    ! echo "$runtime" | grep -Eq -- '-dev( |$)|gcc|cmake' || why="$why build tools in the image;"
    [ "$(grep -c 'apt-get install' "$file")" = "$(grep -c 'apt-get install -y --no-install-recommends' "$file")" ] || why="$why recommends;"
    [ -x deploy/health.sh ] || why="$why deploy/health.sh is not executable;"
    result dockerfile-rules "$why"

    why=
    dockerfile_packages "$file" >"$tmp/packages"
    [ "$(wc -l <"$tmp/packages")" -ge 15 ] || why="found only $(wc -l <"$tmp/packages");"
    while read -r package; do
        apt-cache show "$package" >/dev/null 2>&1 || why="$why $package;"
    done <"$tmp/packages"
    result dockerfile-packages-exist "$why"

    # .dockerignore lets through exactly what is copied.
    why=
    awk '$1 == "COPY" && $2 !~ /^--from/ { for (i = 2; i < NF; i++) print $i }' "$file" >"$tmp/copied"
    while read -r source; do
        [ -e "$source" ] || why="$why $source is missing;"
        grep -qx "!$source" .dockerignore || why="$why $source is ignored;"
    done <"$tmp/copied"
    [ "$(grep -v '^#' .dockerignore | head -n 1)" = '*' ] || why="$why .dockerignore is no allow-list;"
    result dockerfile-context "$why"
}

# What the built programs need of shared libraries is in the runtime image.
check_runtime_libraries() {
    awk '$1 == "FROM" { on = ($4 == "runtime") } on' deploy/Dockerfile >"$tmp/runtime"
    dockerfile_packages "$tmp/runtime" >"$tmp/packages"
    for program in services/cm-models admin/cm-admin; do
        binary=
        for preset in release dev asan; do
            [ ! -x "build/$preset/$program" ] || binary=${binary:-build/$preset/$program}
        done
        if [ -z "$binary" ]; then
            echo "SKIP runtime-libraries of ${program#*/}: it is not built"
            continue
        fi
        why=
        for path in $(ldd "$binary" | awk '$2 == "=>" { print $3 }'); do
            needed=$(basename "$path")
            objdump -p "$binary" | grep -Eq "NEEDED +$needed\$" || continue
            case $needed in
            libc.so* | libm.so* | libasan* | libubsan*) continue ;;
            esac
            # By name: dpkg may know the file in /lib though it lies in /usr/lib.
            package=$(dpkg -S "*/$(basename "$(readlink -f "$path")")" 2>/dev/null | cut -d: -f1 | head -n 1)
            grep -qx "${package:-none}" "$tmp/packages" || why="$why $needed is in ${package:-no package};"
        done
        result "runtime-libraries-${program#*/}" "$why"
    done
}

# One version everywhere: CMake says it.
check_versions() {
    version=$(sed -n 's/^project(.* VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
    why=
    [ -n "$version" ] || why="CMakeLists.txt has none;"
    grep -qx "ARG VERSION=$version" deploy/Dockerfile || why="$why Dockerfile;"
    for image in cm-models cm-admin; do
        grep -Eqx " *image: crossmodel/$image:$version" docker-compose.yml || why="$why compose $image;"
    done
    [ "$(grep -cx "    newTag: $version" deploy/kubernetes/base/kustomization.yaml)" = 2 ] || why="$why kustomization;"
    result versions-agree "$why"
}
