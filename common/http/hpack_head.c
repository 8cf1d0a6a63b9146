// SPDX-License-Identifier: Apache-2.0
// libh2o puts every header field that it sends into the connection's table and looks
// through the table for each, which costs a small answer more than all the rest. Here
// the table is filled with what is sure to come again and never changes after that:
// the constants of reply.h, known by their address. Each is spelled once, and is one
// byte from then on. What differs from answer to answer (date, length, tag, ids) is
// spelled each time and leaves the table alone (6.2.2); of the ids the names are in it.
//
// Nothing is ever evicted: what does not fit into the peer's table any more is spelled,
// and when the peer changes its table we begin with an empty one.
#include "common/http/hpack_head.h"

#include <string.h>

#include "common/http/http_private.h"

enum {
    FRAME_HEAD = 9,
    TYPE_HEADERS = 1,
    TYPE_CONTINUATION = 9,
    END_HEADERS = 4,
    // Status, date, content-length and a change of the table, at most.
    FIXED_COST = 96,
    FIELD_COST = 16, // of a field's lengths, at most
    STATIC_ENTRIES = 61,
    ENTRY_COST = 32, // beside its name and value
    // How a field is spelled, and how many bits of an index its first byte has.
    INDEXED = 0x80,
    INDEXED_BITS = 7,
    KEPT = 0x40,
    SPELLED = 0,
    SPELLED_BITS = 4,
    TABLE_SIZE = 0x20,
    TABLE_SIZE_BITS = 5,
    LENGTH_BITS = 7,
    // Of the static table.
    NAME_STATUS = 8,
    NAME_CONTENT_LENGTH = 28,
    NAME_DATE = 33,
};

// -- the words of a block -----------------------------------------------------

// An integer whose first byte begins with other bits (5.1).
static uint8_t *put_int(uint8_t *at, unsigned first, unsigned bits, size_t value)
{
    size_t full = (1U << bits) - 1;
    if (value < full) {
        *at = (uint8_t)(first | value);
        return at + 1;
    }
    *at++ = (uint8_t)(first | full);
    for (value -= full; value >= 128; value >>= 7)
        *at++ = (uint8_t)(value | 128);
    *at = (uint8_t)value;
    return at + 1;
}

static uint8_t *put_string(uint8_t *at, const char *text, size_t len)
{
    at = put_int(at, 0, LENGTH_BITS, len); // not Huffman-coded
    memcpy(at, text, len);
    return at + len;
}

static uint8_t *put_decimal(uint8_t *at, unsigned name, size_t value)
{
    char digits[20], *first = digits + sizeof(digits);
    do
        *--first = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    at = put_int(at, SPELLED, SPELLED_BITS, name);
    return put_string(at, first, (size_t)(digits + sizeof(digits) - first));
}

static uint8_t *put_status(uint8_t *at, int status)
{
    static const int in_table[] = {200, 204, 206, 304, 400, 404, 500};
    for (unsigned i = 0; i < CM_ARRAY_LEN(in_table); i++)
        if (in_table[i] == status)
            return put_int(at, INDEXED, INDEXED_BITS, NAME_STATUS + i);
    return put_decimal(at, NAME_STATUS, (size_t)status);
}

// Two updates (6.3): to 0, which empties the table, and to its new size.
static uint8_t *put_table_size(uint8_t *at, size_t size)
{
    at = put_int(at, TABLE_SIZE, TABLE_SIZE_BITS, 0);
    return put_int(at, TABLE_SIZE, TABLE_SIZE_BITS, size);
}

// -- fields -------------------------------------------------------------------

// The index of the entry at that place: the newest follows the static ones.
static unsigned index_at(struct hpack_known *known, unsigned place)
{
    known->next = place + 1;
    return STATIC_ENTRIES + known->count - place;
}

// Its index, 0 = it is not there. One answer's headers mostly are the last one's, so
// each is looked for where the one before it was found.
static unsigned find(struct hpack_known *known, const struct reply_constant *header)
{
    if (known->next < known->count && known->headers[known->next] == header)
        return index_at(known, known->next);
    for (unsigned place = 0; place < known->count; place++)
        if (known->headers[place] == header)
            return index_at(known, place);
    return 0;
}

