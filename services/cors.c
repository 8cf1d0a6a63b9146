// SPDX-License-Identifier: Apache-2.0
// An allowed origin is told back as it was sent; others get no header, so that
// the browser refuses the page. Origins compare byte by byte, as browsers
// serialise them. Few origins are expected: a walk through the text will do.
#include "services/cors.h"

void cors_init(struct cors *c, struct slice origins)
{
    c->origins = slice_trim(origins);
}

bool cors_varies(const struct cors *c)
{
    return !slice_equal(c->origins, SLICE_LIT("*"));
}

struct slice cors_allow(const struct cors *c, struct slice origin)
{
    if (!cors_varies(c))
        return c->origins;
    struct slice rest = c->origins;
    while (origin.len > 0 && rest.len > 0)
        if (slice_equal(slice_trim(slice_take(&rest, ',')), origin))
            return origin;
    return SLICE_NONE;
}
