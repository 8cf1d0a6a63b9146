// SPDX-License-Identifier: Apache-2.0
// Where bytes come in. libh2o's parsers are given bytes and not told whose they
// are; the rules of guard.c and strict.c belong to a connection. So the functions
// through which libh2o begins to read, changes the protocol and lets go of a
// socket pass through here (the program's definitions win over a shared library's,
// also for calls from inside that library), and the connection that is being read
// is known: parsing happens either in a read callback or right after a start of
// reading, never anywhere else.
//
// For HTTP/1 libh2o stops reading while it answers a request, which costs libuv two
// calls of epoll_ctl when it begins again. Nearly always nothing comes meanwhile. So
// a stop is only noted, and done when there is something to read after all: libuv asks
// for a buffer before it reads, gets none, says so and has read nothing. In the same
// way a read is put off to the next turn when too many answers are on their way.
//
// hiredis' sockets and everything else that reads by libuv pass untouched.
#include <h2o.h>
#include <h2o/http2.h>

#include "common/http/http2.h"
#include "common/http/http_private.h"
#include "common/http/library.h"

static struct {
    __typeof__(uv_read_start) *read_start;
    __typeof__(uv_read_stop) *read_stop;
    __typeof__(h2o_socket_close) *socket_close;
    __typeof__(h2o_http2_accept) *http2_accept;
} real;

__attribute__((constructor)) static void find_real(void)
{
    library_behind("uv_read_start", &real.read_start);
    library_behind("uv_read_stop", &real.read_stop);
    library_behind("h2o_socket_close", &real.socket_close);
    library_behind("h2o_http2_accept", &real.http2_accept);
}

bool intake_is_in_place(void)
{
    static const char *const names[] = {"uv_read_start",
                                        "uv_read_stop",
                                        "h2o_socket_close",
                                        "h2o_http2_accept",
                                        "h2o_http2_handle_upgrade",
                                        NULL};
    return library_is_overruled(names);
}

static struct conn *reading;

struct conn *intake_conn(const void *bytes)
{
    CM_ASSERT(reading != NULL && reading->sock->input->bytes == (const char *)bytes);
    return reading;
}

struct conn *intake_reading(void)
{
    return reading;
}

void intake_forget(const struct conn *conn)
{
    if (reading == conn)
        reading = NULL;
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct conn *conn = CM_CONTAINER_OF(handle, struct conn, tcp);
    if (conn->reading == READING_NOTED || pressure_defers(conn))
        *buf = uv_buf_init(NULL, 0);
    else
        conn->alloc_cb(handle, size, buf);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct conn *conn = CM_CONTAINER_OF(stream, struct conn, tcp);
    if (conn->reading == READING_NOTED) {
        conn->reading = READING_NOT;
        (void)real.read_stop(stream);
        return;
    }
    if (count == UV_ENOBUFS) // of on_alloc; epoll says again that there is something
        return;
    if (count < 0)
        conn->reading = READING_NOT; // libuv has stopped by itself
    // "Nothing now", which libuv says after a read that filled its buffer to the
    // brim. libh2o takes it for a broken connection under TLS.
    if (count == 0)
        return;
    // After close_notify libh2o would keep what comes and never look at it.
    if (count > 0 && conn->peer_done)
        count = UV_EOF;
    reading = conn;
    if (count > 0)
        conn->bytes_in += (uint64_t)count;
    conn->read_cb(stream, count, buf);
    // What comes after an error is not looked at any more, but libh2o would keep it
    // for as long as its last write takes, which is up to the client.
    if (conn->http2 && !conn->let_go && http2_is_over(conn))
        h2o_socket_read_stop(conn->sock);
}

int uv_read_start(uv_stream_t *stream, uv_alloc_cb alloc_cb, uv_read_cb read_cb)
{
    if (!library_holds((const void *)(uintptr_t)read_cb))
        return real.read_start(stream, alloc_cb, read_cb);
    struct conn *conn = CM_CONTAINER_OF(stream, struct conn, tcp);
    conn->read_cb = read_cb;
    conn->alloc_cb = alloc_cb;
    reading = conn;
    bool goes_on = conn->reading == READING_NOTED;
    conn->reading = READING;
    return goes_on ? 0 : real.read_start(stream, on_alloc, on_read);
}

// A stream that has begun by us.
static bool is_ours(const uv_stream_t *stream)
{
    return stream->read_cb == on_read;
}

int uv_read_stop(uv_stream_t *stream)
{
    if (!is_ours(stream))
        return real.read_stop(stream);
    struct conn *conn = CM_CONTAINER_OF(stream, struct conn, tcp);
    if (conn->reading == READING)
        conn->reading = READING_NOTED;
    return 0;
}

// From here on nothing of the connection's protocol may be looked at; under TLS
// the socket lives on until its last record is out.
void h2o_socket_close(h2o_socket_t *sock)
{
    struct conn *conn = sock->on_close.data;
    conn->let_go = true;
    conn->let_go_ms = uv_now(conn->server->loop);
    real.socket_close(sock);
}

void h2o_http2_accept(h2o_accept_ctx_t *ctx, h2o_socket_t *sock, struct timeval connected_at)
{
    struct conn *conn = sock->on_close.data;
    conn->http2 = true;
    real.http2_accept(ctx, sock, connected_at);
}

// "Upgrade: h2c" is withdrawn (RFC 9113, 3.1), no client of ours needs it, and
// libh2o crashes when it shuts down in the middle of one. The request is answered
// as if the header were not there.
int h2o_http2_handle_upgrade(h2o_req_t *req, struct timeval connected_at)
{
    (void)req;
    (void)connected_at;
    return -1;
}
