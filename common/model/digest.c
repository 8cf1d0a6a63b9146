// SPDX-License-Identifier: Apache-2.0
// Adding and subtracting record digests modulo 2^128. Nothing here fails but
// reading a text that is no digest.
#include "common/model/digest.h"

#include <endian.h>
#include <string.h>

#include "common/model/sha256.h"

static uint64_t load(const unsigned char *bytes)
{
    uint64_t n;
    memcpy(&n, bytes, sizeof(n));
    return be64toh(n);
}

static void store(unsigned char *bytes, uint64_t n)
{
    n = htobe64(n);
    memcpy(bytes, &n, sizeof(n));
}

struct digest digest_record(struct slice id, struct slice record)
{
    const struct slice parts[] = {id, {"", 1}, record}; // "" is the zero byte
    unsigned char bytes[SHA256_LEN];
    sha256_parts(parts, CM_ARRAY_LEN(parts), bytes);
    return (struct digest){load(bytes), load(bytes + 8)};
}

struct digest digest_add(struct digest a, struct digest b)
{
    uint64_t low = a.low + b.low;
    return (struct digest){a.high + b.high + (low < a.low), low};
}

struct digest digest_subtract(struct digest a, struct digest b)
{
    return (struct digest){a.high - b.high - (a.low < b.low), a.low - b.low};
}

bool digest_equal(struct digest a, struct digest b)
{
    return a.high == b.high && a.low == b.low;
}

void digest_hex(struct digest d, char out[DIGEST_HEX_LEN + 1])
{
    unsigned char bytes[DIGEST_HEX_LEN / 2];
    store(bytes, d.high);
    store(bytes + 8, d.low);
    util_hex_encode(bytes, sizeof(bytes), out);
    out[DIGEST_HEX_LEN] = '\0';
}

bool digest_parse(struct slice hex, struct digest *out)
{
    unsigned char bytes[DIGEST_HEX_LEN / 2];
    if (hex.len != DIGEST_HEX_LEN || !util_hex_decode(hex.ptr, bytes, sizeof(bytes)))
        return false;
    *out = (struct digest){load(bytes), load(bytes + 8)};
    return true;
}
