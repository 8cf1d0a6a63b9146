// SPDX-License-Identifier: Apache-2.0
// A certificate, its chain and its private key, read from PEM and checked
// against each other. Part of tls.c.
#pragma once

#include <openssl/ssl.h>

#include "common/http/tls.h"

struct tls_identity {
    X509 *leaf;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

// On error *id is not to be touched; the reason is in error.
CM_MUST_CHECK bool tls_identity_read(struct tls_identity *id, struct slice certificate,
                                     struct slice key, char error[TLS_ERROR_MAX]);
// Puts it into a context; false (with the reason) when OpenSSL's security level
// does not allow it, for example a key that is too short.
CM_MUST_CHECK bool tls_identity_install(const struct tls_identity *id, SSL_CTX *context,
                                        char error[TLS_ERROR_MAX]);
void tls_identity_describe(const struct tls_identity *id, struct tls_certificate *out);
void tls_identity_fini(struct tls_identity *id);
