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
// there, remember the call as early, swallow what still comes of the body, and
// close the stream by RST_STREAM(NO_ERROR) behind the answer (RFC 9113, 8.1).
#include "common/http/guard.h"

#include <string.h>

#include "common/http/http_private.h"
#include "common/http/ids.h"
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
    // Request bodies in the making, in largest ones.
    BODIES_MAX = 8,
    // The largest initial window that is believed, and the window of a stream that
    // has nothing more to send: greater, so that no change of the former ever
    // brings it down to 0.
    WINDOW_MAX = 1 << 29,
    WINDOW_DONE = WINDOW_MAX + 1,
    TABLE_MAX = 4096,
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

void guard_call_began(struct guard *g, const struct call *c)
{
    g->early += c->early;
    if (c->conn->http2)
        g->body_bytes -= c->req->entity.len;
}

void guard_call_ended(struct guard *g, const struct call *c)
{
    g->early -= c->early;
    if (c->answered && !g->resetting)
        pay_back(&g->resets, 1);
}

#if CM_HTTP2_GUARD

static struct {
    __typeof__(h2o_hpack_parse_headers) *parse_headers;
    __typeof__(h2o_http2_update_peer_settings) *update_peer_settings;
    __typeof__(h2o_http2_stream_send_pending_data) *send_pending_data;
    __typeof__(h2o_http2_stream_reset) *stream_reset;
    __typeof__(h2o_http2_decode_frame) *decode_frame;
    __typeof__(h2o_http2_conn_register_for_proceed_callback) *register_for_proceed;
    __typeof__(h2o_hpack_flatten_response) *flatten_response;
} real;

__attribute__((constructor)) static void find_real(void)
{
    library_behind("h2o_hpack_parse_headers", &real.parse_headers);
    library_behind("h2o_http2_update_peer_settings", &real.update_peer_settings);
    library_behind("h2o_http2_stream_send_pending_data", &real.send_pending_data);
    library_behind("h2o_http2_stream_reset", &real.stream_reset);
    library_behind("h2o_http2_decode_frame", &real.decode_frame);
    library_behind("h2o_http2_conn_register_for_proceed_callback", &real.register_for_proceed);
    library_behind("h2o_hpack_flatten_response", &real.flatten_response);
}

static struct conn *conn_of_http2(const h2o_http2_conn_t *h2)
{
    return h2->sock->on_close.data;
}

static h2o_http2_stream_t *stream_of(h2o_req_t *req)
{
    return H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, req);
}

// -- early answers ----------------------------------------------------------

static struct call *find_early(const struct conn *conn, uint32_t stream_id)
{
    if (conn->guard.early == 0)
        return NULL;
    for (h2o_linklist_t *at = conn->calls.next; at != &conn->calls; at = at->next) {
        struct call *c = H2O_STRUCT_FROM_MEMBER(struct call, link, at);
        if (c->early && stream_of(c->req)->stream_id == stream_id)
            return c;
    }
    return NULL;
}

// DATA that libh2o does not get to see has been taken all the same.
static void credit(h2o_http2_conn_t *h2, const h2o_http2_frame_t *frame)
{
    if (frame->length == 0)
        return;
    h2o_http2_encode_window_update_frame(&h2->_write.buf, 0, (int32_t)frame->length);
    h2o_http2_conn_request_write(h2);
}

// libh2o does nothing about it: the acknowledgement of settings.
static void make_void(h2o_http2_frame_t *frame)
{
    frame->type = H2O_HTTP2_FRAME_TYPE_SETTINGS;
    frame->flags = H2O_HTTP2_FRAME_FLAG_ACK;
    frame->stream_id = 0;
    frame->length = 0;
}

