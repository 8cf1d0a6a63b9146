// SPDX-License-Identifier: Apache-2.0
// The guard's part about header blocks (guard.c has the rest): what comes in is
// measured before libh2o decodes it, and is a request before it is one to our
// handlers; what goes out fits the table that the peer has for it (hpack_head.c).
#include <string.h>

#include "common/http/guard.h"
#include "common/http/hpack_block.h"
#include "common/http/hpack_head.h"
#include "common/http/http_private.h"
#include "common/http/internal/h2o_http2.h"
#include "common/http/library.h"

#if CM_HTTP2_GUARD

_Static_assert((int)HPACK_BLOCK_MAX == (int)GUARD_BLOCK_MAX,
               "a block is measured before it is read");

static __typeof__(h2o_hpack_parse_headers) *real_parse_headers;

__attribute__((constructor)) static void find_real(void)
{
    library_behind("h2o_hpack_parse_headers", &real_parse_headers);
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

// A head in HPACK may be a fraction of what it says, so it is measured by what it would
// be in HTTP/1.1: each field "name: value\r\n".
static size_t spelled_len(const h2o_req_t *req)
{
    size_t len = req->input.method.len + strlen(" ") + req->input.path.len +
                 strlen(" HTTP/1.1\r\nhost: ") + req->input.authority.len + strlen("\r\n\r\n");
    for (size_t i = 0; i < req->headers.size; i++)
        len += req->headers.entries[i].name->len + req->headers.entries[i].value.len +
               strlen(": \r\n");
    return len;
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
    if (len > GUARD_BLOCK_MAX ||
        hpack_block_read(src, len, GUARD_FIELDS_MAX, plain, &plain_len) > GUARD_FIELDS_MAX)
        return guard_calm(conn->server);
    guard_block_came(&conn->guard);
    int error =
        real_parse_headers(req, table, plain, plain_len, pseudo, content_length, NULL, err_desc);
    if (error != 0 || !is_head)
        return error;
    if (spelled_len(req) > GUARD_HEAD_MAX)
        refuse(conn, stream_of(req), 431, content_length);
    else if (!is_well_formed(req))
        refuse(conn, stream_of(req), 400, content_length);
    else if (*content_length != SIZE_MAX && *content_length > conn->server->options.max_body)
        refuse(conn, stream_of(req), 413, content_length);
    return stream_of(req)->_req_body == NULL ? 0 : guard_head_came(conn, stream_of(req), len);
}

// -- answers ----------------------------------------------------------------

// In place of the library's, whose table has 4,096 bytes whatever the peer says that it
// has room for (RFC 7541, 4.2): a client with less could not read its answers.
void h2o_hpack_flatten_response(h2o_buffer_t **buf, h2o_hpack_header_table_t *table,
                                uint32_t stream_id, size_t max_frame_size, h2o_res_t *res,
                                h2o_timestamp_t *ts, const h2o_iovec_t *server_name,
                                size_t content_length)
{
    h2o_http2_conn_t *h2 = H2O_STRUCT_FROM_MEMBER(h2o_http2_conn_t, _output_header_table, table);
    struct guard *g = &((struct conn *)h2->sock->on_close.data)->guard;
    const uint32_t peers = h2->peer_settings.header_table_size;
    (void)server_name; // nobody's business
    hpack_head_write(
        buf, &g->known,
        &(struct hpack_head){.res = res,
                             .date = ts->str->rfc1123,
                             .content_length = content_length,
                             .stream_id = stream_id,
                             .frame_max = max_frame_size,
                             .table_size = peers < GUARD_TABLE_MAX ? peers : GUARD_TABLE_MAX,
                             .table_changed = g->table_changed});
    g->table_changed = false;
}

#endif
