// SPDX-License-Identifier: Apache-2.0
// TLS for listeners: the certificate that is shown, the keys that session tickets
// are sealed with, and which protocols are offered. OpenSSL stays behind it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/base/util.h"

enum {
    TLS_ERROR_MAX = 256,
    TLS_SUBJECT_MAX = 128,
    TLS_FINGERPRINT_LEN = 64,
    TLS_TICKET_LIFE_S = 7200
};

// What one ticket is sealed with (RFC 5077, section 4): its name goes with the
// ticket, so that whoever has the key of that name can open it.
struct tls_ticket_key {
    unsigned char name[16], cipher[32], mac[32];
};

// All of them open tickets, `TLS_TICKET_NOW` alone seals. The next one is known
// before it is used, so that no process seals with what another cannot open yet.
enum { TLS_TICKET_NEXT, TLS_TICKET_NOW, TLS_TICKET_OLD, TLS_TICKET_OLDEST, TLS_TICKET_KEYS };
struct tls_ticket_keys {
    struct tls_ticket_key key[TLS_TICKET_KEYS];
};

struct tls_certificate {
    int64_t not_before, not_after;             // unix seconds
    char subject[TLS_SUBJECT_MAX];             // "CN = api.example", cut
    char fingerprint[TLS_FINGERPRINT_LEN + 1]; // SHA-256 of it in hexadecimal
};

// Handshakes of all certificates so far.
struct tls_counters {
    uint64_t started, finished, resumed;
};

struct tls;

// Without a certificate, without tickets. h2 is offered as soon as a server that
// speaks HTTP/2 listens with it; it must outlive the servers that do.
CM_MUST_CHECK struct tls *tls_create(void);
void tls_destroy(struct tls *t); // NULL is fine

// From now on new connections are shown that certificate; those that are open
// keep theirs. Both texts are PEM: the certificate with the chain that it needs
// after it, and its private key without a passphrase. False with the reason in
// error: then everything stays as it was. An expired certificate is taken.
CM_MUST_CHECK bool tls_use(struct tls *t, struct slice certificate, struct slice key,
                           char error[TLS_ERROR_MAX]);
bool tls_is_usable(const struct tls *t); // it has a certificate
// The one that is in use; only while tls_is_usable.
const struct tls_certificate *tls_certificate(const struct tls *t);

// Copies them. Without any, sessions are not resumed.
void tls_set_ticket_keys(struct tls *t, const struct tls_ticket_keys *keys);
struct tls_counters tls_counters(const struct tls *t);
