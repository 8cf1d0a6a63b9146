// SPDX-License-Identifier: Apache-2.0
// The rules of the guard, one by one, by the bytes that they are there for. Built a
// second time with the guard compiled out, the first of these tests shows that its
// burst kills the library.
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/http/guard.h"
#include "tests/support/h2_client.h"
#include "tests/support/server_fixture.h"
#include "tests/support/test.h"

enum { WHOLE = H2_END_STREAM | H2_END_HEADERS, CALM = 11, HELLO = 11 };

static struct fixture fixture;

static int setup(void **state)
{
    *state = &fixture;
    fixture_open(&fixture, 0, 0);
    return 0;
}

static void open_h2(struct raw_client *c, long initial_window)
{
    fixture_connect(&fixture, c);
    h2_open(c, initial_window);
}

// Windows of the body's size, used up, are opened between the last byte of a body and
// the end of the write that carries it: what the server reads in one go ends with the
// PINGs, so the updates are read after that write began.
static void burst(struct raw_client *c)
{
    enum { STREAMS = 20, PINGS = 440 };
    open_h2(c, HELLO);
    loop_run_for(&fixture.loop, 5);
    raw_hold(c);
    for (unsigned i = 0; i < STREAMS; i++)
        h2_request(c, 2 * i + 1, "GET", "/hello", WHOLE, SLICE_NONE);
    for (unsigned i = 0; i < PINGS; i++)
        h2_send(c, H2_PING, H2_ACK, 0, SLICE_LIT("12345678"));
    for (unsigned i = 0; i < STREAMS; i++)
        h2_send_u32(c, H2_WINDOW_UPDATE, 0, 2 * i + 1, 1);
    raw_release(c);
}

#if CM_HTTP2_GUARD

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

// The connection is told to calm down, and ends.
static void expect_calm(struct raw_client *c)
{
    assert_int_equal(h2_u32(h2_read_type(c, H2_GOAWAY, 0).payload, 4), CALM);
    raw_read_end(c);
    assert_true(server_counters(fixture.server)->guarded > 0);
}

static void expect_hello(struct raw_client *c, unsigned stream)
{
    h2_request(c, stream, "GET", "/hello", WHOLE, SLICE_NONE);
    struct h2_response r = h2_response(c, stream);
    assert_int_equal(r.status, 200);
    assert_slice(r.body, "hello world");
}

static void test_the_assertion_burst(void **state)
{
    (void)state;
    struct raw_client c;
    burst(&c);
    for (unsigned i = 0; i < 20; i++)
        assert_slice(h2_response(&c, 2 * i + 1).body, "hello world");
    raw_close(&c);
}

static void put_index(struct buf *block, unsigned count, char index)
{
    while (count-- > 0)
        buf_append(block, &index, 1);
}

static void test_a_block_has_a_hundred_fields(void **state)
{
    (void)state;
    struct raw_client c;
    struct buf block = {0};
    open_h2(&c, -1);
    put_index(&block, 96, (char)0x90); // accept-encoding, of the static table
    h2_request(&c, 1, "GET", "/hello", WHOLE, buf_slice(&block));
    assert_int_equal(h2_response(&c, 1).status, 200);
    put_index(&block, 1, (char)0x90);
    h2_request(&c, 3, "GET", "/hello", WHOLE, buf_slice(&block));
    expect_calm(&c);
    buf_fini(&block);
    raw_close(&c);
}

// Strings and long integers are stepped over, not taken for fields.
static void test_what_counts_as_a_field(void **state)
{
    (void)state;
    static char value[3000];
    struct raw_client c;
    struct buf block = {0};
    memset(value, (char)0x90, sizeof(value) - 1);
    open_h2(&c, -1);
    // The table's size, 4,096: at the front of a block only, but libh2o takes it anywhere.
    buf_append(&block, "\x3f\xe1\x1f", 3);
    for (int i = 0; i < 4; i++)
        h2_put_field(&block, "x-long", value);
    h2_request(&c, 1, "GET", "/hello", WHOLE, buf_slice(&block));
    assert_int_equal(h2_response(&c, 1).status, 200);
    buf_fini(&block);
    raw_close(&c);
}

