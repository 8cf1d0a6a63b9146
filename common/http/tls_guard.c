// SPDX-License-Identifier: Apache-2.0
// Where libh2o 2.2.5 handles TLS wrongly.
//
// A record that cannot be decrypted, behind Finished and a request in one flight:
// the error is lost, the request is answered, OpenSSL refuses to encrypt any more,
// and libh2o writes what it has, which is nothing; libuv aborts the process then.
// Nobody has shown a key so far. The program's own uv_write takes the place of
// libuv's (see intake.c): such a connection is cut, and a write of no bytes, which
// fails, tells libh2o so.
//
// A handshake that fails ends without the alert that says why: it is written and
// never sent. We send it ourselves.
//
// After close_notify libh2o decrypts nothing any more, but keeps all that comes.
// OpenSSL tells us of the alert; what is read later is the end (intake.c). Which
// connection it is was noted when its handshake began, because that happens in a
// read callback, which an alert need not.
#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>

#include "common/http/http_private.h"
#include "common/http/library.h"

static __typeof__(uv_write) *real_write;
static int conn_index = -1;

__attribute__((constructor)) static void find_real(void)
{
    library_behind("uv_write", &real_write);
}

bool tls_guard_is_there(void)
{
    void *called = dlsym(RTLD_DEFAULT, "uv_write");
    __typeof__(uv_write) *ours = uv_write;
    return memcmp(&called, &ours, sizeof(called)) == 0;
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

// As a record of its own, for whose sending nobody waits: the connection is over.
static void send_alert(const struct conn *conn, int description)
{
    const unsigned char record[] = {
        SSL3_RT_ALERT, 3, 1, 0, 2, SSL3_AL_FATAL, (unsigned char)description};
    (void)send(h2o_socket_get_fd(conn->sock), record, sizeof(record), MSG_DONTWAIT | MSG_NOSIGNAL);
}

// A fatal alert that is said before anything is encrypted.
static bool refuses_hello(const SSL *ssl, int where, int value)
{
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
    return where == SSL_CB_WRITE_ALERT && value >> 8 == SSL3_AL_FATAL &&
           (state == TLS_ST_BEFORE || state == TLS_ST_SR_CLNT_HELLO);
}

static void on_info(const SSL *ssl, int where, int value)
{
    if ((where & SSL_CB_HANDSHAKE_START) != 0 && SSL_get_ex_data(ssl, conn_index) == NULL)
        (void)SSL_set_ex_data((SSL *)(uintptr_t)ssl, conn_index, intake_reading());
    struct conn *conn = SSL_get_ex_data(ssl, conn_index);
    if (conn == NULL)
        return;
    if (where == SSL_CB_READ_ALERT && (value & 0xFF) == SSL_AD_CLOSE_NOTIFY)
        conn->peer_done = true;
    if (refuses_hello(ssl, where, value))
        send_alert(conn, value & 0xFF);
}

void tls_guard_watch(SSL_CTX *context)
{
    if (conn_index < 0)
        conn_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    CM_ASSERT(conn_index >= 0);
    SSL_CTX_set_info_callback(context, on_info);
}
