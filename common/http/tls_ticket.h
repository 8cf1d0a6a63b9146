// SPDX-License-Identifier: Apache-2.0
// Sealing and opening session tickets: AES-256-CBC with HMAC-SHA-256, as RFC 5077
// (section 4) recommends. Part of tls.c.
#pragma once

#include <openssl/ssl.h>

#include "common/http/tls.h"

struct tls_tickets {
    EVP_CIPHER *cipher; // fetched once: a fetch by name takes longer than the rest
    bool known;         // keys were given
    struct tls_ticket_keys keys;
};

// Without keys, as after init, nothing is sealed and nothing opens. fini wipes the keys;
// set copies them.
void tls_tickets_init(struct tls_tickets *t);
void tls_tickets_fini(struct tls_tickets *t);
void tls_tickets_set(struct tls_tickets *t, const struct tls_ticket_keys *keys);

// Arguments and results are those of SSL_CTX_set_tlsext_ticket_key_evp_cb: 1 =
// prepared, 2 = and the client should get a new one, 0 = no such key, -1 = error.
int tls_tickets_seal(const struct tls_tickets *t, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);
int tls_tickets_open(const struct tls_tickets *t, const unsigned char *name,
                     const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);