// As HTTP/1.1 spells it: "GET /hello HTTP/1.1", "host: x", "x-long: ..." and an empty line.
static void test_a_head_has_16_kib(void **state)
{
    (void)state;
    enum { ROOM = 16 * 1024 - 42 };
    static char value[ROOM + 2];
    struct raw_client c;
    open_h2(&c, -1);
    for (unsigned more = 0; more < 2; more++) {
        struct buf block = {0};
        memset(value, 'v', ROOM + more);
        h2_put_field(&block, "x-long", value);
        h2_request(&c, 2 * more + 1, "GET", "/hello", H2_END_STREAM, SLICE_NONE);
        h2_send(&c, H2_CONTINUATION, H2_END_HEADERS, 2 * more + 1, buf_slice(&block));
        assert_int_equal(h2_response(&c, 2 * more + 1).status, more > 0 ? 431 : 200);
        buf_fini(&block);
    }
    expect_hello(&c, 5);
    raw_close(&c);
}

// What a field of the table says counts each time that it is said.
static void test_a_head_of_references(void **state)
{
    (void)state;
    static char value[2001];
    struct raw_client c;
    struct buf block = {0};
    open_h2(&c, -1);
    memset(value, 'v', sizeof(value) - 1);
    h2_put_field(&block, "x-long", value);
    block.ptr[0] = 0x40; // and remember it
    h2_request(&c, 1, "GET", "/hello", WHOLE, buf_slice(&block));
    assert_int_equal(h2_response(&c, 1).status, 200);
    buf_clear(&block);
    put_index(&block, 8, (char)0xBE);
    h2_request(&c, 3, "POST", "/echo", H2_END_HEADERS, buf_slice(&block));
    h2_send(&c, H2_DATA, H2_END_STREAM, 3, SLICE_LIT("body"));
    assert_int_equal(h2_response(&c, 3).status, 200);
    put_index(&block, 1, (char)0xBE);
    h2_request(&c, 5, "POST", "/echo", H2_END_HEADERS, buf_slice(&block));
    h2_send(&c, H2_DATA, H2_END_STREAM, 5, SLICE_LIT("body"));
    struct h2_response r = h2_response(&c, 5);
    assert_int_equal(r.status, 431);
    assert_slice(r.body, "{\"refused\":431,\"path\":\"/echo\"}");
    expect_hello(&c, 7);
    buf_fini(&block);
    raw_close(&c);
}

static void test_a_block_has_32_kib(void **state)
{
    (void)state;
    static char many[16000];
    struct raw_client c;
    memset(many, 'a', sizeof(many));
    open_h2(&c, -1);
    h2_request(&c, 1, "GET", "/hello", H2_END_STREAM, SLICE_NONE);
    for (unsigned i = 0; i < 2; i++)
        h2_send(&c, H2_CONTINUATION, 0, 1, slice_make(many, sizeof(many)));
    h2_send(&c, H2_CONTINUATION, 0, 1, slice_make(many, 1000));
    expect_calm(&c);
    raw_close(&c);
}

static void test_a_block_in_pieces(void **state)
{
    (void)state;
    struct raw_client c;
    struct buf block = {0};
    open_h2(&c, -1);
    h2_put_field(&block, "x-test", "1");
    h2_request(&c, 1, "GET", "/raw", H2_END_STREAM, SLICE_NONE);
    h2_send(&c, H2_CONTINUATION, 0, 1, slice_make(block.ptr, 3));
    h2_send(&c, H2_CONTINUATION, H2_END_HEADERS, 1, slice_skip(buf_slice(&block), 3));
    assert_slice(h2_response(&c, 1).body, "GET|/raw|-|1");
    buf_fini(&block);
    raw_close(&c);
}

