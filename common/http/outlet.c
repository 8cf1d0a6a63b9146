// SPDX-License-Identifier: Apache-2.0
// Where bytes go out. The program's own uv_write takes the place of libuv's (see
// intake.c) for what libh2o writes. Nearly always the kernel takes all of it at once;
// then libuv has nothing to do with it, which after each write of its own asks epoll
// for what it had asked for before. Every write ends by its callback, in a later turn.
//
// libh2o writes and does not look at what uv_write says, so a write that fails at once
// would leave it waiting for ever, and the connection and its descriptor with it. After
// a reset libuv refuses to write, and under TLS libh2o wants to say close_notify even
// then: each client that was cut off cost one connection.
//
// A write of nothing is one that libuv aborts the process for. libh2o asks for it
// when OpenSSL refuses to encrypt: after a record that cannot be decrypted, behind
// Finished and a request in one flight. Nobody has shown a key so far. Such a
// connection is cut.
//
// hiredis' sockets and everything else that writes by libuv pass untouched.
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/http/http_private.h"
#include "common/http/library.h"

static __typeof__(uv_write) *real_write;

__attribute__((constructor)) static void find_real(void)
{
    library_behind("uv_write", &real_write);
}

bool outlet_is_there(void)
{
    void *called = dlsym(RTLD_DEFAULT, "uv_write");
    __typeof__(uv_write) *ours = uv_write;
    return memcmp(&called, &ours, sizeof(called)) == 0;
}

// Those that have ended by now: a client that takes everything at once does not keep
// the others waiting.
static void on_later(uv_idle_t *idle)
{
    struct server *s = CM_CONTAINER_OF(idle, struct server, later);
    h2o_linklist_t ended;
    h2o_linklist_init_anchor(&ended);
    h2o_linklist_insert_list(&ended, &s->ended_writes);
    while (!h2o_linklist_is_empty(&ended)) {
        struct conn *conn = H2O_STRUCT_FROM_MEMBER(struct conn, write.link, ended.next);
        h2o_linklist_unlink(&conn->write.link);
        conn->write.cb(conn->write.req, conn->write.status);
    }
    if (h2o_linklist_is_empty(&s->ended_writes))
        uv_idle_stop(idle);
}

static void end_later(struct conn *conn, uv_write_t *req, uv_write_cb cb, int status)
{
    CM_ASSERT(!h2o_linklist_is_linked(&conn->write.link)); // libh2o has one write at a time
    conn->write.req = req;
    conn->write.cb = cb;
    conn->write.status = status;
    h2o_linklist_insert(&conn->server->ended_writes, &conn->write.link);
    uv_idle_start(&conn->server->later, on_later);
}

void outlet_forget(struct conn *conn)
{
    if (h2o_linklist_is_linked(&conn->write.link))
        h2o_linklist_unlink(&conn->write.link);
}

// libuv's part: what the kernel did not take, behind the first `skip` bytes.
static int write_rest(uv_write_t *req, uv_stream_t *stream, const uv_buf_t *bufs, unsigned count,
                      size_t skip, uv_write_cb cb)
{
    while (skip >= bufs->len) {
        skip -= bufs->len;
        bufs++;
        count--;
    }
    uv_buf_t *rest = xmalloc(count * sizeof(*rest)); // libuv copies it
    memcpy(rest, bufs, count * sizeof(*rest));
    rest->base += skip;
    rest->len -= skip;
    int error = real_write(req, stream, rest, count, cb);
    free(rest);
    return error;
}

// 0 = it has ended, or will.
static int write_some(struct conn *conn, uv_write_t *req, const uv_buf_t *bufs, unsigned count,
                      uv_write_cb cb)
{
    uv_stream_t *stream = (uv_stream_t *)&conn->tcp;
    size_t len = 0;
    for (unsigned i = 0; i < count; i++)
        len += bufs[i].len;
    int taken = uv_try_write(stream, bufs, count);
    if (taken == UV_EAGAIN)
        taken = 0;
    if (taken < 0)
        return taken;
    if ((size_t)taken < len)
        return write_rest(req, stream, bufs, count, (size_t)taken, cb);
    end_later(conn, req, cb, 0);
    return 0;
}

// It fails by its callback.
static int write_nothing(uv_write_t *req, uv_stream_t *stream, uv_write_cb cb)
{
    static const uv_buf_t nothing;
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)stream, &fd) == 0)
        (void)shutdown(fd, SHUT_RDWR);
    return real_write(req, stream, &nothing, 1, cb);
}

int uv_write(uv_write_t *req, uv_stream_t *stream, const uv_buf_t bufs[], unsigned count,
             uv_write_cb cb)
{
    if (!library_holds((const void *)(uintptr_t)cb))
        return real_write(req, stream, bufs, count, cb);
    struct conn *conn = CM_CONTAINER_OF(stream, struct conn, tcp);
    int error =
        count == 0 ? write_nothing(req, stream, cb) : write_some(conn, req, bufs, count, cb);
    if (error != 0)
        end_later(conn, req, cb, error);
    return 0;
}
