// SPDX-License-Identifier: Apache-2.0
// The server: libh2o's configuration, accepting, cutting.
//
// One host with no path, so that every request lands on the fallback path.
//
// We accept ourselves instead of by uv_listen: sockets are shared with other
// processes, must be given up without closing them under anybody, and what is
// queued must be taken before that. The shutting down goes:
//
//   serving -> draining (drain.c): nothing is accepted any more, each connection
//   ends when what it has begun is answered.
//   -> cut (on request): everything is shut down at once; calls that nobody has
//   answered are answered into the void, because libh2o frees a request only
//   after an answer.
//   -> drained: no connection is left.
#include "common/http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http/http_private.h"
#include "common/http/library.h"

enum {
    ACCEPTS_A_TURN = 64,
    ACCEPT_PAUSE_MS = 100,
    NEVER_MS = 1000000000,
    QUEUE_MAX = 65536 // connections taken from a queue when draining
};

struct listener {
    uv_poll_t poll;
    struct server *server;
    h2o_linklist_t link;
    int fd;          // the caller's: a name, not used
    int own;         // its duplicate
    struct tls *tls; // NULL = cleartext
};

static struct listener *listener_of(h2o_linklist_t *link)
{
    return H2O_STRUCT_FROM_MEMBER(struct listener, link, link);
}

// -- creating ---------------------------------------------------------------

static void configure(struct server *s)
{
    h2o_config_init(&s->config);
    s->config.server_name = h2o_iovec_init(NULL, 0);
    s->config.max_request_entity_size = s->options.max_body;
    // Time is the reaper's business.
    s->config.http1.req_timeout = NEVER_MS;
    s->config.http2.idle_timeout = NEVER_MS;
    s->config.handshake_timeout = NEVER_MS;
    // In cleartext by prior knowledge only: see intake.c.
    s->config.http1.upgrade_to_http2 = s->options.http2;
    // The drain is ours (http2.c), and libh2o's timers would outlive the server.
    s->config.http2.callbacks.request_shutdown = NULL;
    // More than the streams that a client may open: requests never wait inside
    // libh2o, which aborts when a connection with waiting ones breaks.
    s->config.http2.max_concurrent_requests_per_connection = 256;
    h2o_hostconf_t *host =
        h2o_config_register_host(&s->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    host->http2.reprioritize_blocking_assets = 0;
    host->http2.push_preload = 0;
    hooks_register(s, &host->fallback_path);
    // Large bodies stay in memory: they are bounded by max_body, and the disk
    // may be read-only.
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX;
}

bool server_http2_is_safe(const char **build_id)
{
    *build_id = library_build_id();
    return library_is_verified();
}

static void seed_ids(struct server *s)
{
    unsigned char prefix[sizeof(s->id_prefix) / 2];
    util_random(prefix, sizeof(prefix));
    util_hex_encode(prefix, sizeof(prefix), s->id_prefix);
    util_random(&s->id_next, sizeof(s->id_next));
}

static void on_turn(uv_prepare_t *turn)
{
    pressure_turn_began(CM_CONTAINER_OF(turn, struct server, turn));
}

struct server *server_create(uv_loop_t *loop, const struct server_options *options)
{
    struct server *s = xcalloc(1, sizeof(*s));
    CM_ASSERT(intake_is_in_place() && strict_is_in_place() && guard_is_in_place());
    s->options = *options;
    s->loop = loop;
    seed_ids(s);
    configure(s);
    h2o_context_init(&s->context, loop, &s->config);
    s->accept.ctx = &s->context;
    s->accept.hosts = s->config.hosts;
    h2o_linklist_init_anchor(&s->listeners);
    h2o_linklist_init_anchor(&s->conns);
    h2o_linklist_init_anchor(&s->lingers);
    h2o_linklist_init_anchor(&s->deferreds);
    h2o_linklist_init_anchor(&s->ended_writes);
    uv_idle_init(loop, &s->later);
    uv_prepare_init(loop, &s->turn);
    uv_prepare_start(&s->turn, on_turn);
    uv_unref((uv_handle_t *)&s->turn);
    uv_timer_init(loop, &s->accept_pause);
    uv_timer_init(loop, &s->drain_timer);
    uv_timer_init(loop, &s->reap_timer);
    reap_start(s);
    // A client that leaves is an error of one write, never a signal.
    signal(SIGPIPE, SIG_IGN);
    return s;
}

void server_destroy(struct server *s)
{
    CM_ASSERT(s->drained && s->counters.open == 0 && h2o_linklist_is_empty(&s->listeners));
    uv_close((uv_handle_t *)&s->accept_pause, NULL);
    uv_close((uv_handle_t *)&s->drain_timer, NULL);
    uv_close((uv_handle_t *)&s->later, NULL);
    uv_close((uv_handle_t *)&s->turn, NULL);
    uv_close((uv_handle_t *)&s->reap_timer, NULL);
    // Turns the loop once, which finishes all closes.
    h2o_context_dispose(&s->context);
    h2o_config_dispose(&s->config);
    free(s);
}

const struct server_counters *server_counters(const struct server *s)
{
    return &s->counters;
}

// -- accepting --------------------------------------------------------------

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct server *s = CM_CONTAINER_OF(timer, struct server, accept_pause);
    for (h2o_linklist_t *at = s->listeners.next; at != &s->listeners; at = at->next)
        uv_poll_start(&listener_of(at)->poll, UV_READABLE, on_acceptable);
}