static void test_resets_are_counted(void **state)
{
    (void)state;
    struct raw_client c;
    open_h2(&c, 0); // answers wait for a window, so each is reset before it is out
    for (unsigned i = 0; i < 400; i++) {
        h2_request(&c, 2 * i + 1, "GET", "/hello", WHOLE, SLICE_NONE);
        h2_send_u32(&c, H2_RST_STREAM, 0, 2 * i + 1, 8);
    }
    expect_calm(&c);
    assert_true(fixture.handled < 150);
    raw_close(&c);
}

// The server's own resets count as well: a window update of 0.
static void test_resets_that_the_peer_provokes(void **state)
{
    (void)state;
    struct raw_client c;
    open_h2(&c, 0);
    for (unsigned i = 0; i < 400; i++) {
        h2_request(&c, 2 * i + 1, "GET", "/hello", WHOLE, SLICE_NONE);
        h2_send_u32(&c, H2_WINDOW_UPDATE, 0, 2 * i + 1, 0);
    }
    expect_calm(&c);
    assert_true(fixture.handled < 150);
    raw_close(&c);
}

// A client that gives up half of its requests is an honest one.
static void test_answers_pay_for_resets(void **state)
{
    (void)state;
    struct raw_client c;
    open_h2(&c, -1);
    for (unsigned i = 0; i < 400; i++) {
        h2_request(&c, 4 * i + 1, "GET", "/defer", WHOLE, SLICE_NONE);
        fixture_wait_deferred(&fixture, 1);
        h2_send_u32(&c, H2_RST_STREAM, 0, 4 * i + 1, 8);
        expect_hello(&c, 4 * i + 3);
        assert_false(fixture_answer(&fixture));
    }
    raw_close(&c);
}

static void test_frames_that_ask_for_nothing(void **state)
{
    (void)state;
    static const int types[] = {H2_PING, H2_PRIORITY, 0x42};
    for (size_t t = 0; t < CM_ARRAY_LEN(types); t++) {
        struct raw_client c;
        bool is_ping = types[t] == H2_PING;
        open_h2(&c, -1);
        expect_hello(&c, 1);
        for (int i = 0; i < 2000; i++)
            h2_send(&c, types[t], is_ping ? H2_ACK : 0, is_ping ? 0 : 1,
                    is_ping ? SLICE_LIT("12345678") : SLICE_LIT("\0\0\0\0\1"));
        expect_calm(&c);
        raw_close(&c);
    }
}

static void test_unknown_frames_are_ignored_in_silence(void **state)
{
    (void)state;
    struct raw_client c;
    int keep = dup(STDERR_FILENO), tube[2];
    char said[64];
    assert_int_equal(pipe(tube), 0);
    open_h2(&c, -1);
    fflush(stderr);
    dup2(tube[1], STDERR_FILENO);
    close(tube[1]);
    for (int type = 10; type < 256; type++)
        h2_send(&c, type, 0, 7, SLICE_LIT("x"));
    expect_hello(&c, 1);
    dup2(keep, STDERR_FILENO);
    close(keep);
    assert_int_equal(read(tube[0], said, sizeof(said)), 0);
    close(tube[0]);
    raw_close(&c);
}

// Heads and bodies of requests whose end is awaited: 8 x 4,096 bytes here.
static void test_what_is_awaited_is_bounded(void **state)
{
    (void)state;
    static char body[FIXTURE_MAX_BODY - 500]; // leaves room for the heads
    struct raw_client c;
    open_h2(&c, -1);
    for (unsigned i = 0; i < 8; i++) {
        h2_request(&c, 2 * i + 1, "POST", "/echo", H2_END_HEADERS, SLICE_NONE);
        h2_send(&c, H2_DATA, 0, 2 * i + 1, slice_make(body, sizeof(body)));
    }
    h2_send(&c, H2_DATA, H2_END_STREAM, 1, SLICE_NONE);
    assert_int_equal(h2_response(&c, 1).body.len, sizeof(body));
    h2_send_u32(&c, H2_RST_STREAM, 0, 3, 8);
    for (unsigned i = 8; i < 10; i++) { // in the place of those two
        h2_request(&c, 2 * i + 1, "POST", "/echo", H2_END_HEADERS, SLICE_NONE);
        h2_send(&c, H2_DATA, 0, 2 * i + 1, slice_make(body, sizeof(body)));
    }
    expect_hello(&c, 31);
    h2_request(&c, 33, "POST", "/echo", H2_END_HEADERS, SLICE_NONE);
    h2_send(&c, H2_DATA, 0, 33, slice_make(body, sizeof(body)));
    expect_calm(&c);
    raw_close(&c);
}

