// SPDX-License-Identifier: Apache-2.0
// HTTP/2 as honest clients speak it: frames by hand against a server in the same
// loop, and the real clients of this machine against it.
#include <stdlib.h>
#include <string.h>

#include "tests/support/h2_client.h"
#include "tests/support/server_fixture.h"
#include "tests/support/test.h"

enum { WHOLE = H2_END_STREAM | H2_END_HEADERS };

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

static void open_h2(struct fixture *f, struct raw_client *c, long initial_window)
{
    fixture_connect(f, c);
    h2_open(c, initial_window);
}

static void test_the_library_is_a_verified_build(void **state)
{
    (void)state;
    const char *build_id;
    assert_true(server_http2_is_safe(&build_id));
    assert_int_equal(strlen(build_id), 40);
}

static void test_get_head_304_204(void **state)
{
    struct raw_client c;
    open_h2(*state, &c, -1);
    h2_request(&c, 1, "GET", "/hello", WHOLE, SLICE_NONE);
    struct h2_response r = h2_response(&c, 1);
    assert_int_equal(r.status, 200);
    assert_slice(r.body, "hello world");
    static const struct {
        const char *method, *path;
        int status;
    } bodiless[] = {{"HEAD", "/hello", 200}, {"GET", "/304", 304}, {"GET", "/204", 204}};
    for (unsigned i = 0; i < 3; i++) {
        h2_request(&c, 3 + 2 * i, bodiless[i].method, bodiless[i].path, WHOLE, SLICE_NONE);
        r = h2_response(&c, 3 + 2 * i);
        assert_int_equal(r.status, bodiless[i].status);
        assert_int_equal(r.body.len, 0);
        assert_int_equal(r.reset, -1);
    }
    h2_request(&c, 11, "GET", "/nowhere", WHOLE, SLICE_NONE);
    r = h2_response(&c, 11);
    assert_int_equal(r.status, 404);
    assert_slice(r.body, "{\"error\":404}");
    raw_close(&c);
}

static void test_bodies(void **state)
{
    struct raw_client c;
    open_h2(*state, &c, -1);
    h2_request(&c, 1, "POST", "/echo", H2_END_HEADERS, SLICE_NONE);
    h2_send(&c, H2_DATA, 0, 1, SLICE_LIT("abc"));
    h2_send(&c, H2_DATA, H2_PADDED, 1, SLICE_LIT("\2de\0\0"));
    h2_send(&c, H2_DATA, H2_END_STREAM, 1, SLICE_LIT("f"));
    struct h2_response r = h2_response(&c, 1);
    assert_int_equal(r.status, 200);
    assert_slice(r.body, "abcdef");
    raw_close(&c);
}

// Bytes that do not fit are refused by an answer, not by a reset that clients take
// for "try again", and the connection goes on.
static void expect_413(struct fixture *f, struct slice length)
{
    static char many[FIXTURE_MAX_BODY + 1];
    struct raw_client c;
    memset(many, 'x', sizeof(many));
    open_h2(f, &c, -1);
    h2_request(&c, 1, "POST", "/echo", H2_END_HEADERS, length);
    h2_send(&c, H2_DATA, 0, 1, slice_make(many, sizeof(many)));
    struct h2_response r = h2_response(&c, 1);
    assert_int_equal(r.status, 413);
    assert_slice(r.body, "{\"refused\":413,\"path\":\"/echo\"}");
    // What still comes is taken without a word.
    h2_send(&c, H2_DATA, 0, 1, slice_make(many, sizeof(many)));
    h2_send(&c, H2_DATA, H2_END_STREAM, 1, slice_make(many, sizeof(many)));
    h2_send(&c, H2_PING, 0, 0, SLICE_LIT("12345678"));
    struct h2_frame frame;
    do {
        frame = h2_read(&c);
        assert_int_not_equal(frame.type, H2_RST_STREAM);
    } while (frame.type != H2_PING);
    h2_request(&c, 3, "GET", "/hello", WHOLE, SLICE_NONE);
    assert_int_equal(h2_response(&c, 3).status, 200);
    raw_close(&c);
}

// A body without an end is not read for ever, and not many of them at once.
static void test_413_of_endless_bodies(void **state)
{
    static char many[16000];
    struct raw_client c;
    open_h2(*state, &c, -1);
    for (unsigned stream = 1; stream <= 9; stream += 2) {
        h2_request(&c, stream, "POST", "/echo", H2_END_HEADERS, SLICE_NONE);
        h2_send(&c, H2_DATA, 0, stream, slice_make(many, sizeof(many)));
        assert_int_equal(h2_response(&c, stream).status, 413);
    }
    assert_int_equal(h2_u32(h2_read_type(&c, H2_RST_STREAM, 9).payload, 0), 0);
    for (size_t sent = 0; sent < 17 << 20; sent += sizeof(many))
        h2_send(&c, H2_DATA, 0, 1, slice_make(many, sizeof(many)));
    assert_int_equal(h2_u32(h2_read_type(&c, H2_RST_STREAM, 1).payload, 0), 0);
    raw_close(&c);
}

