// SPDX-License-Identifier: Apache-2.0
// Making and comparing entity tags. A list of tags that is not well formed
// matches as far as it can be read: the worst outcome is a 200 with a body.
#include "common/model/etag.h"

#include <string.h>

struct etag etag_make(struct digest digest, bool gzip)
{
    struct etag tag = {0};
    char hex[DIGEST_HEX_LEN + 1];
    digest_hex(digest, hex);
    tag.text[tag.len++] = '"';
    memcpy(tag.text + tag.len, hex, DIGEST_HEX_LEN);
    tag.len += DIGEST_HEX_LEN;
    if (gzip) {
        tag.text[tag.len++] = '-';
        tag.text[tag.len++] = 'g';
    }
    tag.text[tag.len++] = '"';
    return tag;
}

// Weak comparison looks at the opaque part alone.
static struct slice opaque(struct slice tag)
{
    return slice_starts_with(tag, SLICE_LIT("W/")) ? slice_skip(tag, 2) : tag;
}

// Takes the next quoted part off *rest, wherever it starts; empty at the end. A
// comma inside the quotes belongs to the tag.
static struct slice take_quoted(struct slice *rest)
{
    (void)slice_take(rest, '"');
    struct slice from = *rest;
    (void)slice_take(rest, '"');
    if (from.ptr == NULL || rest->ptr == NULL)
        return SLICE_NONE;
    return slice_make(from.ptr - 1, (size_t)(rest->ptr - from.ptr) + 1);
}

bool etag_matches(struct slice if_none_match, struct slice etag)
{
    struct slice rest = slice_trim(if_none_match);
    if (slice_equal(rest, SLICE_LIT("*")))
        return true;
    struct slice wanted = opaque(etag);
    for (;;) {
        struct slice tag = take_quoted(&rest);
        if (tag.len == 0)
            return false;
        if (slice_equal(tag, wanted))
            return true;
    }
}
