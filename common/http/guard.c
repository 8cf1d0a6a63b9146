// SPDX-License-Identifier: Apache-2.0
// HTTP/2 of libh2o 2.2.5 made safe to offer to strangers.
//
// The library calls these functions through its own table of symbols, so the
// definitions here take their place; each does its part and calls the real one.
// They look at the library's inner state, and so are trusted on verified builds
// only (library.c). What a peer does wrong ends in an error of the protocol: the
// connection is told by GOAWAY and closed, others never notice.
//
// A request whose body is too large is answered before the body is here, which
// libh2o does not know: it would reset the stream as "refused", which clients
// take for an invitation to try again. We hand it the request as if it ended
// there, remember the call as early, and swallow what still comes of the body,
// beyond the answer too. RST_STREAM(NO_ERROR) behind the answer (RFC 9113, 8.1)
// comes only when that is too much: there are clients, curl 7.88 among them, that
// throw the answer away with it.
#include "common/http/guard.h"

#include "common/http/http_private.h"
#include "common/http/internal/h2o_http2.h"
#include "common/http/library.h"

enum {
    // Streams that a connection may waste at once; each answer earns one back,
    // each second some more.
    RESETS_MAX = 128,
    RESETS_A_SECOND = 16,
    // Frames that ask for nothing (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, unknown
    // ones, empty ones), allowed at once, earned by a request, by a frame that we
    // send, by a second.
    IDLE_FRAMES_MAX = 1000,
    IDLE_FRAMES_A_REQUEST = 20,
    IDLE_FRAMES_A_FRAME = 10,
    IDLE_FRAMES_A_SECOND = 100,
    // Requests in the making, in largest bodies.
    BODIES_MAX = 8,
    // Unwanted bodies of a connection that are read to their end.
    SWALLOW_MAX = 16 * 1024 * 1024,
    // The largest initial window that is believed, and the window of a stream that
    // has nothing more to send: greater, so that no change of the former ever
    // brings it down to 0.
    WINDOW_MAX = 1 << 29,
    WINDOW_DONE = WINDOW_MAX + 1,
    UNKNOWN_FRAME = H2O_HTTP2_FRAME_TYPE_CONTINUATION + 1
};

static void pay_back(unsigned *debt, unsigned amount)
{
    *debt = *debt > amount ? *debt - amount : 0;
}

void guard_forgive(struct guard *g, uint64_t ms)
{
    pay_back(&g->resets, (unsigned)(RESETS_A_SECOND * ms / 1000));
    pay_back(&g->idle_frames, (unsigned)(IDLE_FRAMES_A_SECOND * ms / 1000));
}

void guard_block_came(struct guard *g)
{
    g->blocks++;
    pay_back(&g->idle_frames, IDLE_FRAMES_A_REQUEST);
}

void guard_call_ended(struct guard *g, const struct call *c)
{
    g->early -= c->early;
    if (c->answered && !g->resetting)
        pay_back(&g->resets, 1);
}

#if CM_HTTP2_GUARD

static struct {
    __typeof__(h2o_http2_update_peer_settings) *update_peer_settings;
    __typeof__(h2o_http2_stream_send_pending_data) *send_pending_data;
    __typeof__(h2o_http2_stream_reset) *stream_reset;
    __typeof__(h2o_http2_decode_frame) *decode_frame;
    __typeof__(h2o_http2_conn_register_for_proceed_callback) *register_for_proceed;
} real;

__attribute__((constructor)) static void find_real(void)
{
    library_behind("h2o_http2_update_peer_settings", &real.update_peer_settings);
    library_behind("h2o_http2_stream_send_pending_data", &real.send_pending_data);
    library_behind("h2o_http2_stream_reset", &real.stream_reset);
    library_behind("h2o_http2_decode_frame", &real.decode_frame);
    library_behind("h2o_http2_conn_register_for_proceed_callback", &real.register_for_proceed);
}

bool guard_is_in_place(void)
{
    static const char *const names[] = {"h2o_http2_update_peer_settings",
                                        "h2o_http2_stream_send_pending_data",
                                        "h2o_http2_stream_reset",
                                        "h2o_http2_decode_frame",
                                        "h2o_http2_conn_register_for_proceed_callback",
                                        NULL};
    return guard_hpack_is_in_place() && library_is_overruled(names);
}