static void end_early(h2o_http2_conn_t *h2, const h2o_http2_stream_t *stream)
{
    if (find_early(conn_of_http2(h2), stream->stream_id) != NULL)
        h2o_http2__encode_rst_stream_frame(&h2->_write.buf, stream->stream_id, 0);
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
    if (find_early(conn, frame->stream_id) != NULL) {
        credit(h2, frame);
        make_void(frame);
        return 0;
    }
    h2o_http2_stream_t *stream = h2o_http2_conn_get_stream(h2, frame->stream_id);
    if (stream == NULL || stream->state != H2O_HTTP2_STREAM_STATE_RECV_BODY)
        return 0;
    if (stream->_req_body->size + data_length(frame) <= max_body) {
        conn->guard.body_bytes += data_length(frame);
        return conn->guard.body_bytes <= BODIES_MAX * max_body ? 0
                                                               : H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
    }
    conn->refuse = (struct refusal){.status = 413,
                                    .early = (frame->flags & H2O_HTTP2_FRAME_FLAG_END_STREAM) == 0};
    stream->_expected_content_length = SIZE_MAX;
    credit(h2, frame);
    frame->length = 0;
    frame->flags = H2O_HTTP2_FRAME_FLAG_END_STREAM;
    return 0;
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
               h2->_headers_unparsed->size + frame->length > GUARD_HEAD_MAX) {
        return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
    } else if (h2->state >= H2O_HTTP2_CONN_STATE_HALF_CLOSED) {
        // libh2o would look at this frame again and again, for ever.
        return H2O_HTTP2_ERROR_PROTOCOL;
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
    case H2O_HTTP2_FRAME_TYPE_RST_STREAM:
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
        return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
    switch (frame->type) {
    case H2O_HTTP2_FRAME_TYPE_DATA:
        return take_data(conn, h2, frame);
    case H2O_HTTP2_FRAME_TYPE_HEADERS:
        take_headers(conn, frame);
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
    if (conn->guard.resets > RESETS_MAX || conn->doomed)
        return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
    ssize_t taken = real.decode_frame(frame, src, len, host_settings, err_desc);
    if (taken < 0)
        return taken;
    int error = take_frame(conn, conn->sock->data, frame);
    return error != 0 ? error : taken;
}

// -- header blocks ----------------------------------------------------------

static const uint8_t *skip_integer(const uint8_t *at, const uint8_t *end, unsigned bits,
                                   uint32_t *value)
{
    uint32_t full = (1U << bits) - 1;
    *value = *at++ & full;
    if (*value < full)
        return at;
    for (unsigned shift = 0; at < end && shift < 28; shift += 7) {
        *value += (uint32_t)(*at & 127) << shift;
        if ((*at++ & 128) == 0)
            return at;
    }
    return end;
}

static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end)
{
    uint32_t len;
    if (at == end)
        return end;
    at = skip_integer(at, end, 7, &len);
    return len < (size_t)(end - at) ? at + len : end;
}

// How many fields a block has (RFC 7541, 6), before anything is made of them: an
// index is one byte, and costs libh2o a hundred. A broken block is the parser's to
// refuse.
static unsigned count_fields(const uint8_t *at, const uint8_t *end)
{
    unsigned count = 0;
    while (at < end && count <= GUARD_FIELDS_MAX) {
        uint32_t index;
        uint8_t kind = *at;
        bool is_indexed = kind >= 0x80, is_size = !is_indexed && (kind & 0xE0) == 0x20;
        at = skip_integer(at, end, is_indexed ? 7 : is_size ? 5 : kind >= 0x40 ? 6 : 4, &index);
        if (!is_indexed && !is_size) {
            if (index == 0)
                at = skip_string(at, end);
            at = skip_string(at, end);
        }
        count += !is_size;
    }
    return count;
}

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
    bool is_head = pseudo != NULL; // not a trailer
    (void)digests;                 // a feature nobody asked for, a parser less
    // The HPACK bomb.
    if (len > GUARD_HEAD_MAX || count_fields(src, src + len) > GUARD_FIELDS_MAX)
        return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
    conn->guard.blocks++;
    pay_back(&conn->guard.idle_frames, IDLE_FRAMES_A_REQUEST);
    int error = real.parse_headers(req, table, src, len, pseudo, content_length, NULL, err_desc);
    if (error != 0 || !is_head)
        return error;
    if (!is_well_formed(req))
        refuse(conn, stream_of(req), 400, content_length);
    else if (*content_length != SIZE_MAX && *content_length > conn->server->options.max_body)
        refuse(conn, stream_of(req), 413, content_length);
    return 0;
}

// -- windows and streams ----------------------------------------------------

// libh2o's encoder keeps a table of 4,096 bytes, whatever the peer says that it has
// room for (RFC 7541, 4.2): a client with less cannot read its answers.
static void fit_table(h2o_http2_conn_t *h2, size_t size)
{
    h2o_hpack_header_table_t *table = &h2->_output_header_table;
    size = size < TABLE_MAX ? size : TABLE_MAX;
    if (size == table->hpack_capacity)
        return;
    h2o_hpack_dispose_header_table(table);
    *table = (h2o_hpack_header_table_t){.hpack_capacity = size};
    conn_of_http2(h2)->guard.table_changed = true;
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
    struct guard *g = &conn_of_http2(h2)->guard;
    uint8_t update[8];
    size_t start = (*buf)->size, update_len = 0;
    if (g->table_changed)
        update_len = put_table_size(update, table->hpack_capacity);
    g->table_changed = false;
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

// The peer may allow more than we believe: sending less is always legal.
int h2o_http2_update_peer_settings(h2o_http2_settings_t *settings, const uint8_t *src, size_t len,
                                   const char **err_desc)
{
    int error = real.update_peer_settings(settings, src, len, err_desc);
    if (error != 0)
        return error;
    if (settings->initial_window_size > WINDOW_MAX)
        settings->initial_window_size = WINDOW_MAX;
    fit_table(H2O_STRUCT_FROM_MEMBER(h2o_http2_conn_t, peer_settings, settings),
              settings->header_table_size);
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
    if (stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY)
        g->body_bytes -= stream->_req_body->size;
    g->resetting = true;
    real.stream_reset(h2, stream);
    g->resetting = false;
}

#endif
