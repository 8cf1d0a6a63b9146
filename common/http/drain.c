// SPDX-License-Identifier: Apache-2.0
// Saying goodbye to every connection.
//
// HTTP/1: each ends after its answer; one that stays quiet for a second is told
// that we are done (half-closed), and closed after another.
// HTTP/2: told at once that an end is near (GOAWAY), after a second which stream
// is the last one, as soon as nothing is half received; when nothing is open and
// all is written, half-closed and closed likewise.
//
// Whoever stays half received or unread is cut by the reaper, sooner or later, or
// by server_cut: a drain has no deadline of its own.
//
//   draining -> drained: no connection is left; on_drained runs once, from the timer.
#include "common/http/http2.h"
#include "common/http/http_private.h"

enum {
    TICK_MS = 50,
    QUIET_MS = 1000, // a quiet connection is half-closed after this
    CLOSED_MS = 1000 // and closed after this, when its client keeps it
};

static void half_close(struct conn *conn, uint64_t now)
{
    conn->half_closed = true;
    conn->half_closed_ms = now;
    conn_shutdown(conn, SHUT_WR);
}

static void drain_http1(struct conn *conn, uint64_t now)
{
    uint64_t start = conn->server->drain_started_ms;
    uint64_t since = conn->idle_since_ms > start ? conn->idle_since_ms : start;
    if (conn_is_quiet(conn) && now - since >= QUIET_MS)
        half_close(conn, now);
}

static void drain_http2(struct conn *conn, uint64_t now)
{
    bool greeted = conn->guard.frames > 0; // ours must not be the first frame
    if (conn->goaway == GOAWAY_NOT && greeted)
        http2_goaway(conn, false);
    if (conn->goaway != GOAWAY_LAST && now - conn->server->drain_started_ms >= QUIET_MS &&
        http2_receiving(conn) == HTTP2_NOTHING)
        http2_goaway(conn, true);
    else if (conn->goaway == GOAWAY_LAST && http2_is_done(conn))
        half_close(conn, now);
}

static void drain_connection(struct conn *conn, uint64_t now)
{
    if (conn->half_closed) {
        if (now - conn->half_closed_ms >= CLOSED_MS)
            conn_shutdown(conn, SHUT_RDWR);
    } else if (!conn->let_go) {
        if (conn->http2)
            drain_http2(conn, now);
        else
            drain_http1(conn, now);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct server *s = CM_CONTAINER_OF(timer, struct server, drain_timer);
    if (s->counters.open == 0) {
        uv_timer_stop(timer);
        s->drained = true;
        s->on_drained(s->on_drained_ctx);
        return;
    }
    for (h2o_linklist_t *at = s->conns.next; at != &s->conns; at = at->next)
        drain_connection(conn_at(at), uv_now(s->loop));
}

void drain_start(struct server *s)
{
    s->draining = true;
    s->drain_started_ms = uv_now(s->loop);
    h2o_context_request_shutdown(&s->context);
    uv_timer_start(&s->drain_timer, on_tick, s->counters.open == 0 ? 0 : TICK_MS, TICK_MS);
    for (h2o_linklist_t *at = s->conns.next; at != &s->conns; at = at->next)
        drain_connection(conn_at(at), uv_now(s->loop));
}

void drain_conn_gone(struct server *s)
{
    if (s->draining && !s->drained && s->counters.open == 0)
        uv_timer_start(&s->drain_timer, on_tick, 0, TICK_MS);
}
