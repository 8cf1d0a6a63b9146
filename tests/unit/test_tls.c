// SPDX-License-Identifier: Apache-2.0
// The TLS side of the server: real handshakes against the test server.
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/http/tls.h"
#include "tests/support/server_fixture.h"
#include "tests/support/test.h"
#include "tests/support/tls_client.h"

static struct {
    struct fixture fixture;
    struct tls *tls;
    int listener;
    struct tls_ticket_keys tickets;
} t;

static void use(enum test_key kind, const char *name, bool chained)
{
    char error[TLS_ERROR_MAX];
    struct test_certificate c = make_certificate(name, kind, chained, 3600);
    if (!tls_use(t.tls, c.certificate, c.key, error))
        fail_msg("%s", error);
    free_certificate(&c);
}

static int start_with(const struct fixture_limits *limits)
{
    memset(&t, 0, sizeof(t));
    fixture_open_limited(&t.fixture, limits);
    t.tls = tls_create();
    assert_false(tls_is_usable(t.tls));
    use(TEST_KEY_EC, "first.example", false);
    util_random(&t.tickets, sizeof(t.tickets));
    tls_set_ticket_keys(t.tls, &t.tickets);
    t.listener = server_bind("127.0.0.1:0", false, 64);
    assert_int_equal(server_listen(t.fixture.server, t.listener, t.tls), 0);
    return 0;
}

static int start(void **state)
{
    (void)state;
    return start_with(&(struct fixture_limits){.head_ms = 0});
}

static int start_short(void **state)
{
    (void)state;
    return start_with(&(struct fixture_limits){.head_ms = 300});
}

static int stop(void **state)
{
    (void)state;
    fixture_close(&t.fixture);
    close(t.listener);
    tls_destroy(t.tls);
    return 0;
}

static bool open_client(struct tls_client *c, const struct tls_client_options *options)
{
    return tls_client_open(c, &t.fixture.loop, t.listener, options);
}

// The answer to a request of that size must be /hello's.
static void expect_hello_of(struct tls_client *c, size_t size)
{
    char answer[2048] = "";
    size_t got = 0;
    while (strstr(answer, "hello world") == NULL && got < sizeof(answer) - 1) {
        if (tls_client_read(c, answer + got, 1) != 1)
            fail_msg("%zu bytes: the connection ended after '%s'", size, answer);
        got++;
    }
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
}

// A request on an open connection; its answer must be /hello's.
static void expect_hello(struct tls_client *c)
{
    tls_client_send(c, SLICE_LIT("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    expect_hello_of(c, 0);
}

static const char *chosen(const struct tls_client *c)
{
    static char text[16];
    const unsigned char *name;
    unsigned len;
    SSL_get0_alpn_selected(c->ssl, &name, &len);
    snprintf(text, sizeof(text), "%.*s", (int)len, (const char *)name);
    return text;
}

static void test_both_kinds_of_keys_and_both_versions(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int kind = TEST_KEY_EC; kind <= TEST_KEY_RSA; kind++) {
        use((enum test_key)kind, "kind.example", kind == TEST_KEY_RSA);
        for (size_t i = 0; i < CM_ARRAY_LEN(versions); i++) {
            struct tls_client c;
            assert_true(open_client(&c, &(struct tls_client_options){.version = versions[i]}));
            assert_int_equal(SSL_version(c.ssl), versions[i]);
            assert_string_equal(tls_client_peer(&c), "kind.example");
            // The intermediate comes with it; the root, which is ours alone, does not.
            assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(c.ssl)), kind + 1);
            assert_int_equal(SSL_CIPHER_is_aead(SSL_get_current_cipher(c.ssl)), 1);
            expect_hello(&c);
            expect_hello(&c);
            tls_client_close(&c);
        }
    }
}

static void test_old_versions_are_refused(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION};
    for (size_t i = 0; i < CM_ARRAY_LEN(versions); i++) {
        struct tls_client c;
        assert_false(open_client(&c, &(struct tls_client_options){.version = versions[i]}));
        assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
        tls_client_close(&c);
        ERR_clear_error();
    }
}

// A server that does not speak HTTP/2, for handshakes alone.
struct old_server {
    struct server *server;
    struct tls *tls;
    int listener;
    bool drained;
};

