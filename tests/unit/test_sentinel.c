// SPDX-License-Identifier: Apache-2.0
// Three scripted Sentinels, two scripted masters, and a connection that follows.
#include "common/store/sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/store/mastership.h"
#include "tests/support/fake_redis.h"
#include "tests/support/log_capture.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_owner.h"
#include "tests/support/test.h"

enum { SENTINELS = 3 };

struct voice {
    struct fake_redis *fake;
    uint16_t names; // the port that it names; 0 = it knows no such master
    unsigned replicas, others;
};

struct world {
    uv_loop_t *loop;
    struct voice voices[SENTINELS];
    struct fake_redis *masters[2];
    uint16_t ports[2];
    struct redis_owner owner;
    struct sentinel *sentinel;
    bool closed;
};

static struct world w;

static bool on_sentinel_command(void *ctx, size_t argc, const struct slice *argv, struct buf *out)
{
    const struct voice *v = ctx;
    char port[8];
    if (slice_equal(argv[0], SLICE_LIT("ROLE"))) {
        buf_append_str(out, "*2\r\n$8\r\nsentinel\r\n*1\r\n$1\r\nm\r\n");
        return true;
    }
    if (!slice_equal(argv[0], SLICE_LIT("SENTINEL")) || argc != 3)
        return false;
    assert_true(slice_equal(argv[2], SLICE_LIT("m")));
    bool asks_address = slice_equal(argv[1], SLICE_LIT("get-master-addr-by-name"));
    snprintf(port, sizeof(port), "%u", v->names);
    if (v->names == 0)
        buf_append_str(out, asks_address ? "*-1\r\n" : "-ERR No such master with that name\r\n");
    else if (asks_address)
        buf_printf(out, "*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n", strlen(port), port);
    else
        buf_printf(out,
                   "*6\r\n$4\r\nname\r\n$1\r\nm\r\n$10\r\nnum-slaves\r\n$1\r\n%u\r\n"
                   "$19\r\nnum-other-sentinels\r\n$1\r\n%u\r\n",
                   v->replicas, v->others);
    return true;
}

static int start(void **state)
{
    char url[160];
    loop_fixture_setup(state);
    w = (struct world){.loop = *state};
    for (size_t i = 0; i < 2; i++) {
        w.masters[i] = fake_redis_start(w.loop);
        w.ports[i] = fake_redis_port(w.masters[i]);
    }
    for (size_t i = 0; i < SENTINELS; i++) {
        w.voices[i] = (struct voice){.fake = fake_redis_start(w.loop),
                                     .names = w.ports[0],
                                     .replicas = 1,
                                     .others = SENTINELS - 1};
        fake_redis_handle(w.voices[i].fake, on_sentinel_command, &w.voices[i]);
    }
    snprintf(url, sizeof(url), "redis+sentinel://u:p@127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u/m",
             fake_redis_port(w.voices[0].fake), fake_redis_port(w.voices[1].fake),
             fake_redis_port(w.voices[2].fake));
    redis_owner_init(&w.owner, w.loop, url);
    redis_owner_open(&w.owner);
    return 0;
}

static void follow(void)
{
    w.sentinel = sentinel_open(w.loop, &w.owner.url, "cm-test-sentinel");
    sentinel_follow(w.sentinel, w.owner.redis);
}

static void on_sentinel_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static int stop(void **state)
{
    if (w.sentinel != NULL) {
        sentinel_close(w.sentinel, on_sentinel_closed, &w.closed);
        loop_run_until_set(w.loop, &w.closed, 2000);
    }
    redis_owner_close(&w.owner);
    for (size_t i = 0; i < SENTINELS; i++)
        fake_redis_stop(w.voices[i].fake);
    for (size_t i = 0; i < 2; i++)
        fake_redis_stop(w.masters[i]);
    return loop_fixture_teardown(state);
}

static bool is_at(void *ctx)
{
    uint16_t port = *(const uint16_t *)ctx;
    return redis_is_up(w.owner.redis) && redis_is_at(w.owner.redis, "127.0.0.1", port);
}

static bool vouches(void *ctx)
{
    (void)ctx;
    return sentinel_vouches(w.sentinel, w.owner.redis);
}

static bool vouches_not(void *ctx)
{
    return !vouches(ctx);
}

