// SPDX-License-Identifier: Apache-2.0
// One connection when things go wrong: silence, floods, nonsense, and calls from
// inside callbacks.
#include "common/store/redis.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "tests/support/fake_redis.h"
#include "tests/support/log_capture.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_fixture.h"
#include "tests/support/redis_owner.h"
#include "tests/support/test.h"

struct awaited {
    const struct fake_redis *fake;
    size_t connections;
};

static bool was_accepted(void *ctx)
{
    const struct awaited *a = ctx;
    return fake_redis_accepted(a->fake) >= a->connections;
}

// At least so many connections, however long that takes, and at most so many in that
// time: a machine that stands still may make it longer, but no two of them come closer.
static void expect_connections(uv_loop_t *loop, struct fake_redis *fake, unsigned ms, size_t least,
                               size_t most)
{
    size_t before = fake_redis_accepted(fake);
    struct awaited a = {fake, before + least};
    uint64_t start = clock_boot_ms();
    loop_run_for(loop, ms);
    uint64_t took = clock_boot_ms() - start;
    assert_in_range(fake_redis_accepted(fake) - before, 0, most * (1 + took / (2 * ms)));
    loop_run_until(loop, was_accepted, &a, ms);
}

// --- deadlines

static void a_stopped_redis_is_given_up_in_time(void **state)
{
    struct redis_fixture server;
    static struct redis_owner o;
    redis_fixture_start(&server, NULL);
    redis_owner_open_port(&o, *state, server.port);
    redis_owner_wait_up(&o, 1);
    redis_fixture_pause(&server);
    uint64_t start = clock_boot_ms(), awake = loop_awake_ms();
    for (size_t i = 0; i < 100; i++)
        assert_true(redis_owner_send(&o, "GET", "k", NULL));
    assert_true(loop_try_count(*state, &o.nones, 100, 2000));
    assert_true(clock_boot_ms() - start >= 295);
    assert_in_range(loop_awake_ms() - awake, 0, 450);
    assert_int_equal(o.replies, 0);
    redis_fixture_resume(&server);
    redis_owner_wait_up(&o, 2);
    redis_owner_close(&o);
    redis_fixture_stop(&server);
}

