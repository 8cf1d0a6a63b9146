// SPDX-License-Identifier: Apache-2.0
// What a follower makes of a Redis that answers wrongly: never an end of the
// process, never a flood, and good again as soon as Redis is.
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/support/fake_redis.h"
#include "tests/support/follower.h"
#include "tests/support/log_capture.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/test.h"

// A history at revision 0 with an empty catalog.
#define GOOD_HEAD                                                                                  \
    "*7\r\n$1\r\n1\r\n$16\r\n00000000000000aa\r\n$0\r\n\r\n$1\r\n0\r\n$16\r\n00000000000000bb\r\n" \
    "$32\r\n00000000000000000000000000000000\r\n$1\r\n0\r\n"
// The same at revision 1 and with a digest that no record has.
#define HEAD_AHEAD                                                                                 \
    "*7\r\n$1\r\n1\r\n$16\r\n00000000000000aa\r\n$0\r\n\r\n$1\r\n1\r\n$16\r\n00000000000000cc\r\n" \
    "$32\r\n00000000000000000000000000000001\r\n$1\r\n1\r\n"
#define NO_RECORDS "*2\r\n$1\r\n0\r\n*0\r\n"

static struct fake_redis *fake;
static struct follower worker;

static void follow(uv_loop_t *loop)
{
    char url[64];
    fake = fake_redis_start(loop);
    fake_redis_reply(fake, "HMGET", GOOD_HEAD);
    fake_redis_reply(fake, "HSCAN", NO_RECORDS);
    fake_redis_reply(fake, "XRANGE", "*0\r\n");
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", fake_redis_port(fake));
    follower_open(&worker, loop, url, 50);
}

static void end(void)
{
    follower_close(&worker);
    fake_redis_stop(fake);
}

struct more {
    const char *verb;
    size_t than;
};

static bool was_seen(void *ctx)
{
    const struct more *m = ctx;
    return fake_redis_seen(fake, m->verb) > m->than;
}

// Until that verb was sent more often than so.
static void await_more(const char *verb, uv_loop_t *loop, size_t than)
{
    loop_run_until(loop, was_seen, &(struct more){verb, than}, 3000);
}

// --- order

struct order {
    size_t publishes, hellos, reads, reads_before_hello;
};

static bool note_order(void *ctx, size_t argc, const struct slice *argv, struct buf *out)
{
    struct order *o = ctx;
    (void)out;
    if (slice_equal(argv[0], SLICE_LIT("PUBLISH")) && argc == 3) {
        struct ack ack;
        o->publishes++;
        assert_true(ack_parse(argv[2], &ack));
        o->hellos += ack.kind == ACK_HELLO;
    }
    if (slice_equal(argv[0], SLICE_LIT("HMGET"))) {
        o->reads++;
        o->reads_before_hello += o->hellos == 0;
    }
    return false;
}

static void hello_comes_before_the_first_read(void **state)
{
    struct order o = {0};
    follow(*state);
    fake_redis_handle(fake, note_order, &o);
    follower_wait_state(&worker, FEED_LIVE, 2000);
    assert_int_equal(o.hellos, 1);
    assert_true(o.reads > 0);
    assert_int_equal(o.reads_before_hello, 0);
    // And again on every way up.
    fake_redis_cut_all(fake);
    follower_wait_state(&worker, FEED_AWAY, 1000);
    o = (struct order){0};
    follower_wait_state(&worker, FEED_LIVE, 2000);
    assert_int_equal(o.hellos, 1);
    assert_int_equal(o.reads_before_hello, 0);
    end();
}

// --- wrong answers