int guard_calm(struct server *s)
{
    s->counters.guarded++;
    return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
}

static struct conn *conn_of_http2(const h2o_http2_conn_t *h2)
{
    return h2->sock->on_close.data;
}

// -- early answers ----------------------------------------------------------

static struct call *find_early(const struct conn *conn, uint32_t stream_id)
{
    if (conn->guard.early == 0)
        return NULL;
    for (h2o_linklist_t *at = conn->calls.next; at != &conn->calls; at = at->next) {
        struct call *c = H2O_STRUCT_FROM_MEMBER(struct call, link, at);
        if (c->early &&
            H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, c->req)->stream_id == stream_id)
            return c;
    }
    return NULL;
}

// libh2o does nothing about it: the acknowledgement of settings.
static void make_void(h2o_http2_frame_t *frame)
{
    frame->type = H2O_HTTP2_FRAME_TYPE_SETTINGS;
    frame->flags = H2O_HTTP2_FRAME_FLAG_ACK;
    frame->stream_id = 0;
    frame->length = 0;
}

// DATA that libh2o does not get to see has been taken all the same.
static void credit(h2o_http2_conn_t *h2, const h2o_http2_frame_t *frame)
{
    if (frame->length == 0)
        return;
    h2o_http2_encode_window_update_frame(&h2->_write.buf, 0, (int32_t)frame->length);
    h2o_http2_conn_request_write(h2);
}

static uint32_t *find_upload(struct guard *g, uint32_t stream_id)
{
    for (size_t i = 0; i < GUARD_UPLOADS_MAX; i++)
        if (g->uploads[i] == stream_id)
            return &g->uploads[i];
    return NULL;
}

static void ask_to_stop(h2o_http2_conn_t *h2, uint32_t stream_id)
{
    h2o_http2__encode_rst_stream_frame(&h2->_write.buf, stream_id, 0);
    h2o_http2_conn_request_write(h2);
}

// The answer is out, the body is not in.
static void end_early(h2o_http2_conn_t *h2, const h2o_http2_stream_t *stream)
{
    struct conn *conn = conn_of_http2(h2);
    if (find_early(conn, stream->stream_id) == NULL)
        return;
    uint32_t *place = find_upload(&conn->guard, 0);
    if (place != NULL)
        *place = stream->stream_id;
    else
        h2o_http2__encode_rst_stream_frame(&h2->_write.buf, stream->stream_id, 0);
}

// False when somebody wants it.
static bool swallow(struct conn *conn, h2o_http2_conn_t *h2, h2o_http2_frame_t *frame)
{
    struct guard *g = &conn->guard;
    struct call *c = find_early(conn, frame->stream_id);
    uint32_t *upload = frame->stream_id == 0 ? NULL : find_upload(g, frame->stream_id);
    if (c == NULL && upload == NULL)
        return false;
    bool is_last = (frame->flags & H2O_HTTP2_FRAME_FLAG_END_STREAM) != 0;
    g->swallowed += frame->length;
    if (c != NULL && is_last) {
        c->early = false;
        g->early--;
    } else if (upload != NULL && (is_last || g->swallowed > SWALLOW_MAX)) {
        *upload = 0;
        if (!is_last)
            ask_to_stop(h2, frame->stream_id);
    }
    credit(h2, frame);
    make_void(frame);
    return true;
}

// -- requests in the making ---------------------------------------------------

// The length of the head is kept in a field that only pushed streams use.
static uint32_t *head_bytes(h2o_http2_stream_t *stream)
{
    return &stream->push.parent_stream_id;
}

static int add_bytes(struct conn *conn, size_t bytes)
{
    conn->guard.pending_bytes += bytes;
    return conn->guard.pending_bytes <= BODIES_MAX * conn->server->options.max_body
               ? 0
               : guard_calm(conn->server);
}

int guard_head_came(struct conn *conn, h2o_http2_stream_t *stream, size_t len)
{
    *head_bytes(stream) = (uint32_t)len;
    return add_bytes(conn, len);
}

static void forget_bytes(struct guard *g, h2o_http2_stream_t *stream, size_t body)
{
    g->pending_bytes -= *head_bytes(stream) + body;
    *head_bytes(stream) = 0;
}

