// SPDX-License-Identifier: Apache-2.0
// The record of one connection, from accept to the close of its handle.
//
// libh2o owns the socket and tells us of its end through on_close; the record's
// memory is the uv handle's, so it goes when that is closed. A connection that
// we end while its client may still be sending must not just be closed: unread
// bytes turn the close into a reset, which can overtake and destroy the answer.
// Then a duplicate of the descriptor lingers (linger.c) and the connection
// counts as open until that is over.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http/http_private.h"

void conn_hold(struct conn *conn)
{
    conn->deferred_count++;
}

void conn_release(struct conn *conn)
{
    if (--conn->deferred_count == 0 && conn->closed)
        free(conn);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct conn *conn = CM_CONTAINER_OF(handle, struct conn, tcp);
    conn->closed = true;
    if (conn->deferred_count == 0)
        free(conn);
}

// libh2o has closed the socket; the handle follows in a later turn.
static void on_close(void *data)
{
    struct conn *conn = data;
    conn->sock = NULL;
    intake_forget(conn);
    outlet_forget(conn);
    SSL_CTX_free(conn->tls);
    h2o_linklist_unlink(&conn->link);
    if (conn->linger_fd >= 0)
        linger_start(conn->server, conn->linger_fd);
    else
        server_conn_gone(conn->server);
}

void conn_start(struct server *s, int fd, struct tls *tls)
{
    struct conn *conn = xcalloc(1, sizeof(*conn) + s->options.connection_memory);
    conn->server = s;
    conn->linger_fd = -1;
    conn->accepted_ms = uv_now(s->loop);
    conn->idle_since_ms = conn->accepted_ms;
    h2o_linklist_init_anchor(&conn->calls);
    uv_tcp_init(s->loop, &conn->tcp);
    if (uv_tcp_open(&conn->tcp, fd) != 0) {
        close(fd);
        uv_close((uv_handle_t *)&conn->tcp, on_handle_closed);
        return;
    }
    conn->sock = h2o_uv_socket_create((uv_stream_t *)&conn->tcp, on_handle_closed);
    conn->sock->on_close.cb = on_close;
    conn->sock->on_close.data = conn;
    h2o_linklist_insert(&s->conns, &conn->link);
    s->counters.accepted++;
    s->counters.open++;
    conn->tls = tls == NULL ? NULL : tls_hold(tls);
    s->accept.ssl_ctx = conn->tls; // looked at by this call only
    h2o_accept(&s->accept, conn->sock);
}

struct conn *conn_at(h2o_linklist_t *link)
{
    return H2O_STRUCT_FROM_MEMBER(struct conn, link, link);
}

struct conn *conn_of_request(const h2o_req_t *req)
{
    return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

void conn_call_began(struct conn *conn, struct call *c)
{
    h2o_linklist_insert(&conn->calls, &c->link);
    conn->call_count++;
    conn->requests++;
    conn->head_done = false;
    guard_call_began(&conn->guard, c);
    conn->server->counters.requests++;
    conn->server->counters.in_flight++;
}

static int unread_bytes(int fd)
{
    int count = 0;
    return ioctl(fd, FIONREAD, &count) == 0 ? count : 0;
}

void conn_prepare_linger(struct conn *conn)
{
    if (conn->linger_fd < 0 && !conn->server->cut)
        conn->linger_fd = fcntl(h2o_socket_get_fd(conn->sock), F_DUPFD_CLOEXEC, 0);
}

// Is it the last of its connection? (HTTP/2 does not end one with a request.)
static bool is_last(const struct call *c)
{
    return c->answered && !c->conn->http2 && c->req->http1_is_persistent == 0;
}

void conn_call_ended(struct conn *conn, struct call *c)
{
    h2o_linklist_unlink(&c->link);
    conn->call_count--;
    if (c->answered)
        pressure_answer_ended(conn);
    guard_call_ended(&conn->guard, c);
    conn->server->counters.in_flight--;
    conn->idle_since_ms = uv_now(conn->server->loop);
    // The last chance to keep the descriptor: libh2o disposes of the request
    // before it closes the socket.
    if (is_last(c) && (c->refused || unread_bytes(h2o_socket_get_fd(conn->sock)) > 0))
        conn_prepare_linger(conn);
}

bool conn_is_quiet(const struct conn *conn)
{
    return conn->call_count == 0 && conn->sock->input->size == 0 &&
           unread_bytes(h2o_socket_get_fd(conn->sock)) == 0;
}

void conn_shutdown(struct conn *conn, int how)
{
    (void)shutdown(h2o_socket_get_fd(conn->sock), how);
}
