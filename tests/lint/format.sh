#!/bin/sh
# Every C file is as clang-format 14 writes it.
set -u
cd "$(dirname "$0")/../.." || exit 2
tool=$(command -v clang-format-14 || command -v clang-format) || {
    echo 'format: clang-format 14 is not installed'
    exit 2
}
case $("$tool" --version) in
*'version 14.'*) ;;
*)
    echo "format: version 14 is wanted, this is $("$tool" --version)"
    exit 2
    ;;
esac
git ls-files '*.c' '*.h' | xargs "$tool" --dry-run --Werror
