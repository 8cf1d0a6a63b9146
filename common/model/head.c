// SPDX-License-Identifier: Apache-2.0
// Reading the head of a history. A head is believed whole or not at all: one
// field that is missing or odd makes it garbled, because a worker that took half
// a head for good could reload from a store that is not its own. The format is
// judged first, so that a newer program may change all the rest.
#include "common/model/head.h"

static const uint64_t number_max = (UINT64_C(1) << 53) - 1; // exact in Lua and in JSON

const char *const head_field_names[HEAD_FIELD_COUNT] = {
    [HEAD_FIELD_FORMAT] = "format",   [HEAD_FIELD_EPOCH] = "epoch",
    [HEAD_FIELD_PARENTS] = "parents", [HEAD_FIELD_REVISION] = "rev",
    [HEAD_FIELD_CHANGE] = "change",   [HEAD_FIELD_DIGEST] = "digest",
    [HEAD_FIELD_MODELS] = "models",
};

static bool parse_parents(struct slice text, struct head *h)
{
    h->parent_count = 0;
    while (text.len > 0) {
        struct slice id = slice_take(&text, ' ');
        if (h->parent_count == HEAD_PARENTS_MAX || !head_id_parse(id, &h->parents[h->parent_count]))
            return false;
        h->parent_count++;
    }
    return true;
}

static bool parse_rest(const struct slice fields[HEAD_FIELD_COUNT], struct head *h)
{
    return head_id_parse(fields[HEAD_FIELD_EPOCH], &h->epoch) &&
           fields[HEAD_FIELD_PARENTS].ptr != NULL && parse_parents(fields[HEAD_FIELD_PARENTS], h) &&
           slice_parse_u64(fields[HEAD_FIELD_REVISION], number_max, &h->revision) &&
           head_id_parse(fields[HEAD_FIELD_CHANGE], &h->change) &&
           digest_parse(fields[HEAD_FIELD_DIGEST], &h->digest) &&
           slice_parse_u64(fields[HEAD_FIELD_MODELS], number_max, &h->models);
}

enum head_status head_parse(const struct slice fields[HEAD_FIELD_COUNT], struct head *out)
{
    struct head h = {.format = 0};
    size_t present = 0;
    for (size_t i = 0; i < HEAD_FIELD_COUNT; i++)
        present += fields[i].ptr != NULL;
    if (present == 0)
        return HEAD_ABSENT;
    if (!slice_parse_u64(fields[HEAD_FIELD_FORMAT], UINT64_MAX, &h.format) || h.format == 0)
        return HEAD_GARBLED;
    if (h.format > HEAD_FORMAT)
        return HEAD_NEWER;
    if (!parse_rest(fields, &h))
        return HEAD_GARBLED;
    *out = h;
    return HEAD_OK;
}

bool head_descends_from(const struct head *h, uint64_t epoch)
{
    for (size_t i = 0; i < h->parent_count; i++)
        if (h->parents[i] == epoch)
            return true;
    return false;
}

void head_id_hex(uint64_t id, char out[HEAD_ID_HEX_LEN + 1])
{
    unsigned char bytes[HEAD_ID_HEX_LEN / 2];
    for (size_t i = sizeof(bytes); i-- > 0; id >>= 8)
        bytes[i] = (unsigned char)id;
    util_hex_encode(bytes, sizeof(bytes), out);
    out[HEAD_ID_HEX_LEN] = '\0';
}

bool head_id_parse(struct slice hex, uint64_t *out)
{
    unsigned char bytes[HEAD_ID_HEX_LEN / 2];
    if (hex.len != HEAD_ID_HEX_LEN || !util_hex_decode(hex.ptr, bytes, sizeof(bytes)))
        return false;
    uint64_t id = 0;
    for (size_t i = 0; i < sizeof(bytes); i++)
        id = id << 8 | bytes[i];
    if (id == 0)
        return false;
    *out = id;
    return true;
}

uint64_t head_new_id(void)
{
    uint64_t id = 0;
    while (id == 0)
        util_random(&id, sizeof(id));
    return id;
}