static bool has_counts(void *ctx)
{
    (void)ctx;
    return sentinel_replicas(w.sentinel) == 1;
}

static void name_all(uint16_t port)
{
    for (size_t i = 0; i < SENTINELS; i++)
        w.voices[i].names = port;
}

// --- where it goes

static void without_an_answer_nothing_is_connected(void **state)
{
    (void)state;
    for (size_t i = 0; i < SENTINELS; i++)
        fake_redis_silence(w.voices[i].fake, "SENTINEL");
    follow();
    loop_run_for(w.loop, 600);
    assert_int_equal(fake_redis_accepted(w.masters[0]), 0);
    assert_false(sentinel_vouches(w.sentinel, w.owner.redis));
    assert_true(sentinel_replicas(w.sentinel) == SENTINEL_REPLICAS_UNKNOWN);
    fake_redis_forget(w.voices[2].fake, "SENTINEL"); // any one is enough to begin with
    loop_run_until(w.loop, is_at, &w.ports[0], 3000);
    assert_int_equal(fake_redis_accepted(w.masters[0]), 1);
    loop_run_until(w.loop, has_counts, NULL, 3000);
    assert_false(sentinel_vouches(w.sentinel, w.owner.redis)); // but no majority
}

static void a_switch_is_followed_though_the_old_link_works(void **state)
{
    (void)state;
    follow();
    loop_run_until(w.loop, is_at, &w.ports[0], 3000);
    loop_run_until(w.loop, vouches, NULL, 3000);
    uint64_t awake = loop_awake_ms();
    name_all(w.ports[1]);
    loop_run_until(w.loop, is_at, &w.ports[1], 3000);
    assert_in_range(loop_awake_ms() - awake, 0, 1500);
    assert_int_equal(w.owner.downs, 1);
    loop_run_until(w.loop, vouches, NULL, 3000);
    assert_int_equal(fake_redis_open_connections(w.masters[0]), 0);
    assert_int_equal(fake_redis_accepted(w.masters[1]), 1);
}

static void the_majority_decides(void **state)
{
    (void)state;
    w.voices[0].names = w.ports[1]; // it lives in the past
    follow();
    loop_run_until(w.loop, vouches, NULL, 3000);
    loop_run_until(w.loop, is_at, &w.ports[0], 3000);
    size_t downs = w.owner.downs;
    loop_run_for(w.loop, 1000);
    assert_int_equal(w.owner.downs, downs);
    assert_true(is_at(&w.ports[0]));
    w.voices[2].names = w.ports[1];
    loop_run_until(w.loop, is_at, &w.ports[1], 3000);
    loop_run_until(w.loop, vouches, NULL, 3000);
}

static void among_equals_the_news_counts(void **state)
{
    (void)state;
    fake_redis_silence(w.voices[2].fake, "SENTINEL"); // it died with the master's host
    follow();
    loop_run_until(w.loop, is_at, &w.ports[0], 3000);
    w.voices[1].names = w.ports[1];
    loop_run_until(w.loop, is_at, &w.ports[1], 3000);
    assert_false(sentinel_vouches(w.sentinel, w.owner.redis)); // one of three
    loop_run_for(w.loop, 1000);
    assert_true(is_at(&w.ports[1]));
    w.voices[0].names = w.ports[1];
    loop_run_until(w.loop, vouches, NULL, 3000);
}

static void when_all_are_silent_it_stays(void **state)
{
    (void)state;
    follow();
    loop_run_until(w.loop, is_at, &w.ports[0], 3000);
    loop_run_until(w.loop, vouches, NULL, 3000);
    for (size_t i = 0; i < SENTINELS; i++)
        fake_redis_refuse(w.voices[i].fake, true), fake_redis_cut_all(w.voices[i].fake);
    uint64_t awake = loop_awake_ms(), start = clock_boot_ms();
    loop_run_for(w.loop, 20);
    bool still = vouches(NULL);
    assert_true(still || clock_boot_ms() - start > 300); // what was said counts for a while
    loop_run_until(w.loop, vouches_not, NULL, 3000);
    assert_in_range(loop_awake_ms() - awake, 0, 1500);
    loop_run_for(w.loop, 500);
    assert_true(is_at(&w.ports[0]));
    assert_int_equal(w.owner.downs, 0);
    assert_int_equal(sentinel_replicas(w.sentinel), 1); // remembered
    for (size_t i = 0; i < SENTINELS; i++)
        fake_redis_refuse(w.voices[i].fake, false);
    loop_run_until(w.loop, vouches, NULL, 3000);
}