void guard_call_began(struct guard *g, const struct call *c)
{
    g->early += c->early;
    if (c->conn->http2)
        forget_bytes(g, H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, c->req),
                     c->req->entity.len);
}

// -- frames -----------------------------------------------------------------

static uint32_t data_length(const h2o_http2_frame_t *frame)
{
    bool padded = (frame->flags & H2O_HTTP2_FRAME_FLAG_PADDED) != 0 && frame->length > 0;
    uint32_t around = padded ? 1U + frame->payload[0] : 0;
    return frame->length > around ? frame->length - around : 0;
}

// Many bodies in the making on one connection are bounded together, too.
static int take_data(struct conn *conn, h2o_http2_conn_t *h2, h2o_http2_frame_t *frame)
{
    const size_t max_body = conn->server->options.max_body;
    if (swallow(conn, h2, frame))
        return 0;
    h2o_http2_stream_t *stream = h2o_http2_conn_get_stream(h2, frame->stream_id);
    if (stream == NULL || stream->state != H2O_HTTP2_STREAM_STATE_RECV_BODY)
        return 0;
    if (stream->_req_body->size + data_length(frame) <= max_body)
        return add_bytes(conn, data_length(frame));
    conn->refuse = (struct refusal){.status = 413,
                                    .early = (frame->flags & H2O_HTTP2_FRAME_FLAG_END_STREAM) == 0};
    stream->_expected_content_length = SIZE_MAX;
    credit(h2, frame);
    frame->length = 0;
    frame->flags = H2O_HTTP2_FRAME_FLAG_END_STREAM;
    return 0;
}

static void take_reset(struct guard *g, uint32_t stream_id)
{
    uint32_t *upload = stream_id == 0 ? NULL : find_upload(g, stream_id);
    if (upload != NULL)
        *upload = 0;
}

// A draining connection has named the last stream that it will answer; the client
// sends what lies beyond somewhere else.
static void take_headers(struct conn *conn, h2o_http2_frame_t *frame)
{
    if (conn->goaway != GOAWAY_LAST || frame->stream_id <= conn->last_stream)
        return;
    conn->guard.skipping = (frame->flags & H2O_HTTP2_FRAME_FLAG_END_HEADERS) == 0;
    make_void(frame);
}

// The CONTINUATION flood: a block is bounded while it grows, not only when it ends.
static int take_continuation(struct conn *conn, const h2o_http2_conn_t *h2,
                             h2o_http2_frame_t *frame)
{
    if (conn->guard.skipping) {
        conn->guard.skipping = (frame->flags & H2O_HTTP2_FRAME_FLAG_END_HEADERS) == 0;
        make_void(frame);
    } else if (h2->_headers_unparsed != NULL &&
               h2->_headers_unparsed->size + frame->length > GUARD_BLOCK_MAX) {
        return guard_calm(conn->server);
    }
    return 0;
}

static bool is_idle(const h2o_http2_frame_t *frame)
{
    switch (frame->type) {
    case H2O_HTTP2_FRAME_TYPE_DATA:
    case H2O_HTTP2_FRAME_TYPE_CONTINUATION:
        return frame->length == 0 && (frame->flags & (H2O_HTTP2_FRAME_FLAG_END_STREAM |
                                                      H2O_HTTP2_FRAME_FLAG_END_HEADERS)) == 0;
    case H2O_HTTP2_FRAME_TYPE_HEADERS:
        return false;
    default:
        return true;
    }
}

static int take_frame(struct conn *conn, h2o_http2_conn_t *h2, h2o_http2_frame_t *frame)
{
    struct guard *g = &conn->guard;
    g->frames++;
    conn->refuse.status = 0;
    if (is_idle(frame) && ++g->idle_frames > IDLE_FRAMES_MAX)
        return guard_calm(conn->server);
    switch (frame->type) {
    case H2O_HTTP2_FRAME_TYPE_DATA:
        return take_data(conn, h2, frame);
    case H2O_HTTP2_FRAME_TYPE_HEADERS:
        take_headers(conn, frame);
        return 0;
    case H2O_HTTP2_FRAME_TYPE_RST_STREAM:
        take_reset(g, frame->stream_id);
        return 0;
    case H2O_HTTP2_FRAME_TYPE_CONTINUATION:
        return take_continuation(conn, h2, frame);
    default:
        // One of an unknown type costs libh2o a line on stderr, and with it the
        // whole process when nobody reads that. Inside a header block it is an error.
        if (frame->type >= UNKNOWN_FRAME && h2->_headers_unparsed == NULL)
            make_void(frame);
        return 0;
    }
}

