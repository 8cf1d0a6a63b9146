// SPDX-License-Identifier: Apache-2.0
// The guard's part about header blocks (guard.c has the rest): what comes in is
// measured before libh2o decodes it, and is a request before it is one to our
// handlers; what goes out fits the table that the peer has for it.
#include <string.h>

#include "common/http/guard.h"
#include "common/http/hpack_block.h"
#include "common/http/http_private.h"
#include "common/http/ids.h"
#include "common/http/internal/h2o_http2.h"
#include "common/http/library.h"

#if CM_HTTP2_GUARD

_Static_assert((int)HPACK_BLOCK_MAX == (int)GUARD_HEAD_MAX,
               "a block is measured before it is read");

static struct {
    __typeof__(h2o_hpack_parse_headers) *parse_headers;
    __typeof__(h2o_hpack_flatten_response) *flatten_response;
} real;

__attribute__((constructor)) static void find_real(void)
{
    library_behind("h2o_hpack_parse_headers", &real.parse_headers);
    library_behind("h2o_hpack_flatten_response", &real.flatten_response);
}

bool guard_hpack_is_in_place(void)
{
    static const char *const names[] = {"h2o_hpack_parse_headers", "h2o_hpack_flatten_response",
                                        NULL};
    return library_is_overruled(names);
}

static h2o_http2_stream_t *stream_of(h2o_req_t *req)
{
    return H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, req);
}

// -- requests ---------------------------------------------------------------

// The request ends here for libh2o, whatever body may come.
static void refuse(struct conn *conn, h2o_http2_stream_t *stream, int status, size_t *length)
{
    conn->refuse = (struct refusal){.status = status, .early = stream->_req_body != NULL};
    if (stream->_req_body != NULL)
        h2o_buffer_dispose(&stream->_req_body);
    *length = SIZE_MAX;
}

static bool is_well_formed(const h2o_req_t *req)
{
    return strict_is_method(req->input.method.base, req->input.method.len) &&
           strict_is_target(req->input.method.base, req->input.method.len, req->input.path.base,
                            req->input.path.len);
}

int h2o_hpack_parse_headers(h2o_req_t *req, h2o_hpack_header_table_t *table, const uint8_t *src,
                            size_t len, int *pseudo, size_t *content_length,
                            h2o_cache_digests_t **digests, const char **err_desc)
{
    struct conn *conn = conn_of_request(req);
    bool is_head = pseudo != NULL;   // not a trailer
    (void)digests;                   // a feature nobody asked for, a parser less
    uint8_t plain[HPACK_BLOCK_ROOM]; // libh2o copies what it keeps
    size_t plain_len;
    // The HPACK bomb: an index is one byte, and costs libh2o a hundred.
    if (len > GUARD_HEAD_MAX ||
        hpack_block_read(src, len, GUARD_FIELDS_MAX, plain, &plain_len) > GUARD_FIELDS_MAX)
        return guard_calm(conn->server);
    guard_block_came(&conn->guard);
    int error =
        real.parse_headers(req, table, plain, plain_len, pseudo, content_length, NULL, err_desc);
    if (error != 0 || !is_head)
        return error;
    if (!is_well_formed(req))
        refuse(conn, stream_of(req), 400, content_length);
    else if (*content_length != SIZE_MAX && *content_length > conn->server->options.max_body)
        refuse(conn, stream_of(req), 413, content_length);
    return stream_of(req)->_req_body == NULL ? 0 : guard_head_came(conn, stream_of(req), len);
}

// -- answers ----------------------------------------------------------------

// libh2o's encoder keeps a table of 4,096 bytes, whatever the peer says that it has
// room for (RFC 7541, 4.2): a client with less cannot read its answers.
static void fit_table(h2o_hpack_header_table_t *table, size_t size)
{
    h2o_hpack_dispose_header_table(table);
    *table = (h2o_hpack_header_table_t){.hpack_capacity =
                                            size < GUARD_TABLE_MAX ? size : GUARD_TABLE_MAX};
}

// Two size updates (RFC 7541, 6.3): to 0, which empties the table, to its new size.
static size_t put_table_size(uint8_t *out, size_t size)
{
    size_t used = 2;
    out[0] = 0x20;
    out[1] = (uint8_t)(0x20 | (size < 31 ? size : 31));
    if (size < 31)
        return used;
    for (size -= 31; size >= 128; size >>= 7)
        out[used++] = (uint8_t)(size | 128);
    out[used++] = (uint8_t)size;
    return used;
}

// Into the frame that begins there, as the first thing that its block says.
static void insert_update(h2o_buffer_t **buf, size_t frame_at, const uint8_t *update, size_t len)
{
    h2o_buffer_reserve(buf, len);
    uint8_t *frame = (uint8_t *)(*buf)->bytes + frame_at;
    uint8_t *block = frame + H2O_HTTP2_FRAME_HEADER_SIZE;
    memmove(block + len, block, (*buf)->size - frame_at - H2O_HTTP2_FRAME_HEADER_SIZE);
    memcpy(block, update, len);
    h2o_http2_encode24u(frame, h2o_http2_decode24u(frame) + (uint32_t)len);
    (*buf)->size += len;
}

void h2o_hpack_flatten_response(h2o_buffer_t **buf, h2o_hpack_header_table_t *table,
                                uint32_t stream_id, size_t max_frame_size, h2o_res_t *res,
                                h2o_timestamp_t *ts, const h2o_iovec_t *server_name,
                                size_t content_length)
{
    h2o_http2_conn_t *h2 = H2O_STRUCT_FROM_MEMBER(h2o_http2_conn_t, _output_header_table, table);
    struct guard *g = &((struct conn *)h2->sock->on_close.data)->guard;
    uint8_t update[8];
    size_t start = (*buf)->size, update_len = 0;
    if (g->table_changed) {
        fit_table(table, h2->peer_settings.header_table_size);
        update_len = put_table_size(update, table->hpack_capacity);
        g->table_changed = false;
    }
    // A long block fills its first frame: the update must find room there.
    max_frame_size -= update_len;
    bool spelled = ids_take(res, max_frame_size);
    real.flatten_response(buf, table, stream_id, max_frame_size, res, ts, server_name,
                          content_length);
    if (spelled)
        ids_spell(buf, start, res);
    if (update_len > 0)
        insert_update(buf, start, update, update_len);
}

#endif
