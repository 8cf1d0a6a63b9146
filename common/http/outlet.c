// SPDX-License-Identifier: Apache-2.0
// Where bytes go out. libh2o writes and does not look at what uv_write says, so a
// write that fails at once leaves it waiting for ever, and the connection and its
// descriptor with it. The program's own uv_write takes the place of libuv's (see
// intake.c) and makes every write of libh2o's end by its callback, in a later turn.
//
// After a reset libuv refuses to write, and under TLS libh2o wants to say
// close_notify even then: each client that was cut off cost one connection.
//
// A write of nothing is one that libuv aborts the process for. libh2o asks for it
// when OpenSSL refuses to encrypt: after a record that cannot be decrypted, behind
// Finished and a request in one flight. Nobody has shown a key so far. Such a
// connection is cut.
//
// hiredis' sockets and everything else that writes by libuv pass untouched.
#include <dlfcn.h>
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

static void on_failed_writes(uv_timer_t *timer)
{
    struct server *s = CM_CONTAINER_OF(timer, struct server, failed_timer);
    while (!h2o_linklist_is_empty(&s->failed_writes)) {
        struct conn *conn = H2O_STRUCT_FROM_MEMBER(struct conn, failed.link, s->failed_writes.next);
        h2o_linklist_unlink(&conn->failed.link);
        conn->failed.cb(conn->failed.req, conn->failed.status);
    }
}

static void fail_later(struct conn *conn, uv_write_t *req, uv_write_cb cb, int status)
{
    CM_ASSERT(!h2o_linklist_is_linked(&conn->failed.link)); // libh2o has one write at a time
    conn->failed.req = req;
    conn->failed.cb = cb;
    conn->failed.status = status;
    h2o_linklist_insert(&conn->server->failed_writes, &conn->failed.link);
    uv_timer_start(&conn->server->failed_timer, on_failed_writes, 0, 0);
}

void outlet_forget(struct conn *conn)
{
    if (h2o_linklist_is_linked(&conn->failed.link))
        h2o_linklist_unlink(&conn->failed.link);
}

int uv_write(uv_write_t *req, uv_stream_t *stream, const uv_buf_t bufs[], unsigned count,
             uv_write_cb cb)
{
    static const uv_buf_t nothing;
    uv_os_fd_t fd;
    if (!library_holds((const void *)(uintptr_t)cb))
        return real_write(req, stream, bufs, count, cb);
    if (count == 0 && uv_fileno((uv_handle_t *)stream, &fd) == 0)
        (void)shutdown(fd, SHUT_RDWR); // the write of no bytes fails
    int error = real_write(req, stream, count == 0 ? &nothing : bufs, count == 0 ? 1 : count, cb);
    if (error != 0)
        fail_later(CM_CONTAINER_OF(stream, struct conn, tcp), req, cb, error);
    return 0;
}