ssize_t h2o_http2_decode_frame(h2o_http2_frame_t *frame, const uint8_t *src, size_t len,
                               const h2o_http2_settings_t *host_settings, const char **err_desc)
{
    struct conn *conn = intake_conn(src);
    // Rapid Reset, MadeYouReset: whatever else the client has sent is not worth a look.
    if (conn->doomed)
        return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
    if (conn->guard.resets > RESETS_MAX)
        return guard_calm(conn->server);
    ssize_t taken = real.decode_frame(frame, src, len, host_settings, err_desc);
    if (taken < 0)
        return taken;
    int error = take_frame(conn, conn->sock->data, frame);
    return error != 0 ? error : taken;
}

// -- windows and streams ----------------------------------------------------

// The peer may allow more than we believe: sending less is always legal.
int h2o_http2_update_peer_settings(h2o_http2_settings_t *settings, const uint8_t *src, size_t len,
                                   const char **err_desc)
{
    h2o_http2_conn_t *h2 = H2O_STRUCT_FROM_MEMBER(h2o_http2_conn_t, peer_settings, settings);
    uint32_t table_before = settings->header_table_size;
    int error = real.update_peer_settings(settings, src, len, err_desc);
    if (error != 0)
        return error;
    if (settings->initial_window_size > WINDOW_MAX)
        settings->initial_window_size = WINDOW_MAX;
    if (table_before < GUARD_TABLE_MAX || settings->header_table_size < GUARD_TABLE_MAX)
        conn_of_http2(h2)->guard.table_changed = true;
    return 0;
}

// An answer without a body needs no window (RFC 9113, 6.9.1).
void h2o_http2_conn_register_for_proceed_callback(h2o_http2_conn_t *h2, h2o_http2_stream_t *stream)
{
    if (stream->state == H2O_HTTP2_STREAM_STATE_SEND_BODY_IS_FINAL && stream->_data.size == 0 &&
        stream->output_window._avail <= 0)
        stream->output_window._avail = WINDOW_DONE;
    real.register_for_proceed(h2, stream);
}

// The assertion in connection.c:332. A stream that has given its last byte to a
// write waits in a list for the end of that write. When its window was 0 and the
// peer opens it just then, libh2o wants to schedule it once more, finds it in the
// list, and aborts. Such a stream sends nothing any more, so what its window is
// called does not matter: it never is 0. (Windows of any size are fine for live
// streams.)
void h2o_http2_stream_send_pending_data(h2o_http2_conn_t *h2, h2o_http2_stream_t *stream)
{
    struct guard *g = &conn_of_http2(h2)->guard;
    uint64_t before = stream->req.bytes_sent;
    real.send_pending_data(h2, stream);
    g->data_out += stream->req.bytes_sent - before;
    pay_back(&g->idle_frames, IDLE_FRAMES_A_FRAME);
    if (stream->state != H2O_HTTP2_STREAM_STATE_END_STREAM)
        return;
    stream->output_window._avail = WINDOW_DONE;
    end_early(h2, stream);
}

// Rapid Reset, MadeYouReset: both sides' reasons to throw a stream away end here.
void h2o_http2_stream_reset(h2o_http2_conn_t *h2, h2o_http2_stream_t *stream)
{
    struct guard *g = &conn_of_http2(h2)->guard;
    g->resets++;
    if (stream->state <= H2O_HTTP2_STREAM_STATE_RECV_BODY)
        forget_bytes(g, stream, stream->_req_body == NULL ? 0 : stream->_req_body->size);
    g->resetting = true;
    real.stream_reset(h2, stream);
    g->resetting = false;
}

#else

bool guard_is_in_place(void)
{
    return true;
}

void guard_call_began(struct guard *g, const struct call *c)
{
    g->early += c->early;
}

#endif
