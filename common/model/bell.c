// SPDX-License-Identifier: Apache-2.0
// Reading and writing the bell. A text is a whole bell or none: anybody may
// publish on the channel, so anything odd is dropped as a whole. What is lost by
// that is found by the next poll.
#include "common/model/bell.h"

#include "common/model/head.h"

static const uint64_t revision_max = (UINT64_C(1) << 53) - 1;

// Revision 0 has nothing before it: there, and only there, previous is 0.
static bool parse_previous(struct slice hex, uint64_t revision, uint64_t *out)
{
    if (revision > 0)
        return head_id_parse(hex, out);
    *out = 0;
    return slice_equal(hex, SLICE_LIT("0000000000000000"));
}

static bool parse_keys(struct slice text, struct bell *b)
{
    while (text.len > 0) {
        struct slice kind = slice_take(&text, ' ');
        struct slice hex = slice_take(&text, ' ');
        bool deny = slice_equal(kind, SLICE_LIT("D"));
        if (b->key_count == BELL_KEYS_MAX || (!deny && !slice_equal(kind, SLICE_LIT("K"))))
            return false;
        struct bell_key *key = &b->keys[b->key_count++];
        key->deny = deny;
        if (!secret_digest_parse(hex, &key->digest))
            return false;
    }
    return true;
}

bool bell_parse(struct slice text, struct bell *out)
{
    struct bell b = {.key_count = 0};
    if (text.len > 0 && text.ptr[text.len - 1] == ' ') // slice_take drops an empty rest
        return false;
    if (!head_id_parse(slice_take(&text, ' '), &b.epoch) ||
        !slice_parse_u64(slice_take(&text, ' '), revision_max, &b.revision) ||
        !head_id_parse(slice_take(&text, ' '), &b.change) ||
        !parse_previous(slice_take(&text, ' '), b.revision, &b.previous) || !parse_keys(text, &b))
        return false;
    *out = b;
    return true;
}

static void append_id(struct buf *out, uint64_t id)
{
    char hex[HEAD_ID_HEX_LEN + 1];
    head_id_hex(id, hex);
    buf_append(out, hex, HEAD_ID_HEX_LEN);
}

void bell_write(struct buf *out, const struct bell *bell)
{
    CM_ASSERT(bell->key_count <= BELL_KEYS_MAX);
    append_id(out, bell->epoch);
    buf_append_char(out, ' ');
    buf_append_u64(out, bell->revision);
    buf_append_char(out, ' ');
    append_id(out, bell->change);
    buf_append_char(out, ' ');
    append_id(out, bell->previous);
    for (size_t i = 0; i < bell->key_count; i++) {
        char hex[SECRET_HEX_LEN + 1];
        secret_digest_hex(&bell->keys[i].digest, hex);
        buf_append_str(out, bell->keys[i].deny ? " D " : " K ");
        buf_append(out, hex, SECRET_HEX_LEN);
    }
}
