// SPDX-License-Identifier: Apache-2.0
// From two PEM texts to something that can be shown to clients, with reasons that
// tell an operator which of the two files is wrong.
#include "common/http/tls_identity.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

// Takes the latest error out of OpenSSL's queue. Always false.
static bool refuse(char error[TLS_ERROR_MAX], const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *why = code == 0 ? NULL : ERR_reason_error_string(code);
    snprintf(error, TLS_ERROR_MAX, "%s%s%s", what, why == NULL ? "" : ": ", why == NULL ? "" : why);
    ERR_clear_error();
    return false;
}

static BIO *open_text(struct slice text)
{
    BIO *bio = BIO_new_mem_buf(text.len == 0 ? "" : text.ptr, (int)text.len);
    CM_ASSERT(text.len <= INT_MAX && bio != NULL);
    return bio;
}

// Nobody can be asked for a passphrase; without this OpenSSL would ask the terminal.
static int on_passphrase(char *out, int size, int writing, void *arg)
{
    (void)writing;
    if (size > 0)
        out[0] = '\0';
    *(bool *)arg = true;
    return -1;
}

static bool read_chain(struct tls_identity *id, BIO *bio, char error[TLS_ERROR_MAX])
{
    id->leaf = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    if (id->leaf == NULL)
        return refuse(error, "no certificate can be read from the certificate file");
    id->chain = sk_X509_new_null();
    CM_ASSERT(id->chain != NULL);
    for (X509 *next; (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL;)
        CM_ASSERT(sk_X509_push(id->chain, next) > 0);
    // The end of the text is the one error that is none.
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        char what[80];
        snprintf(what, sizeof(what), "certificate %d of the certificate file cannot be read",
                 sk_X509_num(id->chain) + 2);
        return refuse(error, what);
    }
    ERR_clear_error();
    return true;
}

static bool read_key(struct tls_identity *id, BIO *bio, char error[TLS_ERROR_MAX])
{
    bool asked = false;
    id->key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &asked);
    if (id->key != NULL)
        return true;
    if (!asked)
        return refuse(error, "no private key can be read from the key file");
    ERR_clear_error();
    return refuse(error, "the private key is encrypted: store it without a passphrase");
}

static bool check_pair(const struct tls_identity *id, char error[TLS_ERROR_MAX])
{
    if (X509_check_private_key(id->leaf, id->key) == 1)
        return true;
    ERR_clear_error();
    return refuse(error, "the private key does not belong to the first certificate");
}

static bool read_both(struct tls_identity *id, BIO *certificate, BIO *key,
                      char error[TLS_ERROR_MAX])
{
    return read_chain(id, certificate, error) && read_key(id, key, error) && check_pair(id, error);
}

bool tls_identity_read(struct tls_identity *id, struct slice certificate, struct slice key,
                       char error[TLS_ERROR_MAX])
{
    BIO *certificate_text = open_text(certificate), *key_text = open_text(key);
    *id = (struct tls_identity){.leaf = NULL};
    ERR_clear_error();
    bool ok = read_both(id, certificate_text, key_text, error);
    BIO_free(certificate_text);
    BIO_free(key_text);
    if (!ok)
        tls_identity_fini(id);
    return ok;
}

bool tls_identity_install(const struct tls_identity *id, SSL_CTX *context,
                          char error[TLS_ERROR_MAX])
{
    return SSL_CTX_use_cert_and_key(context, id->leaf, id->key, id->chain, 1) == 1 ||
           refuse(error, "the certificate is refused");
}

static int64_t to_unix(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

void tls_identity_describe(const struct tls_identity *id, struct tls_certificate *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    BIO *text = BIO_new(BIO_s_mem());
    memset(out, 0, sizeof(*out));
    out->not_before = to_unix(X509_get0_notBefore(id->leaf));
    out->not_after = to_unix(X509_get0_notAfter(id->leaf));
    CM_ASSERT(text != NULL && X509_digest(id->leaf, EVP_sha256(), digest, &len) == 1 &&
              len * 2 == TLS_FINGERPRINT_LEN);
    util_hex_encode(digest, len, out->fingerprint);
    X509_NAME_print_ex(text, X509_get_subject_name(id->leaf), 0,
                       XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
    (void)BIO_read(text, out->subject, TLS_SUBJECT_MAX - 1);
    BIO_free(text);
}

void tls_identity_fini(struct tls_identity *id)
{
    X509_free(id->leaf);
    sk_X509_pop_free(id->chain, X509_free);
    EVP_PKEY_free(id->key);
    *id = (struct tls_identity){.leaf = NULL};
}
