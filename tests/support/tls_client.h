// SPDX-License-Identifier: Apache-2.0
// Certificates made on the spot, and a TLS client that turns the loop of the
// server under test while it waits.
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <uv.h>

#include "common/base/slice.h"

// PEM texts; the caller frees both (free_certificate).
struct test_certificate {
    struct slice certificate, key;
};

enum test_key { TEST_KEY_EC, TEST_KEY_RSA };

// A certificate of that name, for that time from now (negative: long expired).
// chained: issued by an intermediate, which follows it in the text, of a root.
struct test_certificate make_certificate(const char *name, enum test_key kind, bool chained,
                                         long valid_s);
void free_certificate(struct test_certificate *c);

struct tls_client {
    uv_loop_t *loop;
    SSL_CTX *context;
    SSL *ssl;
    int fd;
};

struct tls_client_options {
    int version;          // TLS1_2_VERSION ...; 0 = the best
    const char *alpn;     // "\x02h2\x08http/1.1" or NULL
    SSL_SESSION *session; // to be resumed, or NULL
};

// Connects to the address of that listening socket and shakes hands; false when
// the server did not want to (then it is to be closed all the same).
bool tls_client_open(struct tls_client *c, uv_loop_t *loop, int listener,
                     const struct tls_client_options *options);
void tls_client_send(struct tls_client *c, struct slice bytes);
// Waits until that many bytes have come, or the end; returns how many.
size_t tls_client_read(struct tls_client *c, char *out, size_t size);
// The session as it is now (with TLS 1.3: after something was read), or NULL; the
// caller frees it.
SSL_SESSION *tls_client_session(const struct tls_client *c);
// "CN" of the certificate that was shown; lives until the next call.
const char *tls_client_peer(const struct tls_client *c);
void tls_client_close(struct tls_client *c);
