// SPDX-License-Identifier: Apache-2.0
// What goes over the wire: raw HTTP/1 bytes against a server in the same loop.
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/support/server_fixture.h"
#include "tests/support/test.h"

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    fixture_open(f, 0, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static void expect_hello(struct raw_client *c)
{
    struct raw_response r = raw_read(c, false);
    assert_int_equal(r.status, 200);
    assert_slice(r.body, "hello world");
}

static void test_headers_of_every_response(void **state)
{
    struct raw_client c;
    fixture_connect(*state, &c);
    raw_send_str(&c, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    struct raw_response r = raw_read(&c, false);
    assert_slice(r.body, "hello world");
    assert_slice(raw_header(&r, "content-length"), "11");
    assert_slice(raw_header(&r, "content-type"), "text/plain");
    assert_slice(raw_header(&r, "connection"), "keep-alive");
    assert_true(raw_header(&r, "date").len > 20);
    assert_null(raw_header(&r, "server").ptr);
    assert_null(raw_header(&r, "transfer-encoding").ptr);
    struct slice id = raw_header(&r, "x-request-id");
    assert_int_equal(id.len, CALL_REQUEST_ID_LEN);
    assert_true(slice_starts_with(id, SLICE_LIT("req_cm_")));
    assert_int_equal(strspn(id.ptr + 7, "0123456789abcdef"), 32);
    assert_true(slice_equal(id, raw_header(&r, "request-id")));
    raw_close(&c);
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, CALL_REQUEST_ID_LEN);
}

static void test_pipelining_keeps_order_and_ids_differ(void **state)
{
    enum { COUNT = 1000 };
    static char ids[COUNT][CALL_REQUEST_ID_LEN];
    struct raw_client c;
    struct buf out = {0};
    fixture_connect(*state, &c);
    for (int i = 0; i < COUNT; i++)
        buf_printf(&out, "GET /raw/%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
    raw_send(&c, buf_slice(&out));
    for (int i = 0; i < COUNT; i++) {
        char want[40];
        snprintf(want, sizeof(want), "GET|/raw/%d|-|-", i);
        struct raw_response r = raw_read(&c, false);
        assert_slice(r.body, want);
        memcpy(ids[i], raw_header(&r, "request-id").ptr, CALL_REQUEST_ID_LEN);
    }
    qsort(ids, COUNT, sizeof(ids[0]), compare_ids);
    for (int i = 1; i < COUNT; i++)
        assert_true(compare_ids(ids[i - 1], ids[i]) != 0);
    buf_fini(&out);
    raw_close(&c);
}

static void test_head_has_gets_headers_and_nothing_else(void **state)
{
    struct raw_client c;
    fixture_connect(*state, &c);
    raw_send_str(&c, "HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n"
                     "HEAD /big HTTP/1.1\r\nHost: x\r\n\r\n"
                     "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    struct raw_response r = raw_read(&c, true);
    assert_slice(raw_header(&r, "content-length"), "11");
    assert_slice(raw_header(&r, "content-type"), "text/plain");
    r = raw_read(&c, true);
    assert_int_equal(r.status, 200);
    expect_hello(&c);
    raw_close(&c);
}

static void test_304_and_204_end_with_their_head(void **state)
{
    struct raw_client c;
    fixture_connect(*state, &c);
    raw_send_str(&c, "GET /304 HTTP/1.1\r\nHost: x\r\n\r\n"
                     "GET /204 HTTP/1.1\r\nHost: x\r\n\r\n"
                     "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    static const int statuses[] = {304, 204};
    for (size_t i = 0; i < 2; i++) {
        struct raw_response r = raw_read(&c, true);
        assert_int_equal(r.status, statuses[i]);
        assert_null(raw_header(&r, "content-length").ptr);
        assert_null(raw_header(&r, "transfer-encoding").ptr);
        assert_int_equal(raw_header(&r, "request-id").len, CALL_REQUEST_ID_LEN);
    }
    expect_hello(&c);
    raw_close(&c);
}

static void test_large_body_in_many_parts_to_a_slow_reader(void **state)
{
    struct fixture *f = *state;
    struct raw_client c;
    fixture_connect(f, &c);
    raw_send_str(&c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    // Nothing is read: the socket's buffers fill, and the parts stay pinned.
    loop_run_for(&f->loop, 100);
    assert_int_equal(f->pinned, 1);
    assert_int_equal(f->unpinned, 0);
    struct raw_response r = raw_read(&c, false);
    assert_int_equal(r.body.len, (size_t)FIXTURE_PARTS * FIXTURE_PART);
    for (size_t i = 0; i < r.body.len; i++)
        if (r.body.ptr[i] != fixture_big_byte(i))
            fail_msg("byte %zu differs", i);
    expect_hello(&c);
    assert_true(f->unpinned >= 1);
    raw_close(&c);
}

static void test_client_leaves_in_the_middle_of_a_body(void **state)
{
    struct fixture *f = *state;
    struct raw_client c;
    fixture_connect(f, &c);
    raw_send_str(&c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    loop_run_for(&f->loop, 50);
    raw_close(&c);
}

static void test_bodies(void **state)
{
    struct raw_client c;
    fixture_connect(*state, &c);
    raw_send_str(&c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
                     "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "3\r\nxyz\r\n2\r\n12\r\n0\r\n\r\n"
                     "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_slice(raw_read(&c, false).body, "abcde");
    assert_slice(raw_read(&c, false).body, "xyz12");
    assert_slice(raw_read(&c, false).body, "");
    raw_send_str(&c, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                     "Content-Length: 2\r\n\r\n");
    struct raw_response r = raw_read(&c, true);
    assert_int_equal(r.status, 100);
    raw_send_str(&c, "ok");
    assert_slice(raw_read(&c, false).body, "ok");
    raw_close(&c);
}

static void test_deferred_answers(void **state)
{
    struct fixture *f = *state;
    struct raw_client a, b;
    fixture_connect(f, &a);
    fixture_connect(f, &b);
    raw_send_str(&a,
                 "GET /defer HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_send_str(&b, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n");
    fixture_wait_deferred(f, 2);
    assert_int_equal(server_counters(f->server)->in_flight, 2);
    assert_true(fixture_answer(f));
    assert_true(fixture_answer(f));
    assert_slice(raw_read(&a, false).body, "later");
    assert_slice(raw_read(&b, false).body, "later");
    expect_hello(&a);
    raw_close(&a);
    raw_close(&b);
}

static void test_client_leaves_during_a_deferred_call(void **state)
{
    struct fixture *f = *state;
    struct raw_client c;
    fixture_connect(f, &c);
    raw_send_str(&c, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n");
    fixture_wait_deferred(f, 1);
    raw_close(&c);
    loop_run_for(&f->loop, 50);
    fixture_answer(f); // whether it is seen as gone depends on the protocol
}

static void expect_refusal(struct fixture *f, const char *request, int status, const char *body)
{
    struct raw_client c;
    fixture_connect(f, &c);
    raw_send_str(&c, request);
    struct raw_response r = raw_read(&c, false);
    assert_int_equal(r.status, status);
    assert_slice(r.body, body);
    assert_slice(raw_header(&r, "content-type"), "application/json");
    assert_slice(raw_header(&r, "connection"), "close");
    assert_null(raw_header(&r, "transfer-encoding").ptr);
    assert_int_equal(raw_header(&r, "x-request-id").len, CALL_REQUEST_ID_LEN);
    assert_true(slice_equal(raw_header(&r, "x-request-id"), raw_header(&r, "request-id")));
    raw_read_end(&c);
    raw_close(&c);
}

static void test_refusals_of_libh2o_leave_as_ours(void **state)
{
    expect_refusal(*state, "POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 4097\r\n\r\n", 413,
                   "{\"refused\":413,\"path\":\"/a\"}");
    expect_refusal(*state, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1,2\r\n\r\n", 400,
                   "{\"refused\":400,\"path\":\"/a\"}");
    expect_refusal(*state, "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400,
                   "{\"refused\":400,\"path\":\"/a\"}");
    expect_refusal(*state,
                   "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", 400,
                   "{\"refused\":400,\"path\":\"/a\"}");
    expect_refusal(*state,
                   "POST /a HTTP/1.1\r\nHost: x\r\nExpect: magic\r\nContent-Length: 1\r\n\r\n", 417,
                   "{\"refused\":417,\"path\":\"/a\"}");
    expect_refusal(*state, "POST /a HTTP/1.0\r\nContent-Length: 4097\r\n\r\n", 413,
                   "{\"refused\":413,\"path\":\"/a\"}");
    assert_int_equal(((struct fixture *)*state)->handled, 0);
}

static void test_refusal_of_a_head_request_has_no_body(void **state)
{
    struct raw_client c;
    fixture_connect(*state, &c);
    raw_send_str(&c, "HEAD /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4097\r\n\r\n");
    struct raw_response r = raw_read(&c, true);
    assert_int_equal(r.status, 413);
    assert_slice(raw_header(&r, "content-length"), "27");
    raw_read_end(&c);
    assert_int_equal(c.in.len, 0);
    raw_close(&c);
}

// The client sends ten megabytes before it looks: without a lingering end the
// server's close would be a reset that takes the answer along.
static void test_413_reaches_a_client_that_is_still_sending(void **state)
{
    static char megabyte[1 << 20];
    struct raw_client c;
    memset(megabyte, 'x', sizeof(megabyte));
    fixture_connect(*state, &c);
    raw_send_str(&c, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n");
    for (int i = 0; i < 10; i++)
        raw_send(&c, slice_make(megabyte, sizeof(megabyte)));
    struct raw_response r = raw_read(&c, false);
    assert_int_equal(r.status, 413);
    raw_read_end(&c);
    assert_false(c.reset);
    raw_close(&c);
}

static void test_unparsable_gets_libh2os_400(void **state)
{
    static const char *const bad[] = {"GARBAGE\r\n\r\n", "GET / HTTP/2.7\r\n\r\n",
                                      "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
                                      "GET / HTTP/1.1\r\nA: \x01\r\n\r\n", "\x16\x03\x01\x02"};
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++) {
        struct raw_client c;
        fixture_connect(*state, &c);
        raw_send_str(&c, bad[i]);
        assert_slice(raw_read(&c, false).body, "Bad Request");
        raw_read_end(&c);
        raw_close(&c);
    }
}

static void expect_raw(struct fixture *f, const char *request, const char *want)
{
    struct raw_client c;
    fixture_connect(f, &c);
    raw_send_str(&c, request);
    struct raw_response r = raw_read(&c, false);
    assert_int_equal(r.status, 200);
    assert_slice(r.body, want);
    raw_close(&c);
}

static void test_the_path_arrives_as_it_was_sent(void **state)
{
    expect_raw(*state, "GET /raw/%2e%2e/a%2Fb//c?x=/../?y HTTP/1.1\r\nHost: x\r\n\r\n",
               "GET|/raw/%2e%2e/a%2Fb//c|x=/../?y|-");
    expect_raw(*state, "GET /raw? HTTP/1.1\r\nHost: x\r\n\r\n", "GET|/raw||-");
    expect_raw(*state, "BREW /raw HTTP/1.1\r\nHost: x\r\n\r\n", "BREW|/raw|-|-");
    expect_raw(*state, "GET /raw HTTP/1.1\r\nHost: x\r\nX-TEST: \t a b \t\r\nX-Test: 2\r\n\r\n",
               "GET|/raw|-|a b");
    expect_raw(*state, "GET /raw HTTP/1.1\r\nHost: x\r\nX-Test:\r\n\r\n", "GET|/raw|-|");
}

static void test_oddities_are_answered(void **state)
{
    static const char *const odd[] = {
        " /x HTTP/1.1\r\n\r\n",
        "GET * HTTP/1.1\r\n\r\n",
        "GET hello HTTP/1.1\r\n\r\n",
        "GET http://h/hello HTTP/1.1\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET ? HTTP/1.1\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\n\r\n",
        "GET /%00%zz%1 HTTP/1.1\r\n\r\n",
        "G\xC3\x89T /\xFF HTTP/1.1\r\n\r\n",
        "GET /../../.. HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: [::\r\nConnection: ,,upgrade\r\nUpgrade: h2c\r\n\r\n"};
    for (size_t i = 0; i < CM_ARRAY_LEN(odd); i++) {
        struct raw_client c;
        fixture_connect(*state, &c);
        raw_send_str(&c, odd[i]);
        struct raw_response r = raw_read(&c, false);
        if (r.status != 404 && r.status != 400)
            fail_msg("%s gets %d", odd[i], r.status);
        raw_close(&c);
    }
}

static void test_http_1_0_and_connection_close(void **state)
{
    static const char *const last[] = {"GET /hello HTTP/1.0\r\n\r\n",
                                       "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n"};
    for (size_t i = 0; i < CM_ARRAY_LEN(last); i++) {
        struct raw_client c;
        fixture_connect(*state, &c);
        raw_send_str(&c, last[i]);
        struct raw_response r = raw_read(&c, false);
        assert_slice(raw_header(&r, "connection"), "close");
        raw_read_end(&c);
        assert_false(c.reset);
        raw_close(&c);
    }
}

static void test_connection_memory_is_the_connections(void **state)
{
    struct raw_client a, b;
    fixture_connect(*state, &a);
    fixture_connect(*state, &b);
    static const char get[] = "GET /count HTTP/1.1\r\nHost: x\r\n\r\n";
    raw_send_str(&a, get);
    assert_slice(raw_read(&a, false).body, "1");
    raw_send_str(&a, get);
    assert_slice(raw_read(&a, false).body, "2");
    raw_send_str(&b, get);
    assert_slice(raw_read(&b, false).body, "1");
    raw_close(&a);
    raw_close(&b);
}

static bool one_access(void *ctx)
{
    return ((struct fixture *)ctx)->accesses == 1;
}

static void test_access_is_reported_once(void **state)
{
    struct fixture *f = *state;
    struct raw_client c;
    fixture_connect(f, &c);
    raw_send_str(&c, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n");
    fixture_wait_deferred(f, 1);
    assert_int_equal(f->accesses, 0);
    uint64_t start = clock_boot_us();
    loop_run_for(&f->loop, 30);
    fixture_answer(f);
    (void)raw_read(&c, false);
    loop_run_until(&f->loop, one_access, f, 1000);
    assert_int_equal(f->last_access.status, 200);
    assert_int_equal(f->last_access.body_len, 5);
    assert_int_equal(f->last_access.http_version, 0x101);
    assert_in_range(f->last_access.duration_us, 20000, clock_boot_us() - start + 1000000);
    raw_close(&c);
}

// In one turn of the loop; the clock goes on meanwhile.
static void test_access_at_once_took_time(void **state)
{
    struct fixture *f = *state;
    struct raw_client c;
    fixture_connect(f, &c);
    raw_send_str(&c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)raw_read(&c, false);
    loop_run_until(&f->loop, one_access, f, 1000);
    assert_int_not_equal(f->last_access.duration_us, 0);
    raw_close(&c);
}

int main(void)
{
#define TEST(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_headers_of_every_response),
        TEST(test_pipelining_keeps_order_and_ids_differ),
        TEST(test_head_has_gets_headers_and_nothing_else),
        TEST(test_304_and_204_end_with_their_head),
        TEST(test_large_body_in_many_parts_to_a_slow_reader),
        TEST(test_client_leaves_in_the_middle_of_a_body),
        TEST(test_bodies),
        TEST(test_deferred_answers),
        TEST(test_client_leaves_during_a_deferred_call),
        TEST(test_refusals_of_libh2o_leave_as_ours),
        TEST(test_refusal_of_a_head_request_has_no_body),
        TEST(test_413_reaches_a_client_that_is_still_sending),
        TEST(test_unparsable_gets_libh2os_400),
        TEST(test_the_path_arrives_as_it_was_sent),
        TEST(test_oddities_are_answered),
        TEST(test_http_1_0_and_connection_close),
        TEST(test_connection_memory_is_the_connections),
        TEST(test_access_is_reported_once),
        TEST(test_access_at_once_took_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