static void test_413(void **state)
{
    struct buf length = {0};
    h2_put_field(&length, "content-length", "4097");
    expect_413(*state, SLICE_NONE);
    expect_413(*state, buf_slice(&length));
    buf_fini(&length);
}

// Its answer waits for the window while the body goes on.
static void test_413_while_the_client_goes_on_sending(void **state)
{
    static char many[16000];
    struct raw_client c;
    memset(many, 'x', sizeof(many));
    open_h2(*state, &c, 5);
    h2_request(&c, 1, "POST", "/echo", H2_END_HEADERS, SLICE_NONE);
    uint32_t credit = 0;
    for (int i = 0; i < 4; i++)
        h2_send(&c, H2_DATA, i == 3 ? H2_END_STREAM : 0, 1, slice_make(many, sizeof(many)));
    while (credit < sizeof(many))
        credit += h2_u32(h2_read_type(&c, H2_WINDOW_UPDATE, 0).payload, 0);
    h2_send_u32(&c, H2_WINDOW_UPDATE, 0, 1, 100);
    struct h2_frame data = h2_read_type(&c, H2_DATA, 1);
    if ((data.flags & H2_END_STREAM) == 0)
        data = h2_read_type(&c, H2_DATA, 1);
    assert_true(data.flags & H2_END_STREAM);
    raw_close(&c);
}

static void test_400_in_our_words(void **state)
{
    static const struct {
        const char *method, *path;
    } bad[] = {{"G T", "/a"}, {"GET", "a"}, {"GET", ""}, {"GET", "*"}, {"", "/a"}};
    struct raw_client c;
    struct buf field = {0};
    open_h2(*state, &c, -1);
    unsigned stream = 1;
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++, stream += 2) {
        h2_request(&c, stream, bad[i].method, bad[i].path, WHOLE, SLICE_NONE);
        struct h2_response r = h2_response(&c, stream);
        assert_int_equal(r.status, 400);
        assert_true(slice_starts_with(r.body, SLICE_LIT("{\"refused\":400")));
    }
    h2_put_field(&field, "x-bad", "a\x01");
    h2_request(&c, stream, "GET", "/a", WHOLE, buf_slice(&field));
    struct h2_response r = h2_response(&c, stream);
    assert_int_equal(r.status, 400);
    assert_slice(r.body, "{\"refused\":400,\"path\":\"/a\"}");
    buf_fini(&field);
    raw_close(&c);
}

static void test_a_reset_during_a_deferred_call(void **state)
{
    struct fixture *f = *state;
    struct raw_client c;
    open_h2(f, &c, -1);
    h2_request(&c, 1, "GET", "/defer", WHOLE, SLICE_NONE);
    h2_request(&c, 3, "GET", "/defer", WHOLE, SLICE_NONE);
    fixture_wait_deferred(f, 2);
    h2_send_u32(&c, H2_RST_STREAM, 0, 1, 8);
    h2_request(&c, 5, "GET", "/hello", WHOLE, SLICE_NONE);
    assert_int_equal(h2_response(&c, 5).status, 200);
    assert_int_equal(f->unanswered, 1);
    assert_false(fixture_answer(f)); // its client has gone
    assert_true(fixture_answer(f));
    assert_slice(h2_response(&c, 3).body, "later");
    h2_request(&c, 7, "GET", "/defer", WHOLE, SLICE_NONE);
    fixture_wait_deferred(f, 1);
    raw_close(&c);
    loop_run_for(&f->loop, 50);
    assert_false(fixture_answer(f));
}

static void expect_big(struct slice body)
{
    assert_int_equal(body.len, (size_t)FIXTURE_PARTS * FIXTURE_PART);
    for (size_t i = 0; i < body.len; i++)
        if (body.ptr[i] != fixture_big_byte(i))
            fail_msg("byte %zu differs", i);
}

// A client may open its windows in crumbs.
static void test_windows(void **state)
{
    struct fixture *f = *state;
    struct raw_client c;
    open_h2(f, &c, 1);
    h2_request(&c, 1, "GET", "/hello", WHOLE, SLICE_NONE);
    struct h2_frame data = h2_read_type(&c, H2_DATA, 1);
    assert_slice(data.payload, "h");
    for (size_t i = 1; i < 11; i++) {
        h2_send_u32(&c, H2_WINDOW_UPDATE, 0, 1, 1);
        data = h2_read_type(&c, H2_DATA, 1);
        assert_int_equal(data.payload.ptr[0], "hello world"[i]);
    }
    // More than the widest window that the server believes in.
    h2_send_setting(&c, H2_INITIAL_WINDOW, INT32_MAX);
    h2_send_u32(&c, H2_WINDOW_UPDATE, 0, 0, INT32_MAX - 65535);
    h2_request(&c, 3, "GET", "/big", WHOLE, SLICE_NONE);
    expect_big(h2_response(&c, 3).body);
    raw_close(&c);
}

