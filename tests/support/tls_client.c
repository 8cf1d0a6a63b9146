// SPDX-License-Identifier: Apache-2.0
// OpenSSL on both sides, on sockets that never block.
#include "tests/support/tls_client.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/loop_fixture.h"
#include "tests/support/test.h"

enum { WAIT_MS = 5000 };

// -- certificates -----------------------------------------------------------

static EVP_PKEY *make_key(enum test_key kind)
{
    EVP_PKEY *key = kind == TEST_KEY_EC ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048);
    assert_non_null(key);
    return key;
}

static X509 *issue(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, bool ca,
                   long valid_s)
{
    X509 *x = X509_new();
    X509_NAME *subject = X509_get_subject_name(x);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), random());
    X509_gmtime_adj(X509_getm_notBefore(x), valid_s < 0 ? 2 * valid_s : -60);
    X509_gmtime_adj(X509_getm_notAfter(x), valid_s);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, issuer == NULL ? subject : X509_get_subject_name(issuer));
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
                                            ca ? "critical,CA:TRUE" : "CA:FALSE");
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    assert_true(X509_sign(x, issuer_key, EVP_sha256()) > 0);
    return x;
}

static struct slice take_text(BIO *bio)
{
    char *text;
    size_t len = (size_t)BIO_get_mem_data(bio, &text);
    struct slice copy = slice_make(xstrndup(text, len), len);
    BIO_free(bio);
    return copy;
}

static struct slice key_text(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    return take_text(bio);
}

struct test_certificate make_certificate(const char *name, enum test_key kind, bool chained,
                                         long valid_s)
{
    EVP_PKEY *root_key = make_key(TEST_KEY_EC), *middle_key = make_key(TEST_KEY_EC);
    EVP_PKEY *key = make_key(kind);
    X509 *root = issue("root", root_key, NULL, root_key, true, 86400);
    X509 *middle = issue("intermediate", middle_key, root, root_key, true, 86400);
    X509 *leaf =
        issue(name, key, chained ? middle : root, chained ? middle_key : root_key, false, valid_s);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, leaf), 1);
    if (chained)
        assert_int_equal(PEM_write_bio_X509(bio, middle), 1);
    struct test_certificate made = {take_text(bio), key_text(key)};
    X509_free(leaf);
    X509_free(middle);
    X509_free(root);
    EVP_PKEY_free(key);
    EVP_PKEY_free(middle_key);
    EVP_PKEY_free(root_key);
    return made;
}

void free_certificate(struct test_certificate *c)
{
    free((void *)(uintptr_t)c->certificate.ptr);
    free((void *)(uintptr_t)c->key.ptr);
}

// -- the client -------------------------------------------------------------

static int connect_to(int listener)
{
    struct sockaddr_in where;
    socklen_t len = sizeof(where);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&where, &len), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&where, len), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

// One attempt of something on the connection; true when there is no more to wait for.
struct attempt {
    struct tls_client *client;
    int result;
    char *out;
    size_t size, got;
};

static bool is_waiting(const struct attempt *a)
{
    int error = SSL_get_error(a->client->ssl, a->result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static bool try_connect(void *ctx)
{
    struct attempt *a = ctx;
    a->result = SSL_connect(a->client->ssl);
    return a->result == 1 || !is_waiting(a);
}

bool tls_client_open(struct tls_client *c, uv_loop_t *loop, int listener,
                     const struct tls_client_options *options)
{
    static const struct tls_client_options none;
    if (options == NULL)
        options = &none;
    c->loop = loop;
    c->context = SSL_CTX_new(TLS_client_method());
    c->fd = connect_to(listener);
    SSL_CTX_set_security_level(c->context, 0); // so that it offers what is too old
    if (options->version != 0) {
        SSL_CTX_set_min_proto_version(c->context, options->version);
        SSL_CTX_set_max_proto_version(c->context, options->version);
    }
    c->ssl = SSL_new(c->context);
    SSL_set_fd(c->ssl, c->fd);
    if (options->alpn != NULL)
        SSL_set_alpn_protos(c->ssl, (const unsigned char *)options->alpn,
                            (unsigned)strlen(options->alpn));
    if (options->session != NULL)
        assert_int_equal(SSL_set_session(c->ssl, options->session), 1);
    struct attempt a = {.client = c};
    loop_run_until(loop, try_connect, &a, WAIT_MS);
    return a.result == 1;
}

void tls_client_send(struct tls_client *c, struct slice bytes)
{
    while (bytes.len > 0) {
        int sent = SSL_write(c->ssl, bytes.ptr, (int)bytes.len);
        if (sent > 0)
            bytes = slice_skip(bytes, (size_t)sent);
        else if (SSL_get_error(c->ssl, sent) == SSL_ERROR_WANT_WRITE)
            loop_run_for(c->loop, 1);
        else
            return; // cut off: the reader judges
    }
}

static bool try_read(void *ctx)
{
    struct attempt *a = ctx;
    do {
        a->result = SSL_read(a->client->ssl, a->out + a->got, (int)(a->size - a->got));
        if (a->result > 0)
            a->got += (size_t)a->result;
    } while (a->result > 0 && a->got < a->size);
    return a->got == a->size || !is_waiting(a);
}

size_t tls_client_read(struct tls_client *c, char *out, size_t size)
{
    struct attempt a = {.client = c, .out = out, .size = size};
    loop_run_until(c->loop, try_read, &a, WAIT_MS);
    return a.got;
}

SSL_SESSION *tls_client_session(const struct tls_client *c)
{
    SSL_SESSION *session = SSL_get1_session(c->ssl);
    if (session == NULL || SSL_SESSION_is_resumable(session))
        return session;
    SSL_SESSION_free(session);
    return NULL;
}

const char *tls_client_peer(const struct tls_client *c)
{
    static char name[128];
    X509 *shown = SSL_get1_peer_certificate(c->ssl);
    assert_non_null(shown);
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, name, sizeof(name));
    X509_free(shown);
    return name;
}

void tls_client_close(struct tls_client *c)
{
    (void)SSL_shutdown(c->ssl); // OpenSSL resumes no session that was just cut off
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    close(c->fd);
}
