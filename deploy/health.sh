#!/bin/bash
# cm-health HOST:PORT PATH: exit 0 when GET PATH answers 200 within 2 s.
#
# The container's own health check, as /usr/local/bin/cm-health in the images.
# It is bash because bash can open a socket and Debian always has it: an image
# without curl has one thing less to patch.
set -eu

address=${1:?usage: cm-health HOST:PORT PATH}
path=${2:?usage: cm-health HOST:PORT PATH}

{ exec 3<>"/dev/tcp/${address%:*}/${address##*:}"; } 2>/dev/null || {
    echo "cm-health: nothing listens on $address" >&2
    exit 1
}
printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$path" "$address" >&3
read -r -t 2 _ code _ <&3 || code=none
[ "$code" = 200 ] || {
    echo "cm-health: $address$path answered $code" >&2
    exit 1
}