static void a_lost_link_comes_back_where_the_master_is(void **state)
{
    (void)state;
    follow();
    loop_run_until(w.loop, is_at, &w.ports[0], 3000);
    fake_redis_refuse(w.masters[0], true);
    fake_redis_cut_all(w.masters[0]);
    loop_run_for(w.loop, 300);
    name_all(w.ports[1]);
    loop_run_until(w.loop, is_at, &w.ports[1], 3000);
}

// --- odd Sentinels

static void sentinels_with_and_without_users(void **state)
{
    (void)state;
    fake_redis_reply(w.voices[0].fake, "AUTH",
                     "-ERR AUTH <password> called without any password configured\r\n");
    fake_redis_reply(w.voices[1].fake, "AUTH", "-WRONGPASS invalid username-password pair\r\n");
    fake_redis_reply(w.voices[2].fake, "PING", "-NOAUTH Authentication required.\r\n");
    follow();
    loop_run_until(w.loop, vouches, NULL, 3000); // two that answer are enough
    assert_int_equal(fake_redis_seen(w.voices[2].fake, "SENTINEL"), 0);
}

static bool was_asked(void *ctx)
{
    return fake_redis_seen(w.voices[0].fake, "SENTINEL") >= *(const size_t *)ctx;
}

static void nonsense_is_no_voice(void **state)
{
    static const char *const nonsense[] = {
        "-NOPERM this user has no permissions\r\n",
        "+OK\r\n",
        ":1\r\n",
        "*2\r\n$0\r\n\r\n$4\r\n6379\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$2\r\nab\r\n",
        "*2\r\n*1\r\n$1\r\na\r\n*0\r\n",
        "*3\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\n1\r\n",
        "\x15\x03\x01",
    };
    (void)state;
    for (size_t i = 0; i < SENTINELS; i++) {
        fake_redis_handle(w.voices[i].fake, NULL, NULL);
        fake_redis_reply(w.voices[i].fake, "ROLE", "*1\r\n$8\r\nsentinel\r\n");
    }
    for (size_t at = 0; at < CM_ARRAY_LEN(nonsense); at += SENTINELS) {
        for (size_t i = 0; i < SENTINELS; i++)
            fake_redis_reply(w.voices[i].fake, "SENTINEL",
                             nonsense[(at + i) % CM_ARRAY_LEN(nonsense)]);
        if (at == 0)
            follow();
        size_t wanted = fake_redis_seen(w.voices[0].fake, "SENTINEL") + 2;
        loop_run_until(w.loop, was_asked, &wanted, 5000);
        assert_false(sentinel_vouches(w.sentinel, w.owner.redis));
    }
    assert_int_equal(fake_redis_accepted(w.masters[0]), 0);
    for (size_t i = 0; i < SENTINELS; i++)
        fake_redis_handle(w.voices[i].fake, on_sentinel_command, &w.voices[i]);
    loop_run_until(w.loop, vouches, NULL, 3000);
}

static void an_unknown_service_is_said_once(void **state)
{
    (void)state;
    name_all(0);
    log_capture_start();
    follow();
    log_capture_await(w.loop, "sentinel_without_master", SENTINELS, 3000);
    loop_run_for(w.loop, 1000);
    assert_int_equal(log_capture_stop("sentinel_without_master"), SENTINELS);
    assert_int_equal(fake_redis_accepted(w.masters[0]), 0);
    name_all(w.ports[0]);
    loop_run_until(w.loop, vouches, NULL, 3000);
}

static void a_data_redis_is_no_sentinel(void **state)
{
    (void)state;
    for (size_t i = 0; i < SENTINELS; i++)
        fake_redis_handle(w.voices[i].fake, NULL, NULL); // ROLE: master
    follow();
    loop_run_for(w.loop, 500);
    for (size_t i = 0; i < SENTINELS; i++)
        assert_int_equal(fake_redis_seen(w.voices[i].fake, "SENTINEL"), 0);
}

