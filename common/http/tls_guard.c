// SPDX-License-Identifier: Apache-2.0
// Where libh2o 2.2.5 handles TLS wrongly.
//
// A handshake that fails ends without the alert that says why: it is written and
// never sent. We send it ourselves.
//
// After close_notify libh2o decrypts nothing any more, but keeps all that comes.
// OpenSSL tells us of the alert; what is read later is the end (intake.c). Which
// connection it is was noted when its handshake began, because that happens in a
// read callback, which an alert need not.
#include <sys/socket.h>

#include "common/http/http_private.h"

static int conn_index = -1;

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
