// SPDX-License-Identifier: Apache-2.0
// A dozen templates, tried one after the other: no tree, no order that matters,
// because a path can match several templates only where their methods differ.
#include "admin/route.h"

#include <string.h>

#include "common/base/util.h"

static bool is_argument(struct slice part)
{
    return part.len > 2 && part.ptr[0] == '{' && part.ptr[part.len - 1] == '}';
}

static bool is_rest(struct slice part)
{
    return part.len > 5 && memcmp(part.ptr + part.len - 4, "...}", 4) == 0;
}

// {a|b}: one of these words. Any other argument takes every segment.
static bool word_fits(struct slice part, struct slice segment)
{
    struct slice words = slice_make(part.ptr + 1, part.len - 2);
    if (memchr(words.ptr, '|', words.len) == NULL)
        return true;
    while (words.len > 0)
        if (slice_equal(slice_take(&words, '|'), segment))
            return true;
    return false;
}

static bool path_fits(const char *template, struct slice path, struct route_match *out)
{
    struct slice parts = slice_skip(slice_of(template), 1);
    struct slice rest = slice_skip(path, 1);
    out->arg_count = 0;
    while (parts.ptr != NULL) {
        struct slice part = slice_take(&parts, '/');
        if (rest.ptr == NULL)
            return false;
        if (is_rest(part)) {
            out->args[out->arg_count++] = rest;
            return rest.len > 0;
        }
        struct slice segment = slice_take(&rest, '/');
        if (!is_argument(part)) {
            if (!slice_equal(part, segment))
                return false;
            continue;
        }
        if (segment.len == 0 || !word_fits(part, segment))
            return false;
        CM_ASSERT(out->arg_count < ROUTE_ARGS_MAX);
        out->args[out->arg_count++] = segment;
    }
    return rest.ptr == NULL;
}

static bool method_fits(const char *wanted, struct slice method)
{
    if (slice_equal(method, SLICE_LIT("HEAD")))
        method = SLICE_LIT("GET");
    return slice_equal(slice_of(wanted), method);
}

static void add_allowed(struct buf *allow, const char *method)
{
    if (allow->len > 0)
        buf_append_str(allow, ", ");
    buf_append_str(allow, method);
    if (strcmp(method, "GET") == 0)
        buf_append_str(allow, ", HEAD");
}

enum route_status route_find(const struct route *table, size_t count, struct slice method,
                             struct slice path, struct route_match *out, struct buf *allow)
{
    struct route_match match;
    buf_clear(allow);
    if (path.len == 0 || path.ptr[0] != '/')
        return ROUTE_NO_PATH;
    for (size_t i = 0; i < count; i++) {
        if (!path_fits(table[i].path, path, &match))
            continue;
        if (method_fits(table[i].method, method)) {
            match.route = &table[i];
            *out = match;
            buf_clear(allow);
            return ROUTE_FOUND;
        }
        add_allowed(allow, table[i].method);
    }
    return allow->len > 0 ? ROUTE_NO_METHOD : ROUTE_NO_PATH;
}

bool route_decode(struct slice raw, bool plus_is_blank, char *out, size_t *len)
{
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char byte = (unsigned char)raw.ptr[i];
        if (byte == '%') {
            if (raw.len - i < 3 || !util_hex_decode(raw.ptr + i + 1, &byte, 1))
                return false;
            i += 2;
        } else if (byte == '+' && plus_is_blank) {
            byte = ' ';
        }
        if (byte == '\0')
            return false;
        out[n++] = (char)byte;
    }
    if (!slice_is_utf8(slice_make(out, n)))
        return false;
    *len = n;
    return true;
}