static void open_old(struct old_server *o)
{
    static const struct server_options options = {.max_connections = 10,
                                                  .idle_timeout_ms = 10000,
                                                  .head_timeout_ms = 10000,
                                                  .write_timeout_ms = 10000};
    char error[TLS_ERROR_MAX];
    struct test_certificate c = make_certificate("old.example", TEST_KEY_EC, false, 3600);
    *o = (struct old_server){.tls = tls_create(),
                             .server = server_create(&t.fixture.loop, &options),
                             .listener = server_bind("127.0.0.1:0", false, 64)};
    assert_true(tls_use(o->tls, c.certificate, c.key, error));
    assert_int_equal(server_listen(o->server, o->listener, o->tls), 0);
    free_certificate(&c);
}

static void on_old_drained(void *ctx)
{
    *(bool *)ctx = true;
}

static void close_old(struct old_server *o)
{
    server_drain(o->server, on_old_drained, &o->drained);
    loop_run_until_set(&t.fixture.loop, &o->drained, 5000);
    server_destroy(o->server);
    tls_destroy(o->tls);
    close(o->listener);
}

static void test_alpn(void **state)
{
    (void)state;
    struct old_server old;
    open_old(&old);
    static const struct {
        const char *offered, *without, *with;
    } cases[] = {{"\x08http/1.1", "http/1.1", "http/1.1"},
                 {"\x02h2\x08http/1.1", "http/1.1", "h2"},
                 {"\x08http/1.1\x02h2", "http/1.1", "h2"}, // we decide
                 {NULL, "", ""},
                 {"\x06spdy/3", NULL, NULL}};
    for (size_t i = 0; i < 2 * CM_ARRAY_LEN(cases); i++) {
        bool http2 = i % 2 == 1;
        const char *want = http2 ? cases[i / 2].with : cases[i / 2].without;
        struct tls_client c;
        bool ok = tls_client_open(&c, &t.fixture.loop, http2 ? t.listener : old.listener,
                                  &(struct tls_client_options){.alpn = cases[i / 2].offered});
        assert_int_equal(ok, want != NULL);
        if (want == NULL)
            assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()),
                             SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
        if (want != NULL)
            assert_string_equal(chosen(&c), want);
        if (http2 && want != NULL && strcmp(want, "h2") != 0)
            expect_hello(&c);
        tls_client_close(&c);
        ERR_clear_error();
    }
    close_old(&old);
}

// libh2o ends a connection that wants it; OpenSSL alone would go on without.
static void test_renegotiation_is_refused(void **state)
{
    (void)state;
    struct tls_client c;
    char byte;
    assert_true(open_client(&c, &(struct tls_client_options){.version = TLS1_2_VERSION}));
    expect_hello(&c);
    assert_int_equal(SSL_renegotiate(c.ssl), 1);
    (void)SSL_do_handshake(c.ssl);
    assert_int_equal(tls_client_read(&c, &byte, 1), 0);
    ERR_clear_error();
    tls_client_close(&c);
}

// Whether a session is resumed; *session becomes the one after it.
static bool resumes(SSL_SESSION **session, int version)
{
    struct tls_client c;
    assert_true(
        open_client(&c, &(struct tls_client_options){.version = version, .session = *session}));
    bool resumed = SSL_session_reused(c.ssl) == 1;
    expect_hello(&c);
    SSL_SESSION_free(*session);
    *session = tls_client_session(&c);
    assert_non_null(*session);
    tls_client_close(&c);
    return resumed;
}

static void rotate(void)
{
    memmove(&t.tickets.key[1], &t.tickets.key[0], sizeof(t.tickets.key[0]) * (TLS_TICKET_KEYS - 1));
    util_random(&t.tickets.key[TLS_TICKET_NEXT], sizeof(t.tickets.key[0]));
    tls_set_ticket_keys(t.tls, &t.tickets);
}

static void check_resumption(int version)
{
    SSL_SESSION *session = NULL, *kept;
    struct tls_counters before = tls_counters(t.tls);
    assert_false(resumes(&session, version));
    for (int i = 0; i < 5; i++) // again and again, by the ticket of the time before
        assert_true(resumes(&session, version));
    for (int i = 0; i < 5; i++) { // a rotated key still opens, and a new ticket comes
        rotate();
        assert_true(resumes(&session, version));
    }
    // A ticket that is kept opens for two rotations.
    for (int rotations = 1; rotations <= 3; rotations++) {
        kept = session;
        SSL_SESSION_up_ref(kept);
        for (int i = 0; i < rotations; i++)
            rotate();
        assert_int_equal(resumes(&kept, version), rotations <= 2);
        SSL_SESSION_free(kept);
        assert_true(rotations == 3 || resumes(&session, version));
    }
    SSL_SESSION_free(session);
    struct tls_counters after = tls_counters(t.tls);
    assert_int_equal(after.resumed - before.resumed, 14);
    assert_int_equal(after.finished - before.finished, 16);
}

