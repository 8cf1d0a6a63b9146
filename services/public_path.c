// SPDX-License-Identifier: Apache-2.0
// Routing on the raw path. Old SDKs send the slash of a model id raw, new ones as
// %2F, so everything after /v1/models/ is the name, decoded exactly once: no
// dot segments, no joined slashes, no redirect, or "a//b" would name "a/b".
#include "services/public_path.h"

#include <string.h>

static bool is_get(struct slice method)
{
    return slice_equal(method, SLICE_LIT("GET")) || slice_equal(method, SLICE_LIT("HEAD"));
}

// A proxy may send the whole URL (RFC 9112, 3.2.2): the part from its path on.
static struct slice without_origin(struct slice path)
{
    static const char *const schemes[] = {"http://", "https://"};
    if (path.len > 0 && path.ptr[0] == '/')
        return path;
    for (size_t i = 0; i < CM_ARRAY_LEN(schemes); i++) {
        size_t len = strlen(schemes[i]);
        if (path.len > len && slice_equal_nocase(slice_make(path.ptr, len), slice_of(schemes[i]))) {
            struct slice rest = slice_skip(path, len);
            const char *slash = memchr(rest.ptr, '/', rest.len);
            return slash == NULL ? SLICE_NONE : slice_skip(rest, (size_t)(slash - rest.ptr));
        }
    }
    return path;
}

struct public_path public_path_read(struct slice method, struct slice path)
{
    const struct slice list_path = SLICE_LIT("/v1/models");
    struct public_path p = {PUBLIC_ROUTE_UNKNOWN, SLICE_NONE};
    path = without_origin(path);
    if (!slice_starts_with(path, list_path))
        return p;
    struct slice rest = slice_skip(path, list_path.len);
    if (rest.len > 0 && rest.ptr[0] != '/')
        return p;
    if (slice_equal(method, SLICE_LIT("OPTIONS"))) {
        p.route = PUBLIC_ROUTE_PREFLIGHT;
    } else if (!is_get(method)) {
        p.route = PUBLIC_ROUTE_WRONG_METHOD;
    } else if (rest.len == 0) {
        p.route = PUBLIC_ROUTE_LIST;
    } else {
        p.route = PUBLIC_ROUTE_MODEL;
        p.name = slice_skip(rest, 1);
    }
    return p;
}

// The byte that an escape at the start of *rest names, or '%' and false; takes it.
static bool take_escape(struct slice *rest, char *out)
{
    unsigned char byte;
    bool good = rest->len > 2 && util_hex_decode(rest->ptr + 1, &byte, 1);
    *out = good ? (char)byte : '%';
    *rest = slice_skip(*rest, good ? 3 : 1);
    return good;
}

bool public_path_decode(struct slice name, char *out, struct slice *decoded)
{
    bool well_formed = true;
    size_t len = 0;
    while (name.len > 0) {
        const char *escape = memchr(name.ptr, '%', name.len);
        size_t plain = escape == NULL ? name.len : (size_t)(escape - name.ptr);
        memcpy(out + len, name.ptr, plain);
        len += plain;
        name = slice_skip(name, plain);
        if (escape != NULL)
            well_formed &= take_escape(&name, &out[len++]);
    }
    *decoded = slice_make(out, len);
    return well_formed && memchr(out, '\0', len) == NULL && slice_is_utf8(*decoded);
}
