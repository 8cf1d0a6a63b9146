// SPDX-License-Identifier: Apache-2.0
// The adapter between hiredis and libuv.
//
// Of hiredis 0.14.1 only the reader is used; libuv connects, reads and writes.
// Its asynchronous half and the packaged libuv adapter are not fit for a server
// that must outlive its Redis: a refused connection is never reported, resolving
// a host name stalls the loop, a PONG on a subscribed connection is lost together
// with its callback, and an unexpected reply runs into an assert, which ends the
// process. Here every one of those is an ordinary on_fail or on_reply.
//
// Life: resolve (in libuv's thread pool, unless the host is an address) ->
// connect -> established -> closing. Failing leaves the object as it is: the
// owner hears on_fail and closes. One idle handle does what must not happen
// inside a call of the owner: it reports a failure that was known at once, and it
// writes what was queued in this turn of the loop.
//
// What Redis may make us hold is bounded: bytes of one reply, and the elements
// that its arrays announce (an announcement alone allocates).
#include "common/store/redis_uv.h"

#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/buf.h"

enum {
    CHUNK = 16 * 1024,
    CHUNKS_A_TURN = 8,         // libuv would read 32
    KEEP_BUFFER = 1024 * 1024, // a larger write buffer is given back after its write
    REPLY_BYTES_MAX = 256 * 1024 * 1024,
    REPLY_ELEMENTS_MAX = 4 * 1024 * 1024,
    WHY_MAX = 160,
    // A peer that vanished without a word: probed after 10 s of silence, given
    // up after 3 unanswered probes, or when sent data stays unacknowledged.
    KEEPALIVE_IDLE_S = 10,
    KEEPALIVE_INTERVAL_S = 5,
    KEEPALIVE_PROBES = 3,
    UNACKNOWLEDGED_MS = 10000,
};

struct redis_uv {
    uv_loop_t *loop;
    const struct redis_url *url;
    const struct redis_uv_events *events; // NULL once closed: nothing is reported any more
    void *ctx;
    unsigned attempt;
    uint32_t connect_timeout_ms;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } link;
    uv_timer_t deadline;
    uv_idle_t turn;
    unsigned open_handles;
    uv_getaddrinfo_t resolve;
    bool resolving;
    uv_connect_t connect;
    bool failed;
    char why[WHY_MAX]; // set while a failure waits for its turn
    redisReader *reader;
    redisReplyObjectFunctions make, make_default;
    size_t reply_bytes, reply_elements; // of the reply that is being read
    uint64_t heard_ms;
    unsigned full_chunks; // read in this turn
    struct buf out, writing;
    uv_write_t write;
    bool write_under_way;
    void (*on_closed)(void *ctx);
    void *closed_ctx;
    char chunk[CHUNK];
};

static void release(struct redis_uv *u)
{
    if (u->open_handles > 0)
        return;
    if (u->on_closed != NULL) {
        void (*on_closed)(void *) = u->on_closed;
        u->on_closed = NULL;
        on_closed(u->closed_ctx);
    }
    if (u->resolving) // a name server that does not answer must not hold up closing
        return;
    redisReaderFree(u->reader);
    buf_fini(&u->out);
    buf_fini(&u->writing);
    free(u);
}

static void fail(struct redis_uv *u, const char *why)
{
    if (u->events == NULL || u->failed)
        return;
    u->failed = true;
    u->events->on_fail(u->ctx, why);
}

static void on_turn(uv_idle_t *turn);

static void fail_later(struct redis_uv *u, const char *why)
{
    snprintf(u->why, sizeof(u->why), "%s", why);
    uv_idle_start(&u->turn, on_turn);
}

// --- writing

static void flush(struct redis_uv *u);

static void on_written(uv_write_t *write, int status)
{
    struct redis_uv *u = CM_CONTAINER_OF(write, struct redis_uv, write);
    u->write_under_way = false;
    if (u->writing.cap > KEEP_BUFFER)
        buf_fini(&u->writing);
    else
        buf_clear(&u->writing);
    if (status != 0)
        fail(u, uv_strerror(status));
    else if (u->events != NULL && !u->failed)
        flush(u);
}

static void flush(struct redis_uv *u)
{
    if (u->write_under_way || u->out.len == 0)
        return;
    struct buf swap = u->writing;
    u->writing = u->out;
    u->out = swap;
    uv_buf_t bytes = {.base = u->writing.ptr, .len = u->writing.len};
    int status = uv_write(&u->write, &u->link.stream, &bytes, 1, on_written);
    if (status == 0)
        u->write_under_way = true;
    else
        fail(u, uv_strerror(status));
}

