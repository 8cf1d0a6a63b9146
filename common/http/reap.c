// SPDX-License-Identifier: Apache-2.0
// The reaper walks over all connections once a second and ends those that hold a
// place without using it. libh2o's own timers do not: they stop while an answer is
// under way, and start anew with every byte.
//
// A connection is watched under up to three heads:
//
//   receiving: something has begun to arrive and is not whole. A head (HTTP/1's, or
//   HTTP/2's preface, frame or header block) has `head_timeout` from its first byte
//   on; so has a fresh connection. A body has to bring BODY_PACE in each such time,
//   and altogether no more time than the largest one would need at that pace.
//   sending: an answer waits for its reader. It has to take WRITE_PACE in each
//   `write_timeout`: what its kernel has acknowledged counts, not what ours has
//   buffered. Each answer has its own time besides, by its length, so that nobody
//   leaves one unread behind the others.
//   idle: no request, nothing arriving, nothing unread, whatever PINGs are sent.
//   HTTP/2 is told by GOAWAY first.
//
// A request that waits for our own handler is nobody's fault: it has its deadline
// there. To end is to shut the socket down; libh2o finds it at its end then, in a
// state that it knows.
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "common/http/http2.h"
#include "common/http/http_private.h"

enum { TICK_MIN_MS = 10, TICK_MAX_MS = 1000, BODY_PACE = 16 * 1024, WRITE_PACE = 4 * 1024 };

static void end(struct conn *conn)
{
    conn->doomed = true;
    conn->server->counters.reaped++;
    conn_shutdown(conn, SHUT_RDWR);
}

// -- receiving --------------------------------------------------------------

// What is arriving, and a number that changes when it has arrived. The first head
// of a connection is awaited since it was accepted.
struct arrival {
    enum { NOTHING, FIRST_HEAD, HEAD, BODY } kind;
    uint64_t key;
};

static struct arrival arrival_of_http1(const struct conn *conn)
{
    if (conn->call_count > 0)
        return (struct arrival){NOTHING, 0};
    if (conn->head_done)
        return (struct arrival){BODY, conn->requests};
    if (conn->requests == 0)
        return (struct arrival){FIRST_HEAD, 0};
    return (struct arrival){conn->sock->input->size > 0 ? HEAD : NOTHING, conn->requests};
}

static struct arrival arrival_of_http2(const struct conn *conn)
{
    const struct guard *g = &conn->guard;
    if (g->frames == 0)
        return (struct arrival){FIRST_HEAD, 0};
    switch (http2_receiving(conn)) {
    case HTTP2_FRAME:
        return (struct arrival){HEAD, g->frames};
    case HTTP2_BLOCK:
        return (struct arrival){HEAD, g->blocks};
    case HTTP2_BODY:
        return (struct arrival){BODY, conn->requests};
    default:
        return (struct arrival){NOTHING, 0};
    }
}

// Has it taken too long? Only a clock that runs for the same arrival counts.
static bool is_overdue(struct conn *conn, struct arrival a, uint64_t now)
{
    const struct server_options *o = &conn->server->options;
    struct watch *w = &conn->receiving;
    if (a.kind == NOTHING || !w->on || w->key != a.key || w->kind != (int)a.kind) {
        uint64_t start = a.kind == FIRST_HEAD ? conn->accepted_ms : now;
        *w = (struct watch){a.kind != NOTHING, (int)a.kind, start, now, a.key, conn->bytes_in};
    }
    if (a.kind == NOTHING)
        return false;
    if (a.kind != BODY)
        return now - w->since_ms >= o->head_timeout_ms;
    if (conn->bytes_in - w->mark >= BODY_PACE) {
        w->mark = conn->bytes_in;
        w->mark_ms = now;
    }
    return now - w->mark_ms >= o->head_timeout_ms ||
           now - w->since_ms >= o->head_timeout_ms * (1 + o->max_body / BODY_PACE);
}

// -- sending ----------------------------------------------------------------

static bool is_sending(const struct conn *conn)
{
    return conn->answered_count > 0 ||
           uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp) > 0;
}

// Bytes of answers that the peer has acknowledged, more or less (framing and TLS
// are in what is still on its way).
static int64_t taken_by_peer(const struct conn *conn)
{
    int unacked = 0;
    (void)ioctl(h2o_socket_get_fd(conn->sock), SIOCOUTQ, &unacked);
    uint64_t given = conn->http2 ? conn->guard.data_out : conn->sock->bytes_written;
    return (int64_t)given - unacked -
           (int64_t)uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp);
}

static bool has_overdue_answer(struct conn *conn, uint64_t now)
{
    for (h2o_linklist_t *at = conn->calls.next; at != &conn->calls; at = at->next) {
        const struct call *c = H2O_STRUCT_FROM_MEMBER(struct call, link, at);
        if (c->answered && now >= c->due_ms)
            return true;
    }
    return false;
}

static bool is_unread(struct conn *conn, uint64_t now)
{
    struct watch *w = &conn->sending;
    if (!is_sending(conn)) {
        w->on = false;
        return false;
    }
    int64_t taken = taken_by_peer(conn);
    if (!w->on || taken - (int64_t)w->mark >= WRITE_PACE)
        *w = (struct watch){true, 0, now, now, 0, (uint64_t)taken};
    return now - w->mark_ms >= conn->server->options.write_timeout_ms ||
           has_overdue_answer(conn, now);
}

uint64_t reap_answer_ms(const struct server *s, size_t length)
{
    return s->options.write_timeout_ms * (1 + length / WRITE_PACE);
}

// -- idle -------------------------------------------------------------------

static void end_idle(struct conn *conn)
{
    if (!conn->http2 || conn->goaway == GOAWAY_LAST)
        end(conn);
    else
        http2_goaway(conn, true);
}

static void look(struct conn *conn, uint64_t now)
{
    const struct server_options *o = &conn->server->options;
    if (conn->doomed)
        return;
    if (conn->let_go) {
        if (now - conn->let_go_ms >= o->write_timeout_ms)
            end(conn);
        return;
    }
    guard_forgive(&conn->guard, now - conn->server->reaped_ms);
    struct arrival a = conn->http2 ? arrival_of_http2(conn) : arrival_of_http1(conn);
    bool overdue = is_overdue(conn, a, now), unread = is_unread(conn, now);
    if (overdue || unread)
        end(conn);
    else if (a.kind == NOTHING && conn->call_count == 0 && !conn->sending.on &&
             now - conn->idle_since_ms >= o->idle_timeout_ms)
        end_idle(conn);
}

static void on_tick(uv_timer_t *timer)
{
    struct server *s = CM_CONTAINER_OF(timer, struct server, reap_timer);
    uint64_t now = uv_now(s->loop);
    for (h2o_linklist_t *at = s->conns.next; at != &s->conns; at = at->next)
        look(conn_at(at), now);
    s->reaped_ms = now;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void reap_start(struct server *s)
{
    const struct server_options *o = &s->options;
    CM_ASSERT(o->idle_timeout_ms > 0 && o->head_timeout_ms > 0 && o->write_timeout_ms > 0);
    uint32_t tick = least(o->idle_timeout_ms, least(o->head_timeout_ms, o->write_timeout_ms)) / 8;
    tick = least(tick < TICK_MIN_MS ? TICK_MIN_MS : tick, TICK_MAX_MS);
    s->reaped_ms = uv_now(s->loop);
    uv_timer_start(&s->reap_timer, on_tick, tick, tick);
}