static void test_sessions_are_resumed(void **state)
{
    (void)state;
    check_resumption(TLS1_2_VERSION);
    check_resumption(TLS1_3_VERSION);
}

// The next key opens before it seals: a sibling may have rotated a moment earlier.
static void test_a_siblings_next_key_opens(void **state)
{
    (void)state;
    SSL_SESSION *session = NULL;
    struct tls_ticket_keys ours = t.tickets;
    rotate(); // the sibling, who seals with what is still our next key
    assert_false(resumes(&session, TLS1_3_VERSION));
    tls_set_ticket_keys(t.tls, &ours);
    assert_true(resumes(&session, TLS1_3_VERSION));
    SSL_SESSION_free(session);
}

static void test_without_keys_nothing_is_resumed(void **state)
{
    (void)state;
    char error[TLS_ERROR_MAX];
    struct tls_client c;
    struct tls *bare = tls_create();
    struct test_certificate pem = make_certificate("bare.example", TEST_KEY_EC, false, 3600);
    assert_true(tls_use(bare, pem.certificate, pem.key, error));
    int listener = server_bind("127.0.0.1:0", false, 64);
    assert_int_equal(server_listen(t.fixture.server, listener, bare), 0);
    assert_true(tls_client_open(&c, &t.fixture.loop, listener,
                                &(struct tls_client_options){.version = TLS1_2_VERSION}));
    expect_hello(&c);
    SSL_SESSION *session = tls_client_session(&c);
    assert_true(session == NULL || !SSL_SESSION_has_ticket(session));
    SSL_SESSION_free(session);
    tls_client_close(&c);
    server_unlisten(t.fixture.server, listener);
    loop_run_for(&t.fixture.loop, 50);
    close(listener);
    free_certificate(&pem);
    tls_destroy(bare);
}

// Moves what the client has to say into one buffer.
static void take_flight(BIO *out, struct buf *flight)
{
    char bytes[4096];
    for (int got; (got = BIO_read(out, bytes, sizeof(bytes))) > 0;)
        buf_append(flight, bytes, (size_t)got);
}

static bool has_arrived(void *ctx)
{
    raw_poll(ctx);
    struct raw_client *c = ctx;
    return c->in.len > 0 || c->ended || c->reset;
}

// Finished, a request, and a record that nobody can decrypt, in one flight.
static void test_a_bad_record_behind_a_request_ends_one_connection(void **state)
{
    (void)state;
    static const char bad[45] = "\x17\x03\x03\x00\x28";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    struct raw_client c;
    struct buf flight = {0};
    SSL_set_bio(ssl, in, out);
    raw_connect(&c, &t.fixture.loop, t.listener);
    assert_int_equal(SSL_connect(ssl), -1);
    take_flight(out, &flight);
    raw_send(&c, buf_slice(&flight));
    buf_clear(&flight);
    while (!SSL_is_init_finished(ssl)) {
        loop_run_until(&t.fixture.loop, has_arrived, &c, 5000);
        assert_int_equal(BIO_write(in, c.in.ptr, (int)c.in.len), (int)c.in.len);
        buf_clear(&c.in);
        (void)SSL_connect(ssl);
    }
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_true(SSL_write(ssl, request, sizeof(request) - 1) > 0);
    take_flight(out, &flight);
    buf_append(&flight, bad, sizeof(bad));
    raw_send(&c, buf_slice(&flight));
    raw_read_end(&c);
    raw_close(&c);
    buf_fini(&flight);
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
    struct tls_client other;
    assert_true(open_client(&other, NULL));
    expect_hello(&other);
    tls_client_close(&other);
}

// A first part of that size, which is answered only when the rest has come.
static void check_first_part(size_t size, int version)
{
    static const char head[] = "GET /hello HTTP/1.1\r\nHost: x\r\nX-Filler: ";
    struct tls_client c;
    struct buf request = {0};
    buf_append_str(&request, head);
    while (request.len < size)
        buf_append_char(&request, 'x');
    assert_true(open_client(&c, &(struct tls_client_options){.version = version}));
    tls_client_send(&c, buf_slice(&request));
    loop_run_for(&t.fixture.loop, 5);
    tls_client_send(&c, SLICE_LIT("\r\n\r\n"));
    expect_hello_of(&c, size);
    expect_hello(&c);
    tls_client_close(&c);
    buf_fini(&request);
}

