// SPDX-License-Identifier: Apache-2.0
// One connection against a scripted Redis and a real one. A refused port comes
// first: that is where hiredis' packaged adapter never calls back.
#include "common/store/redis.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/support/fake_redis.h"
#include "tests/support/log_capture.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_fixture.h"
#include "tests/support/redis_owner.h"
#include "tests/support/test.h"

static void open_patient(struct redis_owner *o, uv_loop_t *loop, const char *url)
{
    redis_owner_init_patient(o, loop, url);
    redis_owner_open(o);
}

// --- coming up

static void a_refused_port_is_tried_until_it_answers(void **state)
{
    struct redis_fixture server;
    static struct redis_owner o;
    redis_fixture_start(&server, NULL);
    redis_fixture_kill(&server);
    open_patient(&o, *state, server.url);
    loop_run_for(*state, 500);
    assert_int_equal(o.ups, 0);
    assert_false(redis_owner_send(&o, "PING", NULL, NULL));
    redis_fixture_restart(&server);
    redis_owner_wait_up(&o, 1);
    assert_true(redis_owner_send(&o, "ECHO", "hello", NULL));
    assert_true(loop_try_count(*state, &o.replies, 1, 1000));
    assert_string_equal(o.last, "hello");
    // After a second of being up the waits start anew at 25..75 ms. (Again where Redis
    // itself was not given a processor: waits that go on growing are longer each time.)
    uint64_t took = UINT64_MAX;
    size_t cuts = 0;
    while (cuts < 4 && took > 200) {
        loop_run_for(*state, 1100);
        cuts++;
        redis_fixture_do(&server, "CLIENT KILL TYPE normal");
        assert_true(loop_try_count(*state, &o.downs, cuts, 1000));
        uint64_t start = loop_awake_ms();
        redis_owner_wait_up(&o, cuts + 1);
        took = loop_awake_ms() - start;
    }
    assert_in_range(took, 0, 200);
    redis_owner_close(&o);
    assert_int_equal(o.downs, cuts); // redis_close is not a failure
    redis_fixture_stop(&server);
}

static void the_greeting_logs_in_selects_and_says_its_name(void **state)
{
    static const char *const options[] = {"--requirepass", "hunter2", NULL};
    struct redis_fixture server;
    static struct redis_owner o;
    char url[96];
    redis_fixture_start(&server, options);
    redis_fixture_do(&server, "AUTH hunter2");
    snprintf(url, sizeof(url), "redis://:hunter2@localhost:%u/3", server.port);
    open_patient(&o, *state, url);
    redis_owner_wait_up(&o, 1);
    redisReply *list = redis_fixture_command(&server, "CLIENT LIST TYPE normal");
    const char *line = strstr(list->str, "name=cm-test ");
    assert_non_null(line);
    assert_non_null(strstr(line, " db=3 "));
    freeReplyObject(list);
    redis_owner_close(&o);

    snprintf(url, sizeof(url), "redis://wrong:password@127.0.0.1:%u/3", server.port);
    redis_owner_init_patient(&o, *state, url);
    log_capture_start();
    redis_owner_open(&o);
    log_capture_await(*state, "AUTH: WRONGPASS", 1, 2000);
    loop_run_for(*state, 500); // tried again, and not said again
    assert_int_equal(log_capture_stop("AUTH: WRONGPASS"), 1);
    assert_int_equal(o.ups, 0);
    redis_owner_close(&o);
    redis_fixture_stop(&server);
}

// Whoever does not know the command repeats its arguments.
static void a_password_is_never_logged(void **state)
{
    static const char *const options[] = {"--rename-command", "AUTH", "", NULL};
    struct redis_fixture server;
    static struct redis_owner o;
    char url[96];
    redis_fixture_start(&server, options);
    snprintf(url, sizeof(url), "redis://operator:sesame@127.0.0.1:%u", server.port);
    redis_owner_init_patient(&o, *state, url);
    log_capture_start();
    redis_owner_open(&o);
    log_capture_await(*state, "AUTH: ERR", 1, 2000);
    loop_run_for(*state, 300);
    assert_int_equal(log_capture_stop("AUTH: ERR (the rest may name the password)"), 1);
    assert_int_equal(o.ups, 0);
    redis_owner_close(&o);
    redis_fixture_stop(&server);
}

static void a_unix_socket_works(void **state)
{
    struct redis_fixture server;
    static struct redis_owner o;
    char url[128];
    redis_fixture_start(&server, NULL);
    snprintf(url, sizeof(url), "unix://%s", server.socket);
    open_patient(&o, *state, url);
    redis_owner_wait_up(&o, 1);
    redis_fixture_kill(&server);
    assert_true(loop_try_count(*state, &o.downs, 1, 1000));
    redis_fixture_restart(&server);
    redis_owner_wait_up(&o, 2);
    redis_owner_close(&o);
    redis_fixture_stop(&server);
}

