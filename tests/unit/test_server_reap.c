// SPDX-License-Identifier: Apache-2.0
// Who holds a connection without using it is ended; who is only slow is not.
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "tests/support/h2_client.h"
#include "tests/support/server_fixture.h"
#include "tests/support/test.h"

enum { SHORT_MS = 300, WHOLE = H2_END_STREAM | H2_END_HEADERS };

static const char get_hello[] = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
static const char post_echo[] = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n";
static const char get_big[] = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n";

static struct fixture fixture;

static uint64_t opened_ms, opened_awake_ms;

static struct fixture *open_fixture(const struct fixture_limits *limits)
{
    fixture_open_limited(&fixture, limits);
    opened_ms = clock_boot_ms();
    opened_awake_ms = loop_awake_ms();
    return &fixture;
}

static bool is_over(void *ctx)
{
    const struct server_counters *n = server_counters(((struct fixture *)ctx)->server);
    return n->accepted > 0 && n->open == 0;
}

// Where the machine stood still for as long as the limit, libh2o's own timers may have
// been first, and those ends are not counted.
static void expect_end(struct fixture *f, size_t reaped)
{
    loop_run_until(&f->loop, is_over, f, 5000);
    size_t counted = server_counters(f->server)->reaped;
    uint64_t stood_still = clock_boot_ms() - opened_ms - (loop_awake_ms() - opened_awake_ms);
    assert_in_range(counted, stood_still < SHORT_MS ? reaped : 0, reaped);
}

// Says a byte now and then, which moves nothing.
static void trickle(struct fixture *f, struct raw_client *c, const char *text)
{
    uint64_t end = loop_awake_ms() + 5000;
    for (; *text != '\0' && !is_over(f) && loop_awake_ms() < end; text++) {
        raw_send(c, slice_make(text, 1));
        loop_run_for(&f->loop, 30);
    }
    assert_true(is_over(f));
}

