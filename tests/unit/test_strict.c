// SPDX-License-Identifier: Apache-2.0
// HTTP/1 heads on which two readers could disagree, and those that only look odd.
#include <stdlib.h>
#include <string.h>

#include "tests/support/server_fixture.h"
#include "tests/support/test.h"

static struct fixture fixture;

static int setup(void **state)
{
    *state = &fixture;
    fixture_open(&fixture, 0, 0);
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

// A second request follows each: it must never be answered.
#define NEXT "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"

static void expect_400(const char *request, const char *body)
{
    struct raw_client c;
    fixture_connect(&fixture, &c);
    raw_send_str(&c, request);
    raw_send_str(&c, NEXT);
    struct raw_response r = raw_read(&c, false);
    if (r.status != 400)
        fail_msg("'%s' gets %d", request, r.status);
    assert_slice(r.body, body);
    assert_slice(raw_header(&r, "connection"), "close");
    raw_read_end(&c);
    assert_false(c.reset);
    assert_int_equal(c.in.len, 0);
    raw_close(&c);
}

static void test_what_does_not_parse(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "GET /a HTTP/1.1\nHost: x\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\n\n",
        "\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nA\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nA: \x7f\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
        "GET /a\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET  /a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a  HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a HTTP/1.10\r\nHost: x\r\n\r\n",
        "GET /a HTTP/2.0\r\nHost: x\r\n\r\n",
        "GET /a http/1.1\r\nHost: x\r\n\r\n",
        "GET /a\r\n\r\n",
    };
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++)
        expect_400(bad[i], "Bad Request");
    assert_int_equal(fixture.handled, 0);
}

static void test_what_contradicts_itself(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        "Transfer-Encoding: chunked\r\n\r\n",
        "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /a HTTP/1.1\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET /a HTTP/1.0\r\nHost: x\r\nhost: y\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET /a HTTP/1.9\r\nHost: x\r\n\r\n",
        "G(T /a HTTP/1.1\r\nHost: x\r\n\r\n",
        "G\xC3\x89T /a HTTP/1.1\r\nHost: x\r\n\r\n",
        " /a HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++)
        expect_400(bad[i], "{\"refused\":400,\"path\":\"/a\"}");
    expect_400("GET a HTTP/1.1\r\nHost: x\r\n\r\n", "{\"refused\":400,\"path\":\"a\"}");
    expect_400("GET * HTTP/1.1\r\nHost: x\r\n\r\n", "{\"refused\":400,\"path\":\"*\"}");
    assert_int_equal(fixture.handled, 0);
}

static void expect(const char *request, int status)
{
    struct raw_client c;
    fixture_connect(&fixture, &c);
    raw_send_str(&c, request);
    struct raw_response r = raw_read(&c, false);
    if (r.status != status)
        fail_msg("'%s' gets %d", request, r.status);
    raw_close(&c);
}

static void test_what_only_looks_odd(void **state)
{
    (void)state;
    expect("\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n", 200);
    expect("GET /hello HTTP/1.1\r\nHost:\r\n\r\n", 200);
    expect("GET /hello HTTP/1.1\r\nhost: [::1]:80\r\nA:\r\nA:\t\r\n\r\n", 200);
    expect("GET /hello HTTP/1.0\r\n\r\n", 200);
    expect("M-SEARCH /hello HTTP/1.1\r\nHost: x\r\n\r\n", 200);
    expect("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404);
    expect("CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 404);
    expect("GET http://x/hello HTTP/1.1\r\nHost: x\r\n\r\n", 404); // the fixture takes it as it is
    expect("GET /hello HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", 200);
}

// HTTP/1.0 knows no expectation: it gets one answer, not two.
static void test_expect_of_http_1_0(void **state)
{
    (void)state;
    struct raw_client c;
    fixture_connect(&fixture, &c);
    raw_send_str(&c, "POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok");
    struct raw_response r = raw_read(&c, false);
    assert_int_equal(r.status, 200);
    assert_slice(r.body, "ok");
    raw_close(&c);
}

// A head of so many bytes, or with so many fields.
static struct buf head_of(size_t bytes, unsigned fields)
{
    struct buf b = {0};
    buf_append_str(&b, "GET /hello HTTP/1.1\r\nHost: x\r\n");
    for (unsigned i = 1; i < fields; i++)
        buf_append_str(&b, "A: b\r\n");
    if (bytes > 0) {
        buf_append_str(&b, "Long: ");
        while (b.len < bytes - 4)
            buf_append_str(&b, "x");
        buf_append_str(&b, "\r\n");
    }
    buf_append_str(&b, "\r\n");
    return b;
}

static void expect_head(size_t bytes, unsigned fields, int status)
{
    struct buf head = head_of(bytes, fields);
    expect(buf_cstr(&head), status);
    buf_fini(&head);
}

static void test_limits(void **state)
{
    (void)state;
    expect_head(16 * 1024, 1, 200);
    expect_head(16 * 1024 + 1, 1, 431);
    expect_head(1 << 20, 1, 431); // reaches a client that is still sending
    expect_head(0, 100, 200);
    expect_head(0, 101, 400);
    assert_int_equal(fixture.handled, 2);
}

// The limit is one head's: what is pipelined behind it has its own.
static void test_pipelined_heads(void **state)
{
    (void)state;
    struct raw_client c;
    fixture_connect(&fixture, &c);
    for (int i = 0; i < 5; i++) {
        struct buf head = head_of(15000, 1);
        raw_send(&c, buf_slice(&head));
        buf_fini(&head);
    }
    for (int i = 0; i < 5; i++)
        assert_int_equal(raw_read(&c, false).status, 200);
    raw_close(&c);
}

int main(void)
{
#define TEST(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_does_not_parse),
        TEST(test_what_contradicts_itself),
        TEST(test_what_only_looks_odd),
        TEST(test_expect_of_http_1_0),
        TEST(test_limits),
        TEST(test_pipelined_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