// A resolver waits for seconds, and each time; a machine that stands still does not.
static void an_unknown_host_does_not_stall_the_loop(void **state)
{
    uint64_t took = UINT64_MAX;
    for (int i = 0; i < 3 && took > 2000; i++) {
        static struct redis_owner o;
        redis_owner_init(&o, *state, "redis://no-such-host.invalid");
        redis_owner_open(&o);
        uint64_t start = clock_boot_ms();
        loop_run_for(*state, 50);
        took = clock_boot_ms() - start;
        assert_int_equal(o.ups, 0);
        redis_owner_close(&o); // whatever the resolver is doing
    }
    assert_in_range(took, 50, 2000);
}

static void only_a_master_is_good_enough(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    fake_redis_reply(fake, "ROLE",
                     "*5\r\n$5\r\nslave\r\n$1\r\nm\r\n:1\r\n$9\r\nconnected\r\n:1\r\n");
    redis_owner_open_port(&o, *state, fake_redis_port(fake));
    loop_run_for(*state, 300);
    assert_int_equal(o.ups, 0);
    fake_redis_reply(fake, "ROLE", ":1\r\n");
    loop_run_for(*state, 300);
    assert_int_equal(o.ups, 0);
    fake_redis_forget(fake, "ROLE");
    redis_owner_wait_up(&o, 1);
    // It is demoted while we are connected: noticed within a second.
    fake_redis_reply(fake, "ROLE", "*1\r\n$5\r\nslave\r\n");
    uint64_t start = loop_awake_ms();
    assert_true(loop_try_count(*state, &o.downs, 1, 1300));
    assert_in_range(loop_awake_ms() - start, 0, 1300);
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

static bool was_tried_twice(void *fake)
{
    return fake_redis_accepted(fake) >= 3; // and the second one is over
}

static void loading_is_not_up(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    fake_redis_reply(fake, "PING", "-LOADING Redis is loading the dataset in memory\r\n");
    log_capture_start();
    redis_owner_open_port(&o, *state, fake_redis_port(fake));
    loop_run_until(*state, was_tried_twice, fake, 500);
    assert_int_equal(log_capture_stop("PING: LOADING"), 1);
    assert_int_equal(o.ups, 0);
    fake_redis_forget(fake, "PING");
    redis_owner_wait_up(&o, 1);
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

// --- commands

static void replies_come_in_order_and_later(void **state)
{
    struct redis_fixture server;
    static struct redis_owner o;
    redis_fixture_start(&server, NULL);
    open_patient(&o, *state, server.url);
    redis_owner_wait_up(&o, 1);
    for (size_t i = 0; i < 900; i++)
        assert_true(redis_owner_send(&o, "INCR", "counter", NULL));
    assert_true(loop_try_count(*state, &o.replies, 900, 2000));
    assert_int_equal(o.integer, 900);
    assert_int_equal(redis_fixture_integer(&server, "GET counter"), 900);
    // An error reply is a reply.
    assert_true(redis_owner_send(&o, "LPUSH", "counter", "x"));
    assert_true(loop_try_count(*state, &o.errors, 1, 1000));
    assert_true(strncmp(o.last, "WRONGTYPE", 9) == 0);
    assert_int_equal(o.downs, 0);
    // A large one comes whole.
    char *big = xmalloc(8 * 1024 * 1024);
    memset(big, 'x', 8 * 1024 * 1024);
    struct slice argv[3] = {SLICE_LIT("SET"), SLICE_LIT("big"), slice_make(big, 8 * 1024 * 1024)};
    assert_true(redis_command(o.redis, 3, argv, redis_owner_on_reply, &o));
    assert_true(redis_owner_send(&o, "STRLEN", "big", NULL));
    assert_true(redis_owner_send(&o, "GET", "big", NULL));
    assert_true(loop_try_count(*state, &o.replies, 904, 5000));
    assert_int_equal(o.integer, 8 * 1024 * 1024);
    assert_int_equal(strspn(o.last, "x"), sizeof(o.last) - 1);
    free(big);
    redis_owner_close(&o);
    redis_fixture_stop(&server);
}

static void what_is_in_flight_is_capped(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    char url[64];
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", fake_redis_port(fake));
    redis_owner_init(&o, *state, url);
    o.options.max_in_flight = 10;
    redis_owner_open(&o);
    assert_int_equal(redis_room(o.redis), 0);
    redis_owner_wait_up(&o, 1);
    fake_redis_reply(fake, "GET", "$1\r\nv\r\n");
    fake_redis_hold(fake);
    assert_int_equal(redis_room(o.redis), 10);
    for (size_t i = 0; i < 10; i++)
        assert_true(redis_owner_send(&o, "GET", "k", NULL));
    assert_false(redis_owner_send(&o, "GET", "k", NULL));
    assert_int_equal(redis_room(o.redis), 0);
    loop_run_for(*state, 20);
    fake_redis_release(fake);
    assert_true(loop_try_count(*state, &o.replies, 10, 1000));
    assert_int_equal(redis_room(o.redis), 10);
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

static void a_cut_answers_all_with_none_and_then_says_down(void **state)
{
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    redis_owner_open_port(&o, *state, fake_redis_port(fake));
    redis_owner_wait_up(&o, 1);
    fake_redis_silence(fake, "GET");
    for (size_t i = 0; i < 5; i++)
        assert_true(redis_owner_send(&o, "GET", "k", NULL));
    loop_run_for(*state, 20);
    fake_redis_cut_all(fake);
    assert_true(loop_try_count(*state, &o.downs, 1, 1000));
    assert_int_equal(o.nones, 5);
    assert_int_equal(o.nones_at_down, 5);
    assert_false(redis_owner_send(&o, "GET", "k", NULL));
    redis_owner_wait_up(&o, 2);
    fake_redis_forget(fake, "GET");
    fake_redis_reply(fake, "GET", "$1\r\nv\r\n");
    assert_true(redis_owner_send(&o, "GET", "k", NULL));
    assert_true(loop_try_count(*state, &o.replies, 1, 1000));
    assert_int_equal(o.nones, 5);
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

// --- subscriber mode

static void messages_arrive_and_channels_come_back(void **state)
{
    static const char *const channels[] = {"{cm}:0:bell", "{cm}:0:ack", NULL};
    struct redis_fixture server;
    static struct redis_owner o;
    redis_fixture_start(&server, NULL);
    redis_owner_init_patient(&o, *state, server.url);
    o.options.channels = channels;
    redis_owner_open(&o);
    for (size_t round = 1; round <= 2; round++) {
        redis_owner_wait_up(&o, round);
        assert_int_equal(redis_fixture_integer(&server, "PUBLISH {cm}:0:ack a"), 1);
        assert_int_equal(redis_fixture_integer(&server, "PUBLISH {cm}:0:bell b"), 1);
        assert_true(loop_try_count(*state, &o.messages, 2 * round, 1000));
        assert_string_equal(o.last, "{cm}:0:bell=b");
        if (round == 1) {
            loop_run_for(*state, 2200); // two PINGs are answered
            assert_int_equal(o.downs, 0);
            redis_fixture_do(&server, "CLIENT KILL TYPE pubsub");
        }
    }
    redis_owner_close(&o);
    redis_fixture_stop(&server);
}

static void a_missing_pong_ends_a_subscription(void **state)
{
    static const char *const channels[] = {"bell", NULL};
    struct fake_redis *fake = fake_redis_start(*state);
    static struct redis_owner o;
    char url[64];
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", fake_redis_port(fake));
    redis_owner_init(&o, *state, url);
    o.options.channels = channels;
    redis_owner_open(&o);
    redis_owner_wait_up(&o, 1);
    uint64_t start = clock_boot_ms(), awake = loop_awake_ms();
    fake_redis_silence(fake, "PING");
    assert_true(loop_try_count(*state, &o.downs, 1, 3000));
    // 1 s to the PING, 300 ms for the PONG.
    assert_true(clock_boot_ms() - start >= 1200);
    assert_in_range(loop_awake_ms() - awake, 0, 1600);
    fake_redis_forget(fake, "PING");
    redis_owner_wait_up(&o, 2);
    fake_redis_message(fake, "bell", "again");
    assert_true(loop_try_count(*state, &o.messages, 1, 1000));
    assert_string_equal(o.last, "bell=again");
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

int main(void)
{
#define LOOP_TEST(name_)                                                                           \
    cmocka_unit_test_setup_teardown(name_, loop_fixture_setup, loop_fixture_teardown)
    const struct CMUnitTest tests[] = {
        LOOP_TEST(a_refused_port_is_tried_until_it_answers),
        LOOP_TEST(the_greeting_logs_in_selects_and_says_its_name),
        LOOP_TEST(a_password_is_never_logged),
        LOOP_TEST(a_unix_socket_works),
        LOOP_TEST(an_unknown_host_does_not_stall_the_loop),
        LOOP_TEST(only_a_master_is_good_enough),
        LOOP_TEST(loading_is_not_up),
        LOOP_TEST(replies_come_in_order_and_later),
        LOOP_TEST(what_is_in_flight_is_capped),
        LOOP_TEST(a_cut_answers_all_with_none_and_then_says_down),
        LOOP_TEST(messages_arrive_and_channels_come_back),
        LOOP_TEST(a_missing_pong_ends_a_subscription),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
