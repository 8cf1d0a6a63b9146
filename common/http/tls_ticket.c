// SPDX-License-Identifier: Apache-2.0
// OpenSSL does the work; here is only which key.
#include "common/http/tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <string.h>

enum { NO_KEY = 0, PREPARED = 1, RENEW = 2, FAILED = -1, IV_LEN = 16 };

void tls_tickets_init(struct tls_tickets *t)
{
    *t = (struct tls_tickets){.cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL)};
    CM_ASSERT(t->cipher != NULL);
}

void tls_tickets_fini(struct tls_tickets *t)
{
    EVP_CIPHER_free(t->cipher);
    explicit_bzero(t, sizeof(*t));
}

void tls_tickets_set(struct tls_tickets *t, const struct tls_ticket_keys *keys)
{
    t->keys = *keys;
    t->known = true;
}

static bool key_mac(EVP_MAC_CTX *mac, const struct tls_ticket_key *key)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac,
                                          sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

int tls_tickets_seal(const struct tls_tickets *t, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    const struct tls_ticket_key *key = &t->keys.key[TLS_TICKET_NOW];
    if (!t->known)
        return NO_KEY;
    memcpy(name, key->name, sizeof(key->name));
    if (RAND_bytes(iv, IV_LEN) != 1 || !key_mac(mac, key) ||
        EVP_EncryptInit_ex2(cipher, t->cipher, key->cipher, iv, NULL) != 1)
        return FAILED;
    return PREPARED;
}

int tls_tickets_open(const struct tls_tickets *t, const unsigned char *name,
                     const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    int at = 0;
    while (at < TLS_TICKET_KEYS && memcmp(t->keys.key[at].name, name, 16) != 0)
        at++;
    if (!t->known || at == TLS_TICKET_KEYS)
        return NO_KEY;
    const struct tls_ticket_key *key = &t->keys.key[at];
    if (!key_mac(mac, key) || EVP_DecryptInit_ex2(cipher, t->cipher, key->cipher, iv, NULL) != 1)
        return FAILED;
    return at > TLS_TICKET_NOW ? RENEW : PREPARED;
}