static void test_heads_whose_bodies_are_awaited(void **state)
{
    (void)state;
    static char value[3000];
    struct raw_client c;
    struct buf field = {0};
    memset(value, 'h', sizeof(value) - 1);
    h2_put_field(&field, "x-long", value);
    open_h2(&c, -1);
    for (unsigned i = 0; i < 30; i++) // whole ones do not count
        h2_request(&c, 2 * i + 1, "GET", "/hello", WHOLE, buf_slice(&field));
    assert_int_equal(h2_response(&c, 59).status, 200);
    for (unsigned i = 30; i < 41; i++)
        h2_request(&c, 2 * i + 1, "POST", "/echo", H2_END_HEADERS, buf_slice(&field));
    expect_calm(&c);
    buf_fini(&field);
    raw_close(&c);
}

static void test_what_a_connection_may_make_us_wait_for(void **state)
{
    (void)state;
    struct raw_client c;
    open_h2(&c, -1);
    for (unsigned stream = 1; stream < 4 * 200 && !c.ended && !c.reset; stream += 4) {
        h2_request(&c, stream, "GET", "/defer", WHOLE, SLICE_NONE);
        h2_send_u32(&c, H2_RST_STREAM, 0, stream, 8);
        h2_request(&c, stream + 2, "GET", "/hello", WHOLE, SLICE_NONE); // pays for it
        loop_run_for(&fixture.loop, 2);
        raw_poll(&c);
    }
    raw_read_end(&c);
    raw_close(&c);
    assert_in_range(fixture.deferred_count, 100, 128);
    while (fixture.deferred_count > 0)
        assert_false(fixture_answer(&fixture));
}

// The client's decoder has no table at all, then a small one.
static void test_the_peers_table_size(void **state)
{
    (void)state;
    struct raw_client c;
    open_h2(&c, -1);
    expect_hello(&c, 1);
    h2_send_setting(&c, H2_HEADER_TABLE, 0);
    h2_request(&c, 3, "GET", "/hello", WHOLE, SLICE_NONE);
    struct h2_frame f = h2_read_type(&c, H2_HEADERS, 3);
    assert_memory_equal(f.payload.ptr, "\x20\x20\x88", 3); // 0, 0, :status 200
    h2_send_setting(&c, H2_HEADER_TABLE, 1000);
    h2_request(&c, 5, "GET", "/hello", WHOLE, SLICE_NONE);
    f = h2_read_type(&c, H2_HEADERS, 5);
    assert_memory_equal(f.payload.ptr, "\x20\x3f\xc9\x07\x88", 5); // 0, 31 + 73 + 7 * 128
    h2_request(&c, 7, "GET", "/hello", WHOLE, SLICE_NONE);
    f = h2_read_type(&c, H2_HEADERS, 7);
    assert_int_equal((unsigned char)f.payload.ptr[0], 0x88);
    raw_close(&c);
}

static void test_no_window_for_no_body(void **state)
{
    (void)state;
    struct raw_client c;
    open_h2(&c, 0);
    h2_request(&c, 1, "HEAD", "/hello", WHOLE, SLICE_NONE);
    assert_int_equal(h2_response(&c, 1).status, 200);
    h2_request(&c, 3, "GET", "/304", WHOLE, SLICE_NONE);
    assert_int_equal(h2_response(&c, 3).status, 304);
    raw_close(&c);
}

