// SPDX-License-Identifier: Apache-2.0
// The two ids of an answer, which have the same value, and their way into an HTTP/2
// header block: as they are.
//
// libh2o puts every header field that it sends into the connection's table, to
// refer to it the next time, and looks through the table for each field. An id
// never comes a second time: two of them an answer fill the table, push out what
// does come again, and cost more than the rest of the answer. So libh2o encodes
// the fields before them, and they follow as literals without indexing (RFC 7541,
// 6.2.2), which leave the table alone.
#include "common/http/ids.h"

#include <string.h>

enum {
    FRAME_HEAD = 9,
    FIELD_COST = 16,    // of lengths and the like, at most
    OTHER_FIELDS = 200, // status, date, content-length and the ids, at most
};

h2o_iovec_t ids_names[IDS] = {{H2O_STRLIT("x-request-id")}, {H2O_STRLIT("request-id")}};

// Does the answer end with the ids, and is its block surely one frame?
static bool ends_with_ids(const h2o_res_t *res, size_t max_frame_size)
{
    const h2o_header_t *fields = res->headers.entries;
    size_t count = res->headers.size, bytes = OTHER_FIELDS;
    if (count < IDS || fields[count - 1].name != &ids_names[IDS - 1])
        return false;
    for (size_t i = 0; i < count; i++)
        bytes += fields[i].name->len + fields[i].value.len + FIELD_COST;
    return bytes <= max_frame_size;
}

static uint8_t *put_string(uint8_t *at, const h2o_iovec_t *text)
{
    CM_ASSERT(text->len < 127);
    *at++ = (uint8_t)text->len; // not Huffman-coded
    memcpy(at, text->base, text->len);
    return at + text->len;
}

static size_t literal_length(const h2o_header_t *field)
{
    return 3 + field->name->len + field->value.len;
}

static void append_ids(h2o_buffer_t **buf, const h2o_header_t *ids)
{
    size_t len = 0;
    for (size_t i = 0; i < IDS; i++)
        len += literal_length(&ids[i]);
    uint8_t *at = (uint8_t *)h2o_buffer_reserve(buf, len).base;
    for (size_t i = 0; i < IDS; i++) {
        *at++ = 0; // a literal without indexing, its name spelled
        at = put_string(put_string(at, ids[i].name), &ids[i].value);
    }
    (*buf)->size += len;
}

// Of the frame that begins there and now ends with the buffer.
static void set_length(h2o_buffer_t *buf, size_t frame_at)
{
    uint8_t *head = (uint8_t *)buf->bytes + frame_at;
    size_t len = buf->size - frame_at - FRAME_HEAD;
    head[0] = (uint8_t)(len >> 16);
    head[1] = (uint8_t)(len >> 8);
    head[2] = (uint8_t)len;
}

bool ids_take(h2o_res_t *res, size_t max_frame_size)
{
    if (!ends_with_ids(res, max_frame_size))
        return false;
    res->headers.size -= IDS;
    return true;
}

void ids_spell(h2o_buffer_t **buf, size_t frame_at, h2o_res_t *res)
{
    append_ids(buf, res->headers.entries + res->headers.size);
    res->headers.size += IDS;
    set_length(*buf, frame_at);
}
