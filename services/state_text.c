// SPDX-License-Identifier: Apache-2.0
// A text is believed whole or not at all; on error nothing is set.
#include "services/state_text.h"

#include <inttypes.h>
#include <string.h>

void state_text_position(struct buf *out, const struct feed_position *p)
{
    char epoch[HEAD_ID_HEX_LEN + 1], change[HEAD_ID_HEX_LEN + 1], digest[DIGEST_HEX_LEN + 1];
    head_id_hex(p->epoch, epoch);
    head_id_hex(p->change, change);
    digest_hex(p->digest, digest);
    buf_printf(out, "%s %" PRIu64 " %s %s %" PRIu64, epoch, p->revision, change, digest, p->models);
}

bool state_text_read_position(struct slice text, struct feed_position *out)
{
    struct feed_position p;
    if (!head_id_parse(slice_take(&text, ' '), &p.epoch) ||
        !slice_parse_u64(slice_take(&text, ' '), UINT64_MAX, &p.revision) ||
        !head_id_parse(slice_take(&text, ' '), &p.change) ||
        !digest_parse(slice_take(&text, ' '), &p.digest) ||
        !slice_parse_u64(text, UINT64_MAX, &p.models))
        return false;
    *out = p;
    return true;
}

void state_text_stamp(struct buf *out, const struct clock_stamp *s)
{
    buf_printf(out, "%s %" PRIu64 " %" PRId64, s->boot_id[0] != '\0' ? s->boot_id : "-", s->boot_ms,
               s->wall_ms);
}

static bool is_boot_id(struct slice id)
{
    for (size_t i = 0; i < id.len; i++)
        if (memchr("0123456789abcdef-", id.ptr[i], 17) == NULL)
            return false;
    return id.len == 36;
}

bool state_text_read_stamp(struct slice text, struct clock_stamp *out)
{
    struct clock_stamp s = {.boot_id = ""};
    uint64_t wall;
    struct slice id = slice_take(&text, ' ');
    bool unknown = slice_equal(id, SLICE_LIT("-"));
    if ((!unknown && !is_boot_id(id)) ||
        !slice_parse_u64(slice_take(&text, ' '), UINT64_MAX, &s.boot_ms) ||
        !slice_parse_u64(text, INT64_MAX, &wall))
        return false;
    if (!unknown)
        memcpy(s.boot_id, id.ptr, id.len);
    s.wall_ms = (int64_t)wall;
    *out = s;
    return true;
}