// Out of descriptors or memory: asking again at once would spin.
static void pause_accepting(struct server *s)
{
    for (h2o_linklist_t *at = s->listeners.next; at != &s->listeners; at = at->next)
        uv_poll_stop(&listener_of(at)->poll);
    uv_timer_start(&s->accept_pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
}

// False when there is nothing more to take now.
static bool accept_one(struct listener *l)
{
    struct server *s = l->server;
    int fd = accept4(l->own, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        if (s->counters.open < s->options.max_connections) {
            conn_start(s, fd, l->tls);
        } else {
            s->counters.rejected++;
            close(fd);
        }
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        pause_accepting(s);
    // Anything else is about one connection that was lost before we took it.
    return errno == ECONNABORTED || errno == EINTR || errno == EPROTO || errno == EPERM;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct listener *l = CM_CONTAINER_OF(poll, struct listener, poll);
    if (status < 0) {
        pause_accepting(l->server);
        return;
    }
    for (int i = 0; i < ACCEPTS_A_TURN && accept_one(l); i++)
        ;
}

static struct listener *find_listener(struct server *s, int fd)
{
    for (h2o_linklist_t *at = s->listeners.next; at != &s->listeners; at = at->next)
        if (listener_of(at)->fd == fd)
            return listener_of(at);
    return NULL;
}

int server_listen(struct server *s, int fd, struct tls *tls)
{
    CM_ASSERT(!s->draining && find_listener(s, fd) == NULL);
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return -errno;
    // Accepted sockets inherit it: a peer that acknowledges nothing is given up.
    const int unacked_ms = (int)s->options.write_timeout_ms;
    (void)setsockopt(own, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof(unacked_ms));
    struct listener *l = xcalloc(1, sizeof(*l));
    l->server = s;
    l->fd = fd;
    l->own = own;
    l->tls = tls;
    if (tls != NULL && s->options.http2)
        tls_offer_http2(tls);
    int error = uv_poll_init(s->loop, &l->poll, own);
    if (error != 0) {
        close(own);
        free(l);
        return error;
    }
    h2o_linklist_insert(&s->listeners, &l->link);
    uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    return 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(CM_CONTAINER_OF(handle, struct listener, poll));
}

static void unlisten(struct listener *l)
{
    uv_poll_stop(&l->poll);
    uv_close((uv_handle_t *)&l->poll, on_listener_closed);
    close(l->own);
    h2o_linklist_unlink(&l->link);
}

void server_unlisten(struct server *s, int fd)
{
    struct listener *l = find_listener(s, fd);
    if (l != NULL)
        unlisten(l);
}

// -- draining and cutting ---------------------------------------------------

void server_conn_gone(struct server *s)
{
    s->counters.open--;
    drain_conn_gone(s);
}

void server_drain(struct server *s, void (*on_drained)(void *ctx), void *ctx)
{
    CM_ASSERT(!s->draining);
    uv_timer_stop(&s->accept_pause);
    // Who is in the queue has connected to us; nobody else may take it.
    for (h2o_linklist_t *at = s->listeners.next; at != &s->listeners; at = at->next)
        for (int i = 0; i < QUEUE_MAX && accept_one(listener_of(at)); i++)
            ;
    uv_timer_stop(&s->accept_pause);
    while (!h2o_linklist_is_empty(&s->listeners))
        unlisten(listener_of(s->listeners.next));
    s->on_drained = on_drained;
    s->on_drained_ctx = ctx;
    drain_start(s);
}

// libh2o frees a request only when it has been answered; whoever was to answer
// finds the call gone.
static void abandon(struct deferred *d)
{
    struct call *c = d->call;
    h2o_linklist_unlink(&d->link);
    d->call = NULL;
    c->deferred = NULL;
    c->abandoned = true;
    reply_send(c, &(struct reply){.status = 503, .close = true});
}

void deferred_cut(struct deferred *d)
{
    if (d->call == NULL)
        return;
    conn_shutdown(d->call->conn, SHUT_RDWR);
    abandon(d);
}

void server_cut(struct server *s)
{
    s->cut = true;
    for (h2o_linklist_t *at = s->conns.next; at != &s->conns; at = at->next)
        conn_shutdown(conn_at(at), SHUT_RDWR);
    while (!h2o_linklist_is_empty(&s->deferreds))
        abandon(H2O_STRUCT_FROM_MEMBER(struct deferred, link, s->deferreds.next));
    linger_end_all(s);
}
