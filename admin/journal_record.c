// SPDX-License-Identifier: Apache-2.0
// The digest tells a good record from what a crash or a bad disk left, wherever one
// looks: so a damaged one costs itself only, and the next is found by trying each byte.
// (What is in between is long and random, or text, or nothing: few places look like the
// beginning of a record that ends within the file, so few digests are made in vain.)
#include "admin/journal_record.h"

#include <string.h>

#include "common/model/sha256.h"

enum { FRAME = JOURNAL_RECORD_FRAME, SUM = JOURNAL_RECORD_SUM };

static void sum_of(char kind, struct slice bytes, unsigned char out[SUM])
{
    const struct slice parts[] = {slice_make(&kind, 1), bytes};
    unsigned char digest[SHA256_LEN];
    sha256_parts(parts, CM_ARRAY_LEN(parts), digest);
    memcpy(out, digest, SUM);
}

void journal_record_put(struct buf *out, char kind, struct slice bytes)
{
    unsigned char sum[SUM];
    CM_ASSERT(bytes.len <= JOURNAL_RECORD_MAX);
    for (int shift = 0; shift < 32; shift += 8)
        buf_append_char(out, (char)((bytes.len >> shift) & 0xff));
    buf_append_char(out, kind);
    buf_append_slice(out, bytes);
    sum_of(kind, bytes, sum);
    buf_append(out, sum, SUM);
}

static bool is_good(struct slice at, struct journal_record *out)
{
    const unsigned char *p = (const unsigned char *)at.ptr;
    unsigned char sum[SUM];
    if (at.len < FRAME + SUM || p[4] < 'A' || p[4] > 'Z')
        return false;
    size_t len = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (len > JOURNAL_RECORD_MAX || len > at.len - FRAME - SUM)
        return false;
    *out = (struct journal_record){.kind = at.ptr[4], .bytes = slice_make(at.ptr + FRAME, len)};
    sum_of(out->kind, out->bytes, sum);
    return memcmp(sum, p + FRAME + len, SUM) == 0;
}

bool journal_record_take(struct slice *rest, struct journal_record *out)
{
    if (!is_good(*rest, out))
        return false;
    *rest = slice_skip(*rest, FRAME + out->bytes.len + SUM);
    return true;
}

bool journal_record_seek(struct slice *rest)
{
    struct journal_record record;
    for (struct slice at = *rest; at.len > 0; at = slice_skip(at, 1)) {
        if (!is_good(at, &record))
            continue;
        *rest = at;
        return true;
    }
    return false;
}