static void test_idle(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(&(struct fixture_limits){.idle_ms = SHORT_MS});
    struct raw_client used, busy;
    fixture_connect(f, &used);
    fixture_connect(f, &busy);
    raw_send_str(&used, get_hello);
    (void)raw_read(&used, false);
    raw_send_str(&busy, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_read_end(&used);
    loop_run_for(&f->loop, 2 * SHORT_MS);
    // A handler takes the time that it takes.
    assert_int_equal(server_counters(f->server)->open, 1);
    fixture_answer(f);
    assert_slice(raw_read(&busy, false).body, "later");
    expect_end(f, 2);
    raw_close(&used);
    raw_close(&busy);
    fixture_close(f);
}

static void test_a_connection_without_a_head(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(&(struct fixture_limits){.head_ms = SHORT_MS});
    struct raw_client fresh, preface;
    fixture_connect(f, &fresh);
    fixture_connect(f, &preface);
    raw_send_str(&preface, "PRI * HTTP/2.0\r\n\r\nSM");
    expect_end(f, 2);
    raw_close(&fresh);
    raw_close(&preface);
    fixture_close(f);
}

static void test_a_head_in_crumbs(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(&(struct fixture_limits){.head_ms = SHORT_MS});
    struct raw_client c;
    fixture_connect(f, &c);
    raw_send_str(&c, get_hello);
    (void)raw_read(&c, false);
    loop_run_for(&f->loop, 2 * SHORT_MS); // idle, which may be longer
    assert_false(is_over(f));
    trickle(f, &c, "GET /hello HTTP/1.1\r\nHost: a-name-that-never-ends-in-this-life\r\n");
    raw_close(&c);
    fixture_close(f);
}

static void test_a_body_in_crumbs(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(&(struct fixture_limits){.head_ms = SHORT_MS});
    struct raw_client c;
    fixture_connect(f, &c);
    raw_send_str(&c, post_echo);
    trickle(f, &c, "............................................................................");
    raw_close(&c);
    fixture_close(f);
}

static void test_nobody_reads(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(&(struct fixture_limits){.write_ms = SHORT_MS});
    struct raw_client c;
    fixture_connect(f, &c);
    raw_send_str(&c, get_big);
    expect_end(f, 1);
    raw_close(&c);
    fixture_close(f);
}

// Reads the answer with pauses; returns the longest of them. Stops when it is cut off.
static uint64_t read_slowly(struct fixture *f, struct raw_client *c)
{
    static char bytes[160 * 1024];
    uint64_t longest = 0;
    ssize_t now = 1;
    for (size_t got = 0; got < (size_t)FIXTURE_PARTS * FIXTURE_PART && now != 0;) {
        uint64_t start = clock_boot_ms();
        loop_run_for(&f->loop, 60);
        now = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        uint64_t pause = clock_boot_ms() - start;
        longest = pause > longest ? pause : longest;
        got += now > 0 ? (size_t)now : 0;
    }
    return longest;
}

// Slow, but above the pace: it gets all. Where the machine stood still the pace was not
// what the test wanted, and it tries again.
static void test_a_slow_reader_is_left_alone(void **state)
{
    (void)state;
    uint64_t longest = UINT64_MAX;
    for (int i = 0; i < 10 && longest > SHORT_MS; i++) {
        struct fixture *f = open_fixture(&(struct fixture_limits){.write_ms = 2 * SHORT_MS});
        struct raw_client c;
        fixture_connect(f, &c);
        raw_send_str(&c, get_big);
        longest = read_slowly(f, &c);
        assert_true(server_counters(f->server)->reaped == 0 || longest > SHORT_MS);
        raw_close(&c);
        fixture_close(f);
    }
}

static void test_http2_idle_whatever_it_pings(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(&(struct fixture_limits){.idle_ms = SHORT_MS});
    struct raw_client c;
    fixture_connect(f, &c);
    h2_open(&c, -1);
    uint64_t end = loop_awake_ms() + 5000;
    while (!is_over(f) && loop_awake_ms() < end) {
        h2_send(&c, H2_PING, 0, 0, SLICE_LIT("12345678"));
        loop_run_for(&f->loop, 30);
    }
    assert_true(is_over(f));
    assert_int_equal(h2_u32(h2_read_type(&c, H2_GOAWAY, 0).payload, 4), 0);
    raw_close(&c);
    fixture_close(f);
}

static void test_http2_open_block_and_body(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(&(struct fixture_limits){.head_ms = SHORT_MS});
    struct raw_client block, body, frame;
    fixture_connect(f, &block);
    h2_open(&block, -1);
    h2_request(&block, 1, "GET", "/hello", H2_END_STREAM, SLICE_NONE);
    fixture_connect(f, &body);
    h2_open(&body, -1);
    h2_request(&body, 1, "POST", "/echo", H2_END_HEADERS, SLICE_NONE);
    fixture_connect(f, &frame);
    h2_open(&frame, -1);
    raw_send(&frame, SLICE_LIT("\0\0\x10\1"));
    expect_end(f, 3);
    raw_close(&block);
    raw_close(&body);
    raw_close(&frame);
    fixture_close(f);
}

// The window is opened in crumbs, and a lot of PINGs are answered and read meanwhile.
static void test_http2_window_stalls(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(&(struct fixture_limits){.write_ms = SHORT_MS});
    struct raw_client c;
    fixture_connect(f, &c);
    h2_open(&c, 0);
    h2_request(&c, 1, "GET", "/big", WHOLE, SLICE_NONE);
    uint64_t end = loop_awake_ms() + 5000;
    while (!is_over(f) && loop_awake_ms() < end) {
        h2_send_u32(&c, H2_WINDOW_UPDATE, 0, 1, 30);
        for (int i = 0; i < 10; i++)
            h2_send(&c, H2_PING, 0, 0, SLICE_LIT("12345678"));
        loop_run_for(&f->loop, 10);
        raw_poll(&c);
    }
    assert_true(is_over(f)); // by now, and not because we have stopped
    expect_end(f, 1);
    assert_int_equal(server_counters(f->server)->guarded, 0);
    raw_close(&c);
    fixture_close(f);
}

// One answer is left unread, while others on the connection go on and on.
static void test_http2_one_stalled_stream(void **state)
{
    (void)state;
    static char body[4000];
    struct fixture *f = open_fixture(&(struct fixture_limits){.write_ms = SHORT_MS});
    struct raw_client c;
    fixture_connect(f, &c);
    h2_open(&c, 0);
    h2_send_u32(&c, H2_WINDOW_UPDATE, 0, 0, 1 << 30);
    h2_request(&c, 1, "GET", "/hello", WHOLE, SLICE_NONE);
    uint64_t end = loop_awake_ms() + 3000;
    for (unsigned stream = 3; !is_over(f) && loop_awake_ms() < end; stream += 2) {
        h2_request(&c, stream, "POST", "/echo", H2_END_HEADERS, SLICE_NONE);
        h2_send(&c, H2_DATA, H2_END_STREAM, stream, slice_make(body, sizeof(body)));
        h2_send_u32(&c, H2_WINDOW_UPDATE, 0, stream, 5000);
        loop_run_for(&f->loop, 10);
        raw_poll(&c);
    }
    assert_true(is_over(f)); // by now, and not because we have stopped
    expect_end(f, 1);
    assert_int_equal(server_counters(f->server)->guarded, 0);
    raw_close(&c);
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_a_connection_without_a_head),
        cmocka_unit_test(test_a_head_in_crumbs),
        cmocka_unit_test(test_a_body_in_crumbs),
        cmocka_unit_test(test_nobody_reads),
        cmocka_unit_test(test_a_slow_reader_is_left_alone),
        cmocka_unit_test(test_http2_idle_whatever_it_pings),
        cmocka_unit_test(test_http2_open_block_and_body),
        cmocka_unit_test(test_http2_window_stalls),
        cmocka_unit_test(test_http2_one_stalled_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