static void a_silent_redis_is_not_connected_to_in_a_rush(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    fake_redis_silence(fake, "ROLE");
    redis_owner_open_port(&o, *state, fake_redis_port(fake));
    expect_connections(*state, fake, 3000, 2, 8);
    log_capture_start();
    expect_connections(*state, fake, 4000, 2, 5);
    assert_int_equal(log_capture_stop("redis_down"), 0); // the reason is the same
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

static void fail_at_once(void *ctx, bool up)
{
    struct redis_owner *o = ctx;
    redis_owner_on_link(ctx, up);
    if (up)
        redis_fail(o->redis, "NOPERM this user may do nothing");
}

static void a_redis_that_greets_and_fails_is_not_a_flood(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    char url[64];
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", fake_redis_port(fake));
    redis_owner_init(&o, *state, url);
    o.options.on_link = fail_at_once;
    log_capture_start();
    redis_owner_open(&o);
    expect_connections(*state, fake, 3000, 4, 10);
    o.options.on_link = redis_owner_on_link;
    loop_run_for(*state, 100);
    assert_in_range(log_capture_stop("\"event\":\"redis_"), 2, 2); // one up, one down
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

// Redis itself may stand still on a busy machine: only then it may be given up, and
// not before the loop has been awake for as long as that takes.
static void a_stopped_loop_is_not_a_silent_redis(void **state)
{
    struct redis_fixture server;
    static struct redis_owner o;
    redis_fixture_start(&server, NULL);
    redis_owner_open_port(&o, *state, server.port);
    redis_owner_wait_up(&o, 1);
    for (size_t round = 1; round <= 3; round++) {
        assert_true(redis_owner_send(&o, "GET", "k", NULL));
        uv_run(*state, UV_RUN_NOWAIT);
        uv_run(*state, UV_RUN_NOWAIT);
        nanosleep(&(struct timespec){.tv_nsec = 700 * 1000 * 1000}, NULL);
        uint64_t awake = loop_awake_ms();
        if (loop_try_count(*state, &o.replies, round, 100))
            continue;
        assert_true(o.nones == 1 && loop_awake_ms() - awake >= 200);
        break;
    }
    assert_int_equal(o.downs, o.nones);
    redis_owner_close(&o);
    redis_fixture_stop(&server);
}

static void a_slow_reply_may_take_longer_than_silence(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    redis_owner_open_port(&o, *state, fake_redis_port(fake));
    redis_owner_wait_up(&o, 1);
    fake_redis_reply(fake, "GET", "$14\r\n");
    fake_redis_silence(fake, "ROLE"); // the beat's answer would come between
    assert_true(redis_owner_send(&o, "GET", "k", NULL));
    for (size_t i = 0; i < 7; i++) {
        loop_run_for(*state, 60);
        fake_redis_push(fake, SLICE_LIT("ab"));
    }
    fake_redis_push(fake, SLICE_LIT("\r\n"));
    assert_true(loop_try_count(*state, &o.replies, 1, 200));
    assert_string_equal(o.last, "ababababababab");
    assert_int_equal(o.downs, 0);
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

static void a_trickle_ends_too(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    char url[64];
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", fake_redis_port(fake));
    redis_owner_init(&o, *state, url);
    o.options.reply_timeout_ms = 100;
    redis_owner_open(&o);
    redis_owner_wait_up(&o, 1);
    fake_redis_reply(fake, "GET", "$1000000\r\n");
    assert_true(redis_owner_send(&o, "GET", "k", NULL));
    uint64_t start = clock_boot_ms(), awake = loop_awake_ms();
    while (o.nones == 0 && loop_awake_ms() - awake < 3000) {
        loop_run_for(*state, 10);
        fake_redis_push(fake, SLICE_LIT("x"));
    }
    assert_int_equal(o.nones, 1);
    assert_true(clock_boot_ms() - start >= 950);
    assert_in_range(loop_awake_ms() - awake, 0, 1300);
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

// --- what calls are allowed where

struct closer {
    struct redis_owner *owner;
    size_t calls;
    bool fail; // redis_fail instead of redis_close
};

static void on_reply_close(void *ctx, const struct redisReply *reply)
{
    struct closer *c = ctx;
    (void)reply;
    if (c->calls++ > 0)
        return;
    struct slice argv[1] = {SLICE_LIT("PING")};
    if (c->fail)
        redis_fail(c->owner->redis, "the test wants it so");
    else
        redis_close(c->owner->redis, redis_owner_on_closed, c->owner);
    assert_false(redis_is_up(c->owner->redis));
    assert_false(redis_command(c->owner->redis, 1, argv, redis_owner_on_reply, c->owner));
    assert_int_equal(c->owner->nones, 0); // later, not in here
}

static void closing_and_failing_inside_a_reply(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    for (int fail = 0; fail < 2; fail++) {
        static struct redis_owner o;
        redis_owner_open_port(&o, *state, fake_redis_port(fake));
        redis_owner_wait_up(&o, 1);
        struct closer c = {.owner = &o, .fail = fail == 1};
        struct slice argv[1] = {SLICE_LIT("PING")};
        assert_true(redis_command(o.redis, 1, argv, on_reply_close, &c));
        for (size_t i = 0; i < 3; i++)
            assert_true(redis_owner_send(&o, "PING", NULL, NULL));
        assert_true(loop_try_count(*state, &o.nones, 3, 1000));
        if (fail == 1)
            redis_owner_wait_up(&o, 2);
        else
            loop_run_until_set(*state, &o.closed, 1000);
        assert_int_equal(o.downs, fail);
        assert_int_equal(o.replies, 0);
        redis_owner_close(&o);
    }
    fake_redis_stop(fake);
}

static void closing_inside_the_sweep(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    redis_owner_open_port(&o, *state, fake_redis_port(fake));
    redis_owner_wait_up(&o, 1);
    fake_redis_silence(fake, "GET");
    struct closer c = {.owner = &o};
    struct slice argv[2] = {SLICE_LIT("GET"), SLICE_LIT("k")};
    assert_true(redis_command(o.redis, 2, argv, on_reply_close, &c));
    assert_true(redis_owner_send(&o, "GET", "k", NULL));
    fake_redis_cut_all(fake);
    loop_run_until_set(*state, &o.closed, 1000);
    assert_int_equal(o.nones, 1);
    assert_int_equal(o.downs, 0); // closed by its owner before that could be said
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

static void close_on_link(void *ctx, bool up)
{
    struct redis_owner *o = ctx;
    redis_owner_on_link(ctx, up);
    if (up == (o->integer == 1))
        redis_close(o->redis, redis_owner_on_closed, o);
}

static void closing_inside_on_link(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    for (int at_up = 0; at_up < 2; at_up++) {
        static struct redis_owner o;
        char url[64];
        snprintf(url, sizeof(url), "redis://127.0.0.1:%u", fake_redis_port(fake));
        redis_owner_init(&o, *state, url);
        o.options.on_link = close_on_link;
        o.integer = at_up;
        redis_owner_open(&o);
        redis_owner_wait_up(&o, 1);
        if (at_up == 0)
            fake_redis_cut_all(fake);
        loop_run_until_set(*state, &o.closed, 1000);
        redis_owner_close(&o);
    }
    fake_redis_stop(fake);
}

static void closing_at_any_time(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    // After so many turns of the loop: waiting, connecting, greeting, up.
    for (size_t turns = 0; turns < 12; turns++) {
        static struct redis_owner o;
        redis_owner_open_port(&o, *state, fake_redis_port(fake));
        for (size_t i = 0; i < turns; i++)
            uv_run(*state, UV_RUN_NOWAIT);
        redis_owner_close(&o);
    }
    fake_redis_stop(fake);
}

// --- nonsense

static void garbage_never_kills(void **state)
{
    static const char *const garbage[] = {
        "hello\r\n",
        "+OK\r\n", // asserted on by hiredis' asynchronous half
        "$-1\r\n",
        "*2\r\n$1\r\na\r\n:1\r\n",
        "*-2\r\n",
        "*2147483647\r\n",
        "*4000000\r\n*4000000\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        "$-2\r\n",
        "$99999999999999999999\r\n",
        ":12a\r\n",
        "-ERR max number of clients reached\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\np\r\n",
        "\x16\x03\x01\x02\r\n",
    };
    static const char *const channels[] = {"bell", NULL};
    struct fake_redis *fake = fake_redis_start(*state);
    for (int subscriber = 0; subscriber < 2; subscriber++) {
        for (size_t i = 0; i < CM_ARRAY_LEN(garbage); i++) {
            static struct redis_owner o;
            char url[64];
            snprintf(url, sizeof(url), "redis://127.0.0.1:%u", fake_redis_port(fake));
            redis_owner_init(&o, *state, url);
            o.options.channels = subscriber ? channels : NULL;
            redis_owner_open(&o);
            redis_owner_wait_up(&o, 1);
            fake_redis_push(fake, slice_of(garbage[i]));
            bool is_message = subscriber && strstr(garbage[i], "message") != NULL;
            if (is_message)
                assert_true(loop_try_count(*state, &o.messages, 1, 1000));
            else if (!loop_try_count(*state, &o.downs, 1, 1000))
                fail_msg("garbage %zu was swallowed", i);
            redis_owner_close(&o);
        }
    }
    fake_redis_stop(fake);
}

static void a_bulk_that_never_comes_costs_nothing(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    redis_owner_open_port(&o, *state, fake_redis_port(fake));
    redis_owner_wait_up(&o, 1);
    fake_redis_reply(fake, "GET", "$536870912\r\nabc");
    assert_true(redis_owner_send(&o, "GET", "k", NULL));
    assert_true(loop_try_count(*state, &o.nones, 1, 1000));
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

static void one_byte_at_a_time(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    fake_redis_trickle(fake, true);
    fake_redis_reply(fake, "GET", "*3\r\n$3\r\nabc\r\n:-12\r\n$-1\r\n");
    redis_owner_open_port(&o, *state, fake_redis_port(fake));
    redis_owner_wait_up(&o, 1);
    assert_true(redis_owner_send(&o, "GET", "k", NULL));
    assert_true(loop_try_count(*state, &o.replies, 1, 1000));
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

static void an_error_that_ends_the_link(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    redis_owner_open_port(&o, *state, fake_redis_port(fake));
    redis_owner_wait_up(&o, 1);
    fake_redis_reply(fake, "SET", "-READONLY You can't write against a read only replica.\r\n");
    assert_true(redis_owner_send(&o, "SET", "k", "v"));
    assert_true(loop_try_count(*state, &o.downs, 1, 1000));
    assert_int_equal(o.errors, 1); // told first
    assert_int_equal(o.nones, 0);
    redis_owner_wait_up(&o, 2);
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

int main(void)
{
#define LOOP_TEST(name_)                                                                           \
    cmocka_unit_test_setup_teardown(name_, loop_fixture_setup, loop_fixture_teardown)
    const struct CMUnitTest tests[] = {
        LOOP_TEST(a_stopped_redis_is_given_up_in_time),
        LOOP_TEST(a_silent_redis_is_not_connected_to_in_a_rush),
        LOOP_TEST(a_redis_that_greets_and_fails_is_not_a_flood),
        LOOP_TEST(a_stopped_loop_is_not_a_silent_redis),
        LOOP_TEST(a_slow_reply_may_take_longer_than_silence),
        LOOP_TEST(a_trickle_ends_too),
        LOOP_TEST(closing_and_failing_inside_a_reply),
        LOOP_TEST(closing_inside_the_sweep),
        LOOP_TEST(closing_inside_on_link),
        LOOP_TEST(closing_at_any_time),
        LOOP_TEST(garbage_never_kills),
        LOOP_TEST(a_bulk_that_never_comes_costs_nothing),
        LOOP_TEST(one_byte_at_a_time),
        LOOP_TEST(an_error_that_ends_the_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