static void on_turn(uv_idle_t *turn)
{
    struct redis_uv *u = turn->data;
    uv_idle_stop(turn);
    if (u->why[0] != '\0')
        fail(u, u->why);
    else if (!u->failed)
        flush(u);
}

void redis_uv_send(struct redis_uv *u, size_t argc, const struct slice *argv)
{
    CM_ASSERT(u->events != NULL);
    buf_append_char(&u->out, '*');
    buf_append_u64(&u->out, argc);
    buf_append_str(&u->out, "\r\n");
    for (size_t i = 0; i < argc; i++) {
        buf_append_char(&u->out, '$');
        buf_append_u64(&u->out, argv[i].len);
        buf_append_str(&u->out, "\r\n");
        buf_append_slice(&u->out, argv[i]);
        buf_append_str(&u->out, "\r\n");
    }
    uv_idle_start(&u->turn, on_turn);
}

// --- reading

static void *make_array(const redisReadTask *task, int elements)
{
    struct redis_uv *u = task->privdata;
    if (elements < 0 || (size_t)elements > REPLY_ELEMENTS_MAX - u->reply_elements)
        return NULL; // hiredis takes it as out of memory, which fails the connection
    u->reply_elements += (size_t)elements;
    return u->make_default.createArray(task, elements);
}

static void open_reader(struct redis_uv *u)
{
    u->reader = redisReaderCreate();
    CM_ASSERT(u->reader != NULL);
    u->make_default = u->make = *u->reader->fn;
    u->make.createArray = make_array;
    u->reader->fn = &u->make;
    u->reader->privdata = u;
}