static void a_wrong_answer_is_a_failed_link(void **state)
{
    static const struct {
        const char *verb, *raw;
    } cases[] = {
        {"HMGET", "-NOPERM this user has no permissions to run the 'hmget' command\r\n"},
        {"HMGET", "-LOADING Redis is loading the dataset in memory\r\n"},
        {"HMGET", "-MASTERDOWN Link with MASTER is down\r\n"},
        {"HMGET", "-NOAUTH Authentication required.\r\n"},
        {"HMGET", "-BUSY Redis is busy running a script\r\n"},
        {"INFO", "-NOPERM this user has no permissions to run the 'info' command\r\n"},
        {"INFO", "-BUSY Redis is busy running a script\r\n"},
        {"HMGET", "*1\r\n$1\r\n1\r\n"},
        {"HMGET", "+OK\r\n"},
        {"HMGET", ":1\r\n"},
        {"HMGET", "$-1\r\n"},
        {"XRANGE", "-NOPERM no\r\n"},
        {"XRANGE", "+OK\r\n"},
        {"XRANGE", "$-1\r\n"},
        {"HSCAN", "-NOPERM no\r\n"},
        {"HSCAN", "*0\r\n"},
        {"HSCAN", "*2\r\n$1\r\nx\r\n*0\r\n"},
        {"HSCAN", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n"},
        {"HSCAN", "*2\r\n$21\r\n000000000000000000000\r\n*0\r\n"},
        {"HSCAN", "*2\r\n*0\r\n*0\r\n"},
    };
    for (size_t i = 0; i < CM_ARRAY_LEN(cases); i++) {
        follow(*state);
        follower_wait_state(&worker, FEED_LIVE, 2000);
        size_t accepted = fake_redis_accepted(fake);
        if (strcmp(cases[i].verb, "HMGET") != 0 && strcmp(cases[i].verb, "INFO") != 0)
            fake_redis_reply(fake, "HMGET", HEAD_AHEAD); // makes it read log, then records
        fake_redis_reply(fake, cases[i].verb, cases[i].raw);
        follower_wait_state(&worker, FEED_AWAY, 1000);
        assert_int_equal(fake_redis_accepted(fake), accepted);
        fake_redis_reply(fake, "HMGET", GOOD_HEAD);
        fake_redis_reply(fake, "XRANGE", "*0\r\n");
        fake_redis_reply(fake, "HSCAN", NO_RECORDS);
        fake_redis_forget(fake, "INFO");
        follower_wait_state(&worker, FEED_LIVE, 3000);
        end();
    }
}

// Something else lives where the head should be: an answer, and no store of ours.
static void a_head_of_another_type_is_foreign(void **state)
{
    follow(*state);
    follower_wait_state(&worker, FEED_LIVE, 2000);
    fake_redis_reply(fake, "HMGET",
                     "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    follower_wait_state(&worker, FEED_SUSPECT, 1000);
    assert_int_equal(feed_reason(feed_io_feed(worker.io)), FEED_REASON_FOREIGN);
    assert_int_equal(worker.downs, 0);
    fake_redis_reply(fake, "HMGET", GOOD_HEAD);
    follower_wait_state(&worker, FEED_LIVE, 1000);
    end();
}

// The link works, the head is as it was, and yet it is not a master's word.
static void who_is_no_master_confirms_nothing(void **state)
{
    static const char *const words[] = {"$12\r\nrole:slave\r\n\r\n",
                                        "$4\r\nPONG\r\n",
                                        "$0\r\n\r\n",
                                        "$-1\r\n",
                                        "*0\r\n",
                                        "+OK\r\n"};
    follow(*state);
    follower_wait_state(&worker, FEED_LIVE, 2000);
    size_t accepted = fake_redis_accepted(fake);
    for (size_t i = 0; i < CM_ARRAY_LEN(words); i++) {
        fake_redis_reply(fake, "INFO", words[i]);
        follower_wait_state(&worker, FEED_AWAY, 1000);
        const struct feed *feed = feed_io_feed(worker.io);
        assert_int_equal(feed_reason(feed), FEED_REASON_UNCONFIRMED);
        uint64_t confirmed_ms = feed_confirmed_at(feed);
        loop_run_for(*state, 200);
        assert_int_equal(feed_confirmed_at(feed), confirmed_ms); // the lease runs out
        fake_redis_forget(fake, "INFO");
        follower_wait_state(&worker, FEED_LIVE, 1000);
    }
    assert_int_equal(fake_redis_accepted(fake), accepted);
    end();
}

static bool was_tried_often(void *ctx)
{
    (void)ctx;
    return fake_redis_accepted(fake) >= 3;
}

static void a_lasting_refusal_is_no_flood(void **state)
{
    uv_loop_t *loop = *state;
    log_capture_start();
    follow(loop);
    fake_redis_reply(fake, "HMGET", "-NOPERM this user may not\r\n");
    loop_run_for(loop, 4000);
    size_t early = fake_redis_accepted(fake);
    loop_run_until(loop, was_tried_often, NULL, 4000);
    size_t lines = log_capture_stop("NOPERM");
    assert_int_equal(lines, 1);
    assert_in_range(early, 0, 12);
    assert_int_equal(follower_state(&worker), FEED_EMPTY);
    fake_redis_reply(fake, "HMGET", GOOD_HEAD);
    follower_wait_state(&worker, FEED_LIVE, 3000);
    end();
}

static void garbled_entries_are_told_to_the_feed(void **state)
{
    static const char *const logs[] = {
        "*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nc\r\n$1\r\nx\r\n",
        "*1\r\n*1\r\n$3\r\n1-0\r\n",
        "*1\r\n$1\r\nx\r\n",
        "*1\r\n*2\r\n$3\r\n1-1\r\n*0\r\n",
    };
    for (size_t i = 0; i < CM_ARRAY_LEN(logs); i++) {
        follow(*state);
        follower_wait_state(&worker, FEED_LIVE, 2000);
        fake_redis_reply(fake, "XRANGE", logs[i]);
        fake_redis_reply(fake, "HMGET", HEAD_AHEAD);
        // It loads all again instead, and stays connected.
        size_t scans = fake_redis_seen(fake, "HSCAN");
        await_more("HSCAN", *state, scans);
        assert_true(feed_io_is_up(worker.io));
        end();
    }
}

static void a_refused_ack_is_said_once_and_serving_goes_on(void **state)
{
    uv_loop_t *loop = *state;
    log_capture_start();
    follow(loop);
    fake_redis_reply(fake, "PUBLISH", "-NOPERM this user may not publish\r\n");
    size_t said = fake_redis_seen(fake, "PUBLISH");
    await_more("PUBLISH", loop, said + 1);
    loop_run_for(loop, 300);
    size_t lines = log_capture_stop("ack_refused");
    assert_int_equal(lines, 1);
    assert_int_equal(follower_state(&worker), FEED_LIVE);
    end();
}

// --- the subscription alone

static bool has_heard_a_bell(void *ctx)
{
    (void)ctx;
    return feed_counters(feed_io_feed(worker.io))->bells == 1;
}

static void nonsense_on_the_channel_is_passed_over(void **state)
{
    static const char *const payloads[] = {
        "",
        "hello",
        "0 0 0 0",
        "00000000000000aa 1",
        "{\"epoch\":1}",
        "00000000000000aa 99999999999999999999 00000000000000cc 00000000000000bb"};
    follow(*state);
    follower_wait_state(&worker, FEED_LIVE, 2000);
    await_more("SUBSCRIBE", *state, 0);
    loop_run_for(*state, 100);
    for (size_t i = 0; i < CM_ARRAY_LEN(payloads); i++) {
        // Only the subscription: on the data connection it would be garbage.
        char raw[256];
        snprintf(raw, sizeof(raw), "*3\r\n$7\r\nmessage\r\n$11\r\n{cm}:0:bell\r\n$%zu\r\n%s\r\n",
                 strlen(payloads[i]), payloads[i]);
        fake_redis_push_to(fake, "SUBSCRIBE", slice_of(raw));
    }
    loop_run_for(*state, 100);
    assert_int_equal(follower_state(&worker), FEED_LIVE);
    assert_int_equal(feed_counters(feed_io_feed(worker.io))->bells, 0);
    fake_redis_push_to(fake, "SUBSCRIBE",
                       SLICE_LIT("*3\r\n$7\r\nmessage\r\n$11\r\n{cm}:0:bell\r\n$52\r\n"
                                 "00000000000000aa 1 00000000000000cc 00000000000000bb\r\n"));
    loop_run_until(*state, has_heard_a_bell, NULL, 500);
    end();
}

static void without_a_subscription_the_poll_goes_on(void **state)
{
    follow(*state);
    fake_redis_silence(fake, "SUBSCRIBE");
    follower_wait_state(&worker, FEED_LIVE, 2000);
    uint64_t start = clock_boot_ms(), awake = loop_awake_ms();
    await_more("HMGET", *state, fake_redis_seen(fake, "HMGET") + 20); // every 45 to 55 ms
    assert_true(clock_boot_ms() - start >= 20 * 45);
    assert_in_range(loop_awake_ms() - awake, 0, 1500);
    assert_int_equal(follower_state(&worker), FEED_LIVE);
    assert_true(feed_io_is_up(worker.io));
    end();
}

static void a_subscription_that_comes_back_asks_for_what_it_missed(void **state)
{
    uv_loop_t *loop = *state;
    char url[64];
    fake = fake_redis_start(loop);
    fake_redis_reply(fake, "HMGET", GOOD_HEAD);
    fake_redis_reply(fake, "HSCAN", NO_RECORDS);
    fake_redis_reply(fake, "XRANGE", "*0\r\n");
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", fake_redis_port(fake));
    follower_open(&worker, loop, url, 60000);
    follower_wait_state(&worker, FEED_LIVE, 2000);
    await_more("SUBSCRIBE", loop, 0);
    loop_run_for(loop, 200);
    size_t reads = fake_redis_seen(fake, "HMGET");
    loop_run_for(loop, 200);
    assert_int_equal(fake_redis_seen(fake, "HMGET"), reads); // nothing asks by itself
    fake_redis_push_to(fake, "SUBSCRIBE", SLICE_LIT("garbage\r\n"));
    await_more("HMGET", loop, reads);
    assert_true(feed_io_is_up(worker.io));
    end();
}

int main(void)
{
#define LOOP_TEST(name_)                                                                           \
    cmocka_unit_test_setup_teardown(name_, loop_fixture_setup, loop_fixture_teardown)
    const struct CMUnitTest tests[] = {
        LOOP_TEST(hello_comes_before_the_first_read),
        LOOP_TEST(a_wrong_answer_is_a_failed_link),
        LOOP_TEST(who_is_no_master_confirms_nothing),
        LOOP_TEST(a_head_of_another_type_is_foreign),
        LOOP_TEST(a_lasting_refusal_is_no_flood),
        LOOP_TEST(garbled_entries_are_told_to_the_feed),
        LOOP_TEST(a_refused_ack_is_said_once_and_serving_goes_on),
        LOOP_TEST(nonsense_on_the_channel_is_passed_over),
        LOOP_TEST(without_a_subscription_the_poll_goes_on),
        LOOP_TEST(a_subscription_that_comes_back_asks_for_what_it_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
