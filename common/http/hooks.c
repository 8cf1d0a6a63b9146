// SPDX-License-Identifier: Apache-2.0
// The three places where libh2o calls us: handler, filter and logger of its one
// path.
//
// The handler takes every request that parsed; routing is ours, on the raw path
// (libh2o's own looks at a normalised one, in which %2F is a slash; so nothing is
// normalised, which is a tenth of what libh2o does for a small request). The filter
// runs only for responses that libh2o makes itself, because ours end its chain
// before it: it swaps the plain text of a 400, 413, 417 or 431 for what the owner
// says. The logger runs when a request is disposed of, answered or not.
#include <string.h>

#include "common/base/clock.h"
#include "common/http/http_private.h"

// Answers that a connection may wait for, or has made us wait for and left: HTTP/2
// has no more than 100 requests at a time, but a reset one goes on inside.
enum { WAITING_MAX = 128 };

struct hook_handler {
    h2o_handler_t super;
    struct server *server;
};

struct hook_filter {
    h2o_filter_t super;
    struct server *server;
};

struct hook_logger {
    h2o_logger_t super;
    struct server *server;
};

// In place of the library's (see intake.c). Its one path takes all requests, so what
// a path would be in normal form is of no use; where the query begins is.
h2o_iovec_t h2o_url_normalize_path(h2o_mem_pool_t *pool, const char *path, size_t len,
                                   size_t *query_at, size_t **norm_indexes)
{
    (void)pool;
    const char *mark = memchr(path, '?', len);
    *query_at = mark == NULL ? SIZE_MAX : (size_t)(mark - path);
    *norm_indexes = NULL;
    return h2o_iovec_init(H2O_STRLIT("/"));
}

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    struct server *s = ((struct hook_handler *)(void *)self)->server;
    struct conn *conn = conn_of_request(req);
    int status = conn->refuse.status;
    if (conn->deferred_count >= WAITING_MAX) {
        status = 503;
        s->counters.guarded += !conn->doomed;
        conn->doomed = true;
        conn_shutdown(conn, SHUT_RDWR);
    }
    if (status != 0)
        h2o_send_error_generic(req, status, "", "", H2O_SEND_ERROR_HTTP1_CLOSE_CONNECTION);
    else
        s->options.handler(s->options.ctx, call_begin(req));
    return 0;
}

// Sends other bytes than those that it is given.
struct refusal_stream {
    h2o_ostream_t super;
    const struct slice *parts;
    size_t part_count;
};

static void send_refusal(h2o_ostream_t *super, h2o_req_t *req, h2o_iovec_t *bufs, size_t count,
                         h2o_send_state_t state)
{
    (void)bufs;
    (void)count;
    struct refusal_stream *self = (struct refusal_stream *)(void *)super;
    h2o_ostream_send_next(super, req, (h2o_iovec_t *)(uintptr_t)self->parts, self->part_count,
                          state);
}

static void on_own_response(h2o_filter_t *super, h2o_req_t *req, h2o_ostream_t **slot)
{
    struct server *s = ((struct hook_filter *)(void *)super)->server;
    struct call *c = call_begin(req);
    struct reply r = {.status = req->res.status, .close = true};
    c->refused = true;
    s->options.refuse(s->options.ctx, c, &r);
    reply_prepare(c, &r);
    struct refusal_stream *stream =
        (struct refusal_stream *)(void *)h2o_add_ostream(req, sizeof(*stream), slot);
    stream->super.do_send = send_refusal;
    stream->parts = r.parts;
    stream->part_count = reply_has_body(c, r.status) ? r.part_count : 0;
    slot = &stream->super.next;
    h2o_setup_next_ostream(req, slot);
}

// libh2o reads the clock once a turn of the loop, so by its times what is answered in
// the turn in which it came took none.
static uint64_t duration_us(const struct call *c)
{
    const h2o_req_t *req = c->req;
    uint64_t handled_us = c->began_us > 0 ? clock_boot_us() - c->began_us : 0;
    const struct timeval *from = &req->timestamps.request_begin_at;
    const struct timeval *to = &req->timestamps.response_end_at;
    if (to->tv_sec == 0)
        to = h2o_get_timestamp(req->conn->ctx, NULL, NULL);
    int64_t us =
        h2o_timeval_subtract((struct timeval *)(uintptr_t)from, (struct timeval *)(uintptr_t)to);
    return us > (int64_t)handled_us ? (uint64_t)us : handled_us;
}

static void report_access(const struct server *s, const struct call *c)
{
    struct server_access access = {.method = call_method(c),
                                   .path = call_path(c),
                                   .status = c->answered && !c->abandoned ? c->req->res.status : 0,
                                   .note = c->note,
                                   .body_len = c->req->bytes_sent,
                                   .duration_us = duration_us(c),
                                   .http_version = c->req->version,
                                   .request_id = call_request_id(c)};
    s->options.on_access(s->options.ctx, &access);
}

static void on_dispose(h2o_logger_t *self, h2o_req_t *req)
{
    struct server *s = ((struct hook_logger *)(void *)self)->server;
    struct call *c = call_find(req);
    if (c == NULL)
        return;
    if (s->options.on_access != NULL)
        report_access(s, c);
    call_end(c);
}

void hooks_register(struct server *s, h2o_pathconf_t *path)
{
    struct hook_handler *handler = (void *)h2o_create_handler(path, sizeof(*handler));
    handler->super.on_req = on_request;
    handler->server = s;
    struct hook_filter *filter = (void *)h2o_create_filter(path, sizeof(*filter));
    filter->super.on_setup_ostream = on_own_response;
    filter->server = s;
    struct hook_logger *logger = (void *)h2o_create_logger(path, sizeof(*logger));
    logger->super.log_access = on_dispose;
    logger->server = s;
}