static void test_no_upgrade(void **state)
{
    struct raw_client c;
    fixture_connect(*state, &c);
    raw_send_str(&c, "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                     "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
    struct raw_response r = raw_read(&c, false);
    assert_int_equal(r.status, 200);
    assert_slice(r.body, "hello world");
    raw_close(&c);
}

static void test_switched_off(void **state)
{
    (void)state;
    static struct fixture f;
    struct raw_client c;
    fixture_open_limited(&f, &(struct fixture_limits){.no_http2 = true});
    fixture_connect(&f, &c);
    h2_open(&c, -1);
    assert_slice(raw_read(&c, false).body, "Bad Request");
    raw_read_end(&c);
    raw_close(&c);
    fixture_close(&f);
}

static void test_drain_tells_and_finishes(void **state)
{
    struct fixture *f = *state;
    struct raw_client busy, idle;
    open_h2(f, &busy, -1);
    open_h2(f, &idle, -1);
    h2_request(&idle, 1, "GET", "/hello", WHOLE, SLICE_NONE);
    assert_int_equal(h2_response(&idle, 1).status, 200);
    h2_request(&busy, 1, "GET", "/defer", WHOLE, SLICE_NONE);
    fixture_wait_deferred(f, 1);
    fixture_drain(f);
    h2_request(&busy, 3, "GET", "/hello", WHOLE, SLICE_NONE); // it does not know yet
    assert_int_equal(h2_u32(h2_read_type(&busy, H2_GOAWAY, 0).payload, 0), INT32_MAX);
    assert_int_equal(h2_response(&busy, 3).status, 200);
    assert_int_equal(h2_u32(h2_read_type(&busy, H2_GOAWAY, 0).payload, 0), 3);
    h2_request(&busy, 5, "GET", "/hello", WHOLE, SLICE_NONE); // beyond the last: elsewhere
    assert_int_equal(h2_u32(h2_read_type(&idle, H2_GOAWAY, 0).payload, 0), INT32_MAX);
    assert_int_equal(h2_u32(h2_read_type(&idle, H2_GOAWAY, 0).payload, 0), 1);
    raw_read_end(&idle);
    assert_false(idle.reset);
    assert_false(f->drained);
    fixture_answer(f);
    assert_slice(h2_response(&busy, 1).body, "later");
    raw_read_end(&busy);
    assert_false(busy.reset);
    assert_int_equal(f->handled, 3);
    assert_int_equal(busy.in.len, 0);
    loop_run_until_set(&f->loop, &f->drained, 5000);
    raw_close(&busy);
    raw_close(&idle);
}

// The last answer is larger than what the socket takes at once.
static void test_drain_waits_for_a_slow_reader(void **state)
{
    struct fixture *f = *state;
    struct raw_client c;
    open_h2(f, &c, INT32_MAX);
    h2_send_u32(&c, H2_WINDOW_UPDATE, 0, 0, INT32_MAX - 65535);
    h2_request(&c, 1, "GET", "/big", WHOLE, SLICE_NONE);
    loop_run_for(&f->loop, 50);
    fixture_drain(f);
    loop_run_for(&f->loop, 1200);
    assert_false(f->drained);
    expect_big(h2_response(&c, 1).body);
    raw_read_end(&c);
    assert_false(c.reset);
    raw_close(&c);
    loop_run_until_set(&f->loop, &f->drained, 5000);
}

static void test_cut(void **state)
{
    struct fixture *f = *state;
    struct raw_client c, half;
    open_h2(f, &c, 1);
    h2_request(&c, 1, "GET", "/defer", WHOLE, SLICE_NONE);
    h2_request(&c, 3, "GET", "/big", WHOLE, SLICE_NONE);
    h2_request(&c, 5, "POST", "/echo", H2_END_HEADERS, SLICE_NONE);
    fixture_wait_deferred(f, 1);
    fixture_connect(f, &half);
    raw_send_str(&half, "PRI * HTTP/2.0\r\n\r\nSM");
    loop_run_for(&f->loop, 20);
    fixture_drain(f);
    loop_run_for(&f->loop, 1200);
    assert_false(f->drained);
    server_cut(f->server);
    loop_run_until_set(&f->loop, &f->drained, 5000);
    assert_false(fixture_answer(f));
    raw_close(&c);
    raw_close(&half);
}

int main(void)
{
#define TEST(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_library_is_a_verified_build),
        TEST(test_get_head_304_204),
        TEST(test_bodies),
        TEST(test_413),
        TEST(test_413_of_endless_bodies),
        TEST(test_413_while_the_client_goes_on_sending),
        TEST(test_400_in_our_words),
        TEST(test_a_reset_during_a_deferred_call),
        TEST(test_windows),
        TEST(test_no_upgrade),
        cmocka_unit_test(test_switched_off),
        TEST(test_drain_tells_and_finishes),
        TEST(test_drain_waits_for_a_slow_reader),
        TEST(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
