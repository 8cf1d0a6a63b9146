// SPDX-License-Identifier: Apache-2.0
// One OpenSSL context at a time, replaced as a whole with the certificate.
//
// libh2o keeps the bare pointer of the context from accept to the first bytes of
// the handshake, so each connection holds a reference of its own (tls_hold) and
// an old context goes with the last connection that began with it.
//
// Sessions are resumed by tickets alone (TLS 1.2 and 1.3): nothing is kept about
// them here, and every process that has the keys can open a ticket of any other.
// Keys are given from outside and never written anywhere.
//
// OpenSSL leaves its errors in a queue of the thread, where the next connection
// would find them: whoever causes one here takes it out.
#include "common/http/tls.h"

#include <stdlib.h>
#include <string.h>

#include "common/http/http_private.h"
#include "common/http/tls_identity.h"
#include "common/http/tls_ticket.h"

struct tls {
    SSL_CTX *context; // NULL before the first certificate
    struct tls_certificate certificate;
    struct tls_tickets tickets;
    struct tls_counters before; // of contexts that were replaced
    bool http2;
};

// Of TLS 1.2: authenticated ciphers with forward secrecy only, what processors
// have instructions for first. Clients that have none (they put ChaCha20 first)
// get what they prefer.
static const char ciphers_of_1_2[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                     "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                     "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static const unsigned char with_http2[] = "\x02h2\x08http/1.1";
static const unsigned char without_http2[] = "\x08http/1.1";

struct tls *tls_create(void)
{
    struct tls *t = xcalloc(1, sizeof(*t));
    CM_ASSERT(outlet_is_there());
    tls_tickets_init(&t->tickets);
    return t;
}

void tls_destroy(struct tls *t)
{
    if (t == NULL)
        return;
    SSL_CTX_free(t->context);
    tls_tickets_fini(&t->tickets);
    free(t);
}

// A client that names protocols of which we speak none is told so (RFC 7301,
// section 3.2); one that names none gets HTTP/1.1.
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    const struct tls *t = arg;
    const unsigned char *ours = t->http2 ? with_http2 : without_http2;
    unsigned ours_len = (unsigned)(t->http2 ? sizeof(with_http2) : sizeof(without_http2)) - 1;
    unsigned char *chosen;
    int result = SSL_select_next_proto(&chosen, out_len, ours, ours_len, in, in_len);
    *out = chosen;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing)
{
    const struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (sealing)
        return tls_tickets_seal(&t->tickets, name, iv, cipher, mac);
    // In TLS 1.3 a ticket is for one use (RFC 8446, appendix C.4), so every
    // resumption brings a new one.
    int result = tls_tickets_open(&t->tickets, name, iv, cipher, mac);
    return result == 1 && SSL_version(ssl) >= TLS1_3_VERSION ? 2 : result;
}

static SSL_CTX *create_context(struct tls *t)
{
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    CM_ASSERT(c != NULL);
    CM_ASSERT(SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1);
    CM_ASSERT(SSL_CTX_set_cipher_list(c, ciphers_of_1_2) == 1);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(c, TLS_TICKET_LIFE_S);
    SSL_CTX_set_app_data(c, t);
    SSL_CTX_set_alpn_select_cb(c, on_alpn, t);
    tls_guard_watch(c);
    CM_ASSERT(SSL_CTX_set_tlsext_ticket_key_evp_cb(c, on_ticket) == 1);
    return c;
}

static struct tls_counters count(SSL_CTX *c)
{
    if (c == NULL)
        return (struct tls_counters){0};
    return (struct tls_counters){.started = (uint64_t)SSL_CTX_sess_accept(c),
                                 .finished = (uint64_t)SSL_CTX_sess_accept_good(c),
                                 .resumed = (uint64_t)SSL_CTX_sess_hits(c)};
}

struct tls_counters tls_counters(const struct tls *t)
{
    struct tls_counters now = count(t->context);
    return (struct tls_counters){.started = t->before.started + now.started,
                                 .finished = t->before.finished + now.finished,
                                 .resumed = t->before.resumed + now.resumed};
}

bool tls_use(struct tls *t, struct slice certificate, struct slice key, char error[TLS_ERROR_MAX])
{
    struct tls_identity id;
    if (!tls_identity_read(&id, certificate, key, error))
        return false;
    SSL_CTX *c = create_context(t);
    bool ok = tls_identity_install(&id, c, error);
    if (ok) {
        t->before = tls_counters(t);
        SSL_CTX_free(t->context);
        t->context = c;
        tls_identity_describe(&id, &t->certificate);
    } else {
        SSL_CTX_free(c);
    }
    tls_identity_fini(&id);
    return ok;
}

bool tls_is_usable(const struct tls *t)
{
    return t->context != NULL;
}

const struct tls_certificate *tls_certificate(const struct tls *t)
{
    CM_ASSERT(tls_is_usable(t));
    return &t->certificate;
}

void tls_set_ticket_keys(struct tls *t, const struct tls_ticket_keys *keys)
{
    tls_tickets_set(&t->tickets, keys);
}

void tls_offer_http2(struct tls *t)
{
    t->http2 = true;
}

SSL_CTX *tls_hold(struct tls *t)
{
    CM_ASSERT(tls_is_usable(t) && SSL_CTX_up_ref(t->context) == 1);
    return t->context;
}
