#!/bin/sh
# The house's rules on includes: lower floors only, third parties behind their
# fences, headers that say what they are for. Prints what breaks them.
set -u
cd "$(dirname "$0")/../.." || exit 2
broken=0

# deny WHAT PATTERN PATH...: no line of the files may match.
deny() {
    what=$1 pattern=$2
    shift 2
    found=$(grep -nrE --include='*.c' --include='*.h' -- "$pattern" "$@" 2>/dev/null)
    if [ -n "$found" ]; then
        printf 'layers: %s\n%s\n' "$what" "$found"
        broken=1
    fi
}

deny 'base knows only libc' '#include "(common/(model|store|http)|services|admin)/' common/base
deny 'base knows only libc' '#include <(uv|jansson|h2o|hiredis|openssl|zlib)' common/base
deny 'model knows neither http nor store' '#include "(common/(store|http)|services|admin)/' common/model
deny 'store and http are strangers' '#include "(common/http|services|admin)/' common/store
deny 'store and http are strangers' '#include "(common/store|services|admin)/' common/http
deny 'programs are strangers' '#include "admin/' services
deny 'programs are strangers' '#include "services/' admin
deny 'h2o only in common/http' '#include <h2o' common/base common/model common/store services admin
deny 'hiredis only in common/store' '#include <hiredis' common/base common/model common/http services admin
deny 'jansson only in common/model and the admin API' '#include <jansson' common/base common/store common/http services
deny 'uv only in http, store and the wiring' '#include <uv' common/base common/model
deny 'includes go by path from the root' '#include "[^/"]+"' common services admin

for header in $(git ls-files 'common/*.h' 'services/*.h' 'admin/*.h'); do
    if [ "$(sed -n 1p "$header")" != '// SPDX-License-Identifier: Apache-2.0' ] ||
        ! sed -n 2p "$header" | grep -q '^// .'; then
        echo "layers: $header does not start with its licence and purpose"
        broken=1
    fi
done

long=$(git ls-files '*.c' '*.h' '*.lua' '*.sh' '*.mjs' | xargs wc -l | awk '$2 != "total" && $1 > 600')
if [ -n "$long" ]; then
    printf 'layers: files above 600 lines\n%s\n' "$long"
    broken=1
fi
exit $broken