static void test_drain_with_an_open_block(void **state)
{
    (void)state;
    struct raw_client c;
    struct buf block = {0};
    open_h2(&c, -1);
    h2_request(&c, 1, "GET", "/defer", WHOLE, SLICE_NONE);
    h2_request(&c, 3, "GET", "/raw", H2_END_STREAM, SLICE_NONE);
    fixture_wait_deferred(&fixture, 1);
    fixture_drain(&fixture);
    loop_run_for(&fixture.loop, 1300); // the last stream is not named before this one is whole
    h2_put_field(&block, "x-test", "late");
    h2_send(&c, H2_CONTINUATION, H2_END_HEADERS, 3, buf_slice(&block));
    assert_slice(h2_response(&c, 3).body, "GET|/raw|-|late");
    assert_int_equal(h2_u32(h2_read_type(&c, H2_GOAWAY, 0).payload, 0), 3);
    // A new one in pieces: nobody looks, nobody minds.
    h2_request(&c, 5, "GET", "/hello", H2_END_STREAM, SLICE_NONE);
    h2_send(&c, H2_CONTINUATION, 0, 5, SLICE_LIT("abc"));
    h2_send(&c, H2_CONTINUATION, H2_END_HEADERS, 5, SLICE_NONE);
    fixture_answer(&fixture);
    assert_slice(h2_response(&c, 1).body, "later");
    raw_read_end(&c);
    loop_run_until_set(&fixture.loop, &fixture.drained, 5000);
    buf_fini(&block);
    raw_close(&c);
}

// More than may wait, all made before any could leave: nobody is to blame for that.
static void test_a_crowd_that_comes_at_once(void **state)
{
    (void)state;
    enum { CROWD = 90, EACH = 100 };
    struct raw_client *crowd = xcalloc(CROWD, sizeof(*crowd));
    for (unsigned i = 0; i < CROWD; i++) {
        open_h2(&crowd[i], -1);
        loop_run_for(&fixture.loop, 1); // accepts it
    }
    for (unsigned i = 0; i < CROWD; i++) {
        raw_hold(&crowd[i]);
        for (unsigned j = 0; j < EACH; j++)
            h2_request(&crowd[i], 2 * j + 1, "GET", "/hello", WHOLE, SLICE_NONE);
        raw_release(&crowd[i]);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        for (unsigned ended = 0; ended < EACH;) {
            struct h2_frame f = h2_read(&crowd[i]);
            ended += f.type == H2_DATA && (f.flags & H2_END_STREAM) != 0;
        }
        raw_close(&crowd[i]);
    }
    assert_int_equal(fixture.handled, CROWD * EACH);
    assert_int_equal(server_counters(fixture.server)->reaped, 0);
    free(crowd);
}

int main(void)
{
#define TEST(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_assertion_burst),
        TEST(test_a_block_has_a_hundred_fields),
        TEST(test_what_counts_as_a_field),
        TEST(test_a_head_has_16_kib),
        TEST(test_a_head_of_references),
        TEST(test_a_block_has_32_kib),
        TEST(test_a_block_in_pieces),
        TEST(test_resets_are_counted),
        TEST(test_resets_that_the_peer_provokes),
        TEST(test_answers_pay_for_resets),
        TEST(test_frames_that_ask_for_nothing),
        TEST(test_unknown_frames_are_ignored_in_silence),
        TEST(test_what_is_awaited_is_bounded),
        TEST(test_heads_whose_bodies_are_awaited),
        TEST(test_what_a_connection_may_make_us_wait_for),
        TEST(test_the_peers_table_size),
        TEST(test_no_window_for_no_body),
        TEST(test_drain_with_an_open_block),
        TEST(test_a_crowd_that_comes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_the_library_alone_dies(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct raw_client c;
        (void)setup(state);
        burst(&c);
        loop_run_for(&fixture.loop, 1000);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_library_alone_dies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