// Sizes around those that fill libh2o's reader to the brim: 8,192 and 16,384 less
// what TLS adds, 22 bytes in TLS 1.3 and 29 in TLS 1.2.
static void test_parts_that_fill_the_reader(void **state)
{
    (void)state;
    for (size_t around = 8192; around <= 16384; around += 8192) {
        for (size_t added = 19; added <= 25; added++)
            check_first_part(around - added, TLS1_3_VERSION);
        for (size_t added = 27; added <= 31; added++)
            check_first_part(around - added, TLS1_2_VERSION);
    }
}

// A client that is cut off leaves nothing behind: libh2o says goodbye to it all the
// same, on a socket that libuv does not write to any more.
static void test_a_reset_costs_no_connection(void **state)
{
    (void)state;
    static const struct linger now = {.l_onoff = 1};
    for (int i = 0; i < 20; i++) {
        struct tls_client c;
        assert_true(open_client(&c, NULL));
        if (i % 2 == 0)
            expect_hello(&c);
        else
            tls_client_send(&c, SLICE_LIT("GET /big HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
        SSL_set_quiet_shutdown(c.ssl, i % 4 < 2);
        tls_client_close(&c);
        ERR_clear_error();
    }
    // The fixture waits until none is open.
}

// Who connects has CM_HEAD_TIMEOUT_S for the handshake and a first head together.
static void test_a_handshake_has_its_time(void **state)
{
    (void)state;
    struct raw_client silent, half;
    struct tls_client done;
    raw_connect(&silent, &t.fixture.loop, t.listener);
    raw_connect(&half, &t.fixture.loop, t.listener);
    raw_send(&half, SLICE_LIT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"));
    assert_true(open_client(&done, NULL));
    raw_read_end(&silent);
    raw_read_end(&half);
    char byte;
    assert_int_equal(tls_client_read(&done, &byte, 1), 0);
    raw_close(&silent);
    raw_close(&half);
    tls_client_close(&done);
    ERR_clear_error();
}

static bool is_cut(void *ctx)
{
    struct tls_client *c = ctx;
    static const char junk[65536];
    for (int i = 0; i < 16; i++)
        if (send(c->fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
            return true;
    return false;
}

// Whoever has said that nothing more will come, and goes on, is cut off; an answer
// that is owed is given.
static void test_nothing_is_kept_after_close_notify(void **state)
{
    (void)state;
    struct tls_client c;
    assert_true(open_client(&c, NULL));
    expect_hello(&c);
    assert_int_equal(SSL_shutdown(c.ssl), 0);
    loop_run_until(&t.fixture.loop, is_cut, &c, 5000);
    tls_client_close(&c);
    assert_true(open_client(&c, NULL));
    tls_client_send(&c, SLICE_LIT("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(SSL_shutdown(c.ssl), 0);
    expect_hello_of(&c, 0);
    tls_client_close(&c);
}

static void test_a_new_certificate_leaves_open_connections_alone(void **state)
{
    (void)state;
    char error[TLS_ERROR_MAX];
    struct tls_client waiting, open, late;
    SSL_SESSION *session = NULL;
    // Made before somebody waits: an RSA key may take a busy machine seconds.
    struct test_certificate second[3];
    for (size_t i = 0; i < CM_ARRAY_LEN(second); i++)
        second[i] = make_certificate("second.example", TEST_KEY_RSA, false, 3600);
    assert_false(resumes(&session, TLS1_3_VERSION));
    assert_true(open_client(&open, NULL));
    // Accepted, and nothing said yet: libh2o holds the old context's bare pointer.
    struct raw_client silent;
    raw_connect(&silent, &t.fixture.loop, t.listener);
    loop_run_for(&t.fixture.loop, 20);
    uint64_t before = tls_counters(t.tls).finished;
    for (size_t i = 0; i < CM_ARRAY_LEN(second); i++) {
        assert_true(tls_use(t.tls, second[i].certificate, second[i].key, error));
        free_certificate(&second[i]);
    }
    assert_int_equal(tls_counters(t.tls).finished, before); // counts do not begin anew
    raw_close(&silent);
    expect_hello(&open);
    assert_string_equal(tls_client_peer(&open), "first.example");
    assert_true(open_client(&late, NULL));
    assert_string_equal(tls_client_peer(&late), "second.example");
    assert_true(resumes(&session, TLS1_3_VERSION)); // tickets do not care
    SSL_SESSION_free(session);
    assert_true(open_client(&waiting, NULL));
    expect_hello(&late);
    expect_hello(&waiting);
    tls_client_close(&open);
    tls_client_close(&late);
    tls_client_close(&waiting);
}

static void expect_refused(struct slice certificate, struct slice key, const char *why)
{
    char error[TLS_ERROR_MAX] = "";
    struct tls_certificate before = *tls_certificate(t.tls);
    assert_false(tls_use(t.tls, certificate, key, error));
    if (strstr(error, why) == NULL)
        fail_msg("'%s' does not say '%s'", error, why);
    assert_memory_equal(&before, tls_certificate(t.tls), sizeof(before));
    assert_int_equal(ERR_peek_error(), 0); // nothing is left for the next connection
}

// The key under a passphrase, as openssl req writes it when it is not told otherwise.
static struct slice encrypt_key(struct slice text)
{
    BIO *in = BIO_new_mem_buf(text.ptr, (int)text.len), *out = BIO_new(BIO_s_mem());
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    char *made;
    assert_int_equal(PEM_write_bio_PrivateKey(out, key, EVP_aes_128_cbc(),
                                              (const unsigned char *)"pass", 4, NULL, NULL),
                     1);
    size_t len = (size_t)BIO_get_mem_data(out, &made);
    struct slice copy = slice_make(xstrndup(made, len), len);
    EVP_PKEY_free(key);
    BIO_free(in);
    BIO_free(out);
    return copy;
}

static void test_bad_certificates_are_refused_with_a_reason(void **state)
{
    (void)state;
    struct test_certificate a = make_certificate("a.example", TEST_KEY_EC, true, 3600);
    struct test_certificate b = make_certificate("b.example", TEST_KEY_EC, false, 3600);
    struct test_certificate rsa = make_certificate("c.example", TEST_KEY_RSA, false, 3600);
    struct slice secret = encrypt_key(a.key), cut = a.certificate;
    struct slice nonsense = SLICE_LIT("-----BEGIN NONSENSE-----\n");
    cut.len -= 60;
    expect_refused(SLICE_LIT(""), a.key, "no certificate can be read");
    expect_refused(nonsense, a.key, "no certificate can be read");
    expect_refused(a.key, a.key, "no certificate can be read");
    expect_refused(cut, a.key, "certificate 2 of the certificate file cannot be read");
    expect_refused(a.certificate, SLICE_LIT(""), "no private key can be read");
    expect_refused(a.certificate, a.certificate, "no private key can be read");
    expect_refused(a.certificate, secret, "without a passphrase");
    expect_refused(a.certificate, b.key, "does not belong");
    expect_refused(a.certificate, rsa.key, "does not belong");
    free((void *)(uintptr_t)secret.ptr);
    free_certificate(&a);
    free_certificate(&b);
    free_certificate(&rsa);
}

static void test_an_expired_one_is_taken_and_described(void **state)
{
    (void)state;
    char error[TLS_ERROR_MAX];
    struct test_certificate c = make_certificate("old.example", TEST_KEY_EC, false, -86400);
    assert_true(tls_use(t.tls, c.certificate, c.key, error));
    const struct tls_certificate *is = tls_certificate(t.tls);
    int64_t now = clock_wall_s();
    assert_string_equal(is->subject, "CN = old.example");
    assert_int_equal(strlen(is->fingerprint), TLS_FINGERPRINT_LEN);
    assert_in_range(is->not_after, now - 86410, now - 86390);
    assert_in_range(is->not_before, now - 2 * 86400 - 10, now - 2 * 86400 + 10);
    free_certificate(&c);
}

#define CASE(function_) cmocka_unit_test_setup_teardown(function_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_both_kinds_of_keys_and_both_versions),
        CASE(test_old_versions_are_refused),
        CASE(test_alpn),
        CASE(test_renegotiation_is_refused),
        CASE(test_sessions_are_resumed),
        CASE(test_a_siblings_next_key_opens),
        CASE(test_without_keys_nothing_is_resumed),
        CASE(test_a_bad_record_behind_a_request_ends_one_connection),
        CASE(test_parts_that_fill_the_reader),
        CASE(test_nothing_is_kept_after_close_notify),
        CASE(test_a_reset_costs_no_connection),
        cmocka_unit_test_setup_teardown(test_a_handshake_has_its_time, start_short, stop),
        CASE(test_a_new_certificate_leaves_open_connections_alone),
        CASE(test_bad_certificates_are_refused_with_a_reason),
        CASE(test_an_expired_one_is_taken_and_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