static void deliver_replies(struct redis_uv *u)
{
    while (u->events != NULL && !u->failed) {
        void *reply = NULL;
        if (redisReaderGetReply(u->reader, &reply) != REDIS_OK) {
            fail(u, u->reader->err == REDIS_ERR_OOM ? "a reply is too large" : u->reader->errstr);
            return;
        }
        if (reply == NULL)
            return;
        u->reply_bytes = u->reply_elements = 0;
        u->events->on_reply(u->ctx, reply);
        freeReplyObject(reply);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct redis_uv *u = handle->data;
    (void)suggested;
    *out = uv_buf_init(u->chunk, u->full_chunks < CHUNKS_A_TURN ? sizeof(u->chunk) : 0);
}

// libuv goes on as long as the chunk is filled and there is one. Without one it lets the
// loop turn, and comes back for the rest.
static bool ends_turn(struct redis_uv *u, ssize_t got)
{
    u->full_chunks = got == CHUNK ? u->full_chunks + 1 : 0;
    return got == UV_ENOBUFS;
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct redis_uv *u = stream->data;
    if (ends_turn(u, got) || got == 0 || u->events == NULL || u->failed)
        return;
    if (got < 0) {
        fail(u, got == UV_EOF ? "closed by Redis" : uv_strerror((int)got));
        return;
    }
    u->heard_ms = uv_hrtime() / 1000000;
    u->reply_bytes += (size_t)got;
    if (redisReaderFeed(u->reader, bytes->base, (size_t)got) != REDIS_OK) {
        fail(u, u->reader->errstr);
        return;
    }
    deliver_replies(u);
    if (u->reply_bytes > REPLY_BYTES_MAX)
        fail(u, "a reply is too large");
}

// --- connecting

static void set_socket_options(struct redis_uv *u)
{
    static const struct {
        int name, value;
    } options[] = {
        {TCP_NODELAY, 1},
        {TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {TCP_KEEPCNT, KEEPALIVE_PROBES},
        {TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS},
    };
    uv_os_fd_t fd;
    if (u->url->path != NULL || uv_fileno(&u->link.handle, &fd) != 0)
        return;
    // Each is a help, none is a need: a kernel that refuses one loses nothing.
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    for (size_t i = 0; i < CM_ARRAY_LEN(options); i++)
        (void)setsockopt(fd, IPPROTO_TCP, options[i].name, &options[i].value,
                         sizeof(options[i].value));
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct redis_uv *u = CM_CONTAINER_OF(connect, struct redis_uv, connect);
    if (u->events == NULL || u->failed)
        return;
    uv_timer_stop(&u->deadline);
    if (status == 0) {
        set_socket_options(u);
        status = uv_read_start(&u->link.stream, on_alloc, on_read);
    }
    if (status != 0)
        fail(u, uv_strerror(status));
    else
        u->events->on_connect(u->ctx);
}

static void on_deadline(uv_timer_t *deadline)
{
    struct redis_uv *u = deadline->data;
    fail(u, u->resolving ? "the host's name cannot be resolved in time" : "connect timed out");
}

static void connect_address(struct redis_uv *u, const struct sockaddr *address)
{
    uv_timer_start(&u->deadline, on_deadline, u->connect_timeout_ms, 0);
    int status = uv_tcp_connect(&u->connect, &u->link.tcp, address, on_connected);
    if (status != 0)
        fail_later(u, uv_strerror(status));
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *addresses)
{
    struct redis_uv *u = CM_CONTAINER_OF(resolve, struct redis_uv, resolve);
    u->resolving = false;
    if (u->events == NULL || u->failed) {
        uv_freeaddrinfo(addresses);
        if (u->events == NULL)
            release(u);
        return;
    }
    if (status == 0) {
        unsigned count = 0;
        for (const struct addrinfo *at = addresses; at != NULL; at = at->ai_next)
            count++;
        const struct addrinfo *chosen = addresses;
        for (unsigned i = u->attempt % count; i > 0; i--)
            chosen = chosen->ai_next;
        connect_address(u, chosen->ai_addr);
    } else {
        fail(u, uv_strerror(status));
    }
    uv_freeaddrinfo(addresses);
}

static void resolve(struct redis_uv *u)
{
    char service[6];
    snprintf(service, sizeof(service), "%u", u->url->port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    uv_timer_start(&u->deadline, on_deadline, REDIS_UV_RESOLVE_MS, 0);
    int status = uv_getaddrinfo(u->loop, &u->resolve, on_resolved, u->url->host, service, &hints);
    if (status == 0)
        u->resolving = true;
    else
        fail_later(u, uv_strerror(status));
}

static void connect_url(struct redis_uv *u)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (u->url->path != NULL) {
        uv_timer_start(&u->deadline, on_deadline, u->connect_timeout_ms, 0);
        uv_pipe_connect(&u->connect, &u->link.pipe, u->url->path, on_connected);
    } else if (uv_ip4_addr(u->url->host, u->url->port, &v4) == 0) {
        connect_address(u, (const struct sockaddr *)&v4);
    } else if (uv_ip6_addr(u->url->host, u->url->port, &v6) == 0) {
        connect_address(u, (const struct sockaddr *)&v6);
    } else {
        resolve(u);
    }
}

struct redis_uv *redis_uv_open(uv_loop_t *loop, const struct redis_url *url, unsigned attempt,
                               uint32_t connect_timeout_ms, const struct redis_uv_events *events,
                               void *ctx)
{
    struct redis_uv *u = xcalloc(1, sizeof(*u));
    u->loop = loop;
    u->url = url;
    u->events = events;
    u->ctx = ctx;
    u->attempt = attempt;
    u->connect_timeout_ms = connect_timeout_ms;
    open_reader(u);
    // None of these can fail for a fresh handle: no descriptor is made yet.
    int status =
        url->path != NULL ? uv_pipe_init(loop, &u->link.pipe, 0) : uv_tcp_init(loop, &u->link.tcp);
    CM_ASSERT(status == 0);
    uv_timer_init(loop, &u->deadline);
    uv_idle_init(loop, &u->turn);
    u->link.handle.data = u->deadline.data = u->turn.data = u;
    u->open_handles = 3;
    connect_url(u);
    return u;
}

uint64_t redis_uv_heard_ms(const struct redis_uv *u)
{
    return u->heard_ms;
}

// --- closing

static void on_handle_closed(uv_handle_t *handle)
{
    struct redis_uv *u = handle->data;
    u->open_handles--;
    release(u);
}

void redis_uv_close(struct redis_uv *u, void (*on_closed)(void *ctx), void *ctx)
{
    CM_ASSERT(u->events != NULL);
    u->events = NULL;
    u->on_closed = on_closed;
    u->closed_ctx = ctx;
    if (u->resolving)
        (void)uv_cancel((uv_req_t *)&u->resolve); // fails once it runs; then it is waited for
    uv_close(&u->link.handle, on_handle_closed);
    uv_close((uv_handle_t *)&u->deadline, on_handle_closed);
    uv_close((uv_handle_t *)&u->turn, on_handle_closed);
}
