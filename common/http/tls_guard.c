// SPDX-License-Identifier: Apache-2.0
// Where libh2o 2.2.5 handles TLS wrongly.
//
// A record that cannot be decrypted, behind Finished and a request in one flight:
// the error is lost, the request is answered, OpenSSL refuses to encrypt any more,
// and libh2o writes what it has, which is nothing; libuv aborts the process then.
// Nobody has shown a key so far. The program's own uv_write takes the place of
// libuv's (its definitions win, also for calls from libraries): such a connection
// is cut, and a write of no bytes, which fails, tells libh2o so.
#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>

#include "common/http/http_private.h"

static __typeof__(uv_write) *real_write;

// Before main: redis connections write through this one too.
__attribute__((constructor)) static void find_real(void)
{
    void *found = dlsym(RTLD_NEXT, "uv_write");
    CM_ASSERT(found != NULL);
    memcpy(&real_write, &found, sizeof(found));
}

bool tls_guard_is_there(void)
{
    void *called = dlsym(RTLD_DEFAULT, "uv_write");
    __typeof__(uv_write) *ours = uv_write;
    return real_write != NULL && memcmp(&called, &ours, sizeof(called)) == 0;
}

int uv_write(uv_write_t *req, uv_stream_t *stream, const uv_buf_t bufs[], unsigned count,
             uv_write_cb cb)
{
    static const uv_buf_t nothing;
    uv_os_fd_t fd;
    if (count > 0)
        return real_write(req, stream, bufs, count, cb);
    if (uv_fileno((uv_handle_t *)stream, &fd) == 0)
        (void)shutdown(fd, SHUT_RDWR);
    return real_write(req, stream, &nothing, 1, cb);
}