static void those_not_listed_count_too(void **state)
{
    (void)state;
    for (size_t i = 0; i < SENTINELS; i++)
        w.voices[i].others = 5; // six Sentinels, three in the URL
    log_capture_start();
    follow();
    loop_run_until(w.loop, is_at, &w.ports[0], 3000);
    log_capture_await(w.loop, "sentinels_too_few", 1, 3000);
    loop_run_for(w.loop, 1000);
    assert_false(sentinel_vouches(w.sentinel, w.owner.redis));
    assert_int_equal(log_capture_stop("sentinels_too_few"), 1);
}

// --- what a link is worth

static bool knows_two_replicas(void *ctx)
{
    (void)ctx;
    return sentinel_replicas(w.sentinel) == 2;
}

static const char all_good[] = "role:master\r\nslave0:state=online,offset=9,lag=1\r\n";

static void a_link_confirms_by_majority_or_by_all_replicas(void **state)
{
    (void)state;
    struct redis *r = w.owner.redis;
    follow();
    loop_run_until(w.loop, is_at, &w.ports[0], 3000);
    loop_run_until(w.loop, vouches, NULL, 3000);
    assert_true(mastership_confirms(w.sentinel, r, SLICE_LIT("role:master\r\n")));
    assert_false(mastership_confirms(w.sentinel, r, SLICE_LIT("role:slave\r\n")));
    assert_false(mastership_confirms(w.sentinel, r, SLICE_LIT("")));
    for (size_t i = 1; i < SENTINELS; i++)
        fake_redis_refuse(w.voices[i].fake, true), fake_redis_cut_all(w.voices[i].fake);
    loop_run_until(w.loop, vouches_not, NULL, 3000);
    assert_true(mastership_confirms(w.sentinel, r, slice_of(all_good)));
    assert_false(mastership_confirms(w.sentinel, r, SLICE_LIT("role:master\r\n")));
    assert_false(mastership_confirms(w.sentinel, r,
                                     SLICE_LIT("role:master\r\nslave0:state=online,lag=3\r\n")));
    w.voices[0].replicas = 2; // one good replica of two: the other may be a master by now
    loop_run_until(w.loop, knows_two_replicas, NULL, 3000);
    assert_false(mastership_confirms(w.sentinel, r, slice_of(all_good)));
}

static void without_sentinels_the_role_decides(void **state)
{
    (void)state;
    assert_true(mastership_confirms(NULL, w.owner.redis, SLICE_LIT("role:master\r\n")));
    assert_true(mastership_confirms(NULL, w.owner.redis,
                                    SLICE_LIT("role:master\r\nslave0:state=online,lag=99\r\n")));
    assert_false(mastership_confirms(NULL, w.owner.redis, SLICE_LIT("role:slave\r\n")));
    assert_false(mastership_confirms(NULL, w.owner.redis, SLICE_NONE));
}

static void closing_at_any_time(void **state)
{
    (void)state;
    for (size_t turns = 0; turns < 30; turns++) {
        bool closed = false;
        struct sentinel *s = sentinel_open(w.loop, &w.owner.url, "cm-test-sentinel");
        for (size_t i = 0; i < turns; i++)
            uv_run(w.loop, UV_RUN_NOWAIT);
        sentinel_close(s, on_sentinel_closed, &closed);
        assert_false(closed);
        loop_run_until_set(w.loop, &closed, 2000);
    }
}

int main(void)
{
#define SENTINEL_TEST(name_) cmocka_unit_test_setup_teardown(name_, start, stop)
    const struct CMUnitTest tests[] = {
        SENTINEL_TEST(without_an_answer_nothing_is_connected),
        SENTINEL_TEST(a_switch_is_followed_though_the_old_link_works),
        SENTINEL_TEST(the_majority_decides),
        SENTINEL_TEST(among_equals_the_news_counts),
        SENTINEL_TEST(when_all_are_silent_it_stays),
        SENTINEL_TEST(a_lost_link_comes_back_where_the_master_is),
        SENTINEL_TEST(sentinels_with_and_without_users),
        SENTINEL_TEST(nonsense_is_no_voice),
        SENTINEL_TEST(an_unknown_service_is_said_once),
        SENTINEL_TEST(a_data_redis_is_no_sentinel),
        SENTINEL_TEST(those_not_listed_count_too),
        SENTINEL_TEST(a_link_confirms_by_majority_or_by_all_replicas),
        SENTINEL_TEST(without_sentinels_the_role_decides),
        SENTINEL_TEST(closing_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