// False when there is no room for it.
static bool keep(struct hpack_known *known, const struct reply_constant *header, size_t value_len,
                 size_t table_size)
{
    size_t bytes = known->bytes + ENTRY_COST + header->name.len + value_len;
    if (known->count == HPACK_KNOWN_MAX || bytes > table_size)
        return false;
    known->headers[known->count++] = header;
    known->bytes = (unsigned)bytes;
    return true;
}

static uint8_t *put_field(uint8_t *at, struct hpack_known *known, const h2o_header_t *field,
                          size_t table_size)
{
    const struct reply_constant *constant = reply_constant_of(field);
    unsigned index = constant == NULL ? 0 : find(known, constant);
    if (index != 0 && constant->value.len > 0)
        return put_int(at, INDEXED, INDEXED_BITS, index);
    if (index != 0) {
        at = put_int(at, SPELLED, SPELLED_BITS, index);
    } else {
        bool kept = constant != NULL && keep(known, constant, field->value.len, table_size);
        *at++ = kept ? KEPT : SPELLED;
        at = put_string(at, field->name->base, field->name->len);
    }
    return put_string(at, field->value.base, field->value.len);
}

// -- frames -------------------------------------------------------------------

static void put_frame_head(uint8_t *at, int type, uint32_t stream_id, size_t len, bool is_last)
{
    const uint8_t head[FRAME_HEAD] = {(uint8_t)(len >> 16),
                                      (uint8_t)(len >> 8),
                                      (uint8_t)len,
                                      (uint8_t)type,
                                      is_last ? END_HEADERS : 0,
                                      (uint8_t)(stream_id >> 24),
                                      (uint8_t)(stream_id >> 16),
                                      (uint8_t)(stream_id >> 8),
                                      (uint8_t)stream_id};
    memcpy(at, head, sizeof(head));
}

// The block stands at the buffer's end, behind room for a frame's head.
static void cut_into_frames(h2o_buffer_t **buf, size_t start, const struct hpack_head *h)
{
    int type = TYPE_HEADERS;
    size_t len;
    while ((len = (*buf)->size - start - FRAME_HEAD) > h->frame_max) {
        put_frame_head((uint8_t *)(*buf)->bytes + start, type, h->stream_id, h->frame_max, false);
        start += FRAME_HEAD + h->frame_max;
        len -= h->frame_max;
        h2o_buffer_reserve(buf, FRAME_HEAD);
        memmove((*buf)->bytes + start + FRAME_HEAD, (*buf)->bytes + start, len);
        (*buf)->size += FRAME_HEAD;
        type = TYPE_CONTINUATION;
    }
    put_frame_head((uint8_t *)(*buf)->bytes + start, type, h->stream_id, len, true);
}

static size_t longest(const h2o_headers_t *fields)
{
    size_t bytes = FRAME_HEAD + FIXED_COST;
    for (size_t i = 0; i < fields->size; i++)
        bytes += FIELD_COST + fields->entries[i].name->len + fields->entries[i].value.len;
    return bytes;
}

void hpack_head_write(h2o_buffer_t **buf, struct hpack_known *known, const struct hpack_head *h)
{
    const h2o_headers_t *fields = &h->res->headers;
    size_t start = (*buf)->size;
    uint8_t *first = (uint8_t *)h2o_buffer_reserve(buf, longest(fields)).base;
    uint8_t *at = first + FRAME_HEAD;
    if (h->table_changed) {
        *known = (struct hpack_known){.count = 0};
        at = put_table_size(at, h->table_size);
    }
    at = put_status(at, h->res->status);
    at = put_int(at, SPELLED, SPELLED_BITS, NAME_DATE);
    at = put_string(at, h->date, H2O_TIMESTR_RFC1123_LEN);
    if (h->content_length != SIZE_MAX)
        at = put_decimal(at, NAME_CONTENT_LENGTH, h->content_length);
    known->next = 0;
    for (size_t i = 0; i < fields->size; i++)
        at = put_field(at, known, &fields->entries[i], h->table_size);
    (*buf)->size += (size_t)(at - first);
    cut_into_frames(buf, start, h);
}
