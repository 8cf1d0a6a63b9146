// SPDX-License-Identifier: Apache-2.0
// The order-free digest of a catalog: the sum modulo 2^128 of one digest per
// record, so that a change costs two additions whatever the catalog's size.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

struct digest {
    uint64_t high, low;
};

enum { DIGEST_HEX_LEN = 32 };

// First 16 bytes (big-endian) of SHA-256(id, one zero byte, record).
struct digest digest_record(struct slice id, struct slice record);
struct digest digest_add(struct digest a, struct digest b);
struct digest digest_subtract(struct digest a, struct digest b);
bool digest_equal(struct digest a, struct digest b);
void digest_hex(struct digest d, char out[DIGEST_HEX_LEN + 1]);
CM_MUST_CHECK bool digest_parse(struct slice hex, struct digest *out);
