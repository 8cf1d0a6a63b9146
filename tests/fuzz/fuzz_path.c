// SPDX-License-Identifier: Apache-2.0
// Any bytes as a request line's method and target, a blank between them: the route
// stands inside the target, a name decodes to no more bytes than it had, exactly once,
// and to UTF-8 without NUL or not at all.
#include "services/public_path.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static bool lies_within(struct slice inner, struct slice outer)
{
    return inner.ptr >= outer.ptr && inner.ptr + inner.len <= outer.ptr + outer.len;
}

// Written with every byte escaped, a name says the same.
static void check_escaped(struct slice decoded)
{
    char *escaped = xmalloc(3 * decoded.len + 1), *out = xmalloc(3 * decoded.len + 1);
    struct slice again;
    for (size_t i = 0; i < decoded.len; i++) {
        escaped[3 * i] = '%';
        util_hex_encode((const unsigned char *)decoded.ptr + i, 1, escaped + 3 * i + 1);
    }
    CM_ASSERT(public_path_decode(slice_make(escaped, 3 * decoded.len), out, &again));
    CM_ASSERT(slice_equal(again, decoded));
    free(escaped);
    free(out);
}

static void check_name(struct slice name)
{
    char *out = xmalloc(name.len + 1);
    struct slice decoded;
    bool names = public_path_decode(name, out, &decoded);
    CM_ASSERT(lies_within(decoded, slice_make(out, name.len)));
    if (names) {
        CM_ASSERT(slice_is_utf8(decoded));
        CM_ASSERT(decoded.len == 0 || memchr(decoded.ptr, '\0', decoded.len) == NULL);
        check_escaped(decoded);
    }
    if (name.len > 0 && memchr(name.ptr, '%', name.len) == NULL)
        CM_ASSERT(slice_equal(decoded, name));
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice target = slice_make(data, size);
    struct slice method = slice_take(&target, ' ');
    if (target.ptr == NULL)
        return 0;
    struct public_path path = public_path_read(method, target);
    if (path.route == PUBLIC_ROUTE_MODEL) {
        CM_ASSERT(lies_within(path.name, target));
        check_name(path.name);
    } else {
        CM_ASSERT(path.name.len == 0);
    }
    return 0;
}
