// SPDX-License-Identifier: Apache-2.0
// Entity tags: strong, one per representation, made from digests that are at
// hand, so that a tag costs no hashing and is the same on every worker.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/slice.h"
#include "common/model/digest.h"

enum { ETAG_MAX = DIGEST_HEX_LEN + 4 }; // two quotes and "-g"

struct etag {
    size_t len; // with the quotes; 0 = none
    char text[ETAG_MAX];
};

// `"<32 hex>"`, for the gzip form `"<32 hex>-g"`.
struct etag etag_make(struct digest digest, bool gzip);
// RFC 9110 13.1.2: does an If-None-Match value match this tag (with its
// quotes), by weak comparison? "*" matches every tag.
bool etag_matches(struct slice if_none_match, struct slice etag);
