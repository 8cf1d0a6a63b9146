// SPDX-License-Identifier: Apache-2.0
// libh2o's own graceful shutdown is not used: when the last answer of a connection
// has been formatted, it closes the socket at once, with what the socket did not
// take yet, and meanwhile it drops the bodies of requests that it has promised to
// answer. So a connection is never half-closed in its sense; the client is told
// (GOAWAY twice, RFC 9113, 6.8), what it has begun is finished, and the socket is
// shut when nothing is left (drain.c).
#include "common/http/http2.h"

#include "common/http/http_private.h"
#include "common/http/internal/h2o_http2.h"

static h2o_http2_conn_t *h2_of(const struct conn *conn)
{
    CM_ASSERT(conn->http2 && !conn->let_go);
    return conn->sock->data;
}

enum http2_receiving http2_receiving(const struct conn *conn)
{
    const h2o_http2_conn_t *h2 = h2_of(conn);
    if (h2->_headers_unparsed != NULL)
        return HTTP2_BLOCK;
    if (conn->sock->input->size > 0)
        return HTTP2_FRAME;
    return h2->num_streams.pull.open > h2->num_streams.pull.half_closed ? HTTP2_BODY
                                                                        : HTTP2_NOTHING;
}

bool http2_is_over(const struct conn *conn)
{
    return h2_of(conn)->state >= H2O_HTTP2_CONN_STATE_IS_CLOSING;
}

bool http2_is_done(const struct conn *conn)
{
    const h2o_http2_conn_t *h2 = h2_of(conn);
    return h2->num_streams.pull.open == 0 && conn->call_count == 0 && h2->_write.buf->size == 0 &&
           h2->_write.buf_in_flight == NULL;
}

void http2_goaway(struct conn *conn, bool last)
{
    h2o_http2_conn_t *h2 = h2_of(conn);
    if (h2->state >= H2O_HTTP2_CONN_STATE_IS_CLOSING)
        return;
    conn->goaway = last ? GOAWAY_LAST : GOAWAY_SAID;
    conn->last_stream = h2->pull_stream_ids.max_open;
    h2o_http2_encode_goaway_frame(&h2->_write.buf, last ? conn->last_stream : INT32_MAX,
                                  H2O_HTTP2_ERROR_NONE, (h2o_iovec_t){NULL, 0});
    h2o_http2_conn_request_write(h2);
}
