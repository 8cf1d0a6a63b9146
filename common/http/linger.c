// SPDX-License-Identifier: Apache-2.0
// The end of a connection whose client may still be sending: say that we are
// done, read and forget what comes, close at its end or after two seconds.
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http/http_private.h"

enum { LINGER_MS = 2000, LINGER_READ = 64 * 1024, LINGER_READS_A_TURN = 16 };

struct lingering {
    uv_poll_t poll;
    uv_timer_t timer;
    struct server *server;
    h2o_linklist_t link;
    int fd;
    bool poll_closed, timer_closed;
};

static void free_when_closed(struct lingering *l)
{
    if (l->poll_closed && l->timer_closed)
        free(l);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct lingering *l = CM_CONTAINER_OF(handle, struct lingering, poll);
    l->poll_closed = true;
    free_when_closed(l);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct lingering *l = CM_CONTAINER_OF(handle, struct lingering, timer);
    l->timer_closed = true;
    free_when_closed(l);
}

static void end(struct lingering *l)
{
    struct server *s = l->server;
    uv_close((uv_handle_t *)&l->poll, on_poll_closed);
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
    close(l->fd);
    h2o_linklist_unlink(&l->link);
    server_conn_gone(s);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct lingering *l = CM_CONTAINER_OF(poll, struct lingering, poll);
    static char forgotten[LINGER_READ];
    for (int i = 0; status == 0 && i < LINGER_READS_A_TURN; i++) {
        ssize_t got = recv(l->fd, forgotten, sizeof(forgotten), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            status = UV_EOF;
        else if (got < 0)
            return;
    }
    if (status != 0)
        end(l);
}

static void on_timeout(uv_timer_t *timer)
{
    end(CM_CONTAINER_OF(timer, struct lingering, timer));
}

// The kernel may have no memory left to watch one more, or its user no right to: then
// the client does without the courtesy.
void linger_start(struct server *s, int fd)
{
    struct lingering *l = xcalloc(1, sizeof(*l));
    (void)shutdown(fd, SHUT_WR);
    if (uv_poll_init(s->loop, &l->poll, fd) != 0) {
        free(l);
        close(fd);
        server_conn_gone(s);
        return;
    }
    l->server = s;
    l->fd = fd;
    h2o_linklist_insert(&s->lingers, &l->link);
    uv_timer_init(s->loop, &l->timer);
    uv_poll_start(&l->poll, UV_READABLE, on_readable);
    uv_timer_start(&l->timer, on_timeout, LINGER_MS, 0);
}

void linger_end_all(struct server *s)
{
    while (!h2o_linklist_is_empty(&s->lingers))
        end(H2O_STRUCT_FROM_MEMBER(struct lingering, link, s->lingers.next));
}
