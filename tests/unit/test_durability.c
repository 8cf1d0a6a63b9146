// SPDX-License-Identifier: Apache-2.0
// A real master with two real replicas, which are stopped and killed.
#include "common/store/durability.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/store/reply.h"
#include "tests/support/fake_redis.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_fixture.h"
#include "tests/support/redis_owner.h"
#include "tests/support/test.h"

enum { REPLICAS = 2 };

struct replica {
    struct redis_fixture server;
    char port[8];
    const char *options[8];
};

struct world {
    uv_loop_t *loop;
    struct redis_fixture master;
    struct replica replicas[REPLICAS];
    struct redis_owner owner;
    struct durability *durability;
    struct durability_answer last;
    size_t answers;
};

static struct world w;

// --- the servers

static void start_replica(struct replica *r)
{
    snprintf(r->port, sizeof(r->port), "%u", w.master.port);
    const char *const options[] = {"--replicaof", "127.0.0.1", r->port, NULL};
    for (size_t i = 0; i < CM_ARRAY_LEN(options); i++)
        r->options[i] = options[i];
    redis_fixture_start(&r->server, r->options);
}

static bool all_follow(void *ctx)
{
    (void)ctx;
    return redis_fixture_integer(&w.master, "WAIT %d 100", REPLICAS) == REPLICAS;
}

static int start(void **state)
{
    static const char *const at_once[] = {"--repl-diskless-sync-delay", "0", NULL};
    loop_fixture_setup(state);
    w = (struct world){.loop = *state};
    redis_fixture_start(&w.master, at_once);
    for (size_t i = 0; i < REPLICAS; i++)
        start_replica(&w.replicas[i]);
    loop_run_until(w.loop, all_follow, NULL, 10000);
    redis_owner_init_patient(&w.owner, w.loop, w.master.url);
    redis_owner_open(&w.owner);
    redis_owner_wait_up(&w.owner, 1);
    w.durability = durability_create(w.owner.redis, NULL);
    return 0;
}

static int stop(void **state)
{
    redis_owner_close(&w.owner);
    durability_destroy(w.durability);
    for (size_t i = 0; i < REPLICAS; i++)
        redis_fixture_stop(&w.replicas[i].server);
    redis_fixture_stop(&w.master);
    return loop_fixture_teardown(state);
}

// --- asking

static void on_durable(void *ctx, const struct durability_answer *answer)
{
    (void)ctx;
    w.last = *answer;
    w.answers++;
}

// Writes, waits, and returns the milliseconds that the wait took.
static uint64_t write_and_wait(void)
{
    size_t before = w.owner.replies, answers = w.answers;
    assert_true(redis_owner_send(&w.owner, "INCR", "n", NULL));
    assert_true(loop_try_count(w.loop, &w.owner.replies, before + 1, 3000));
    uint64_t start_ms = clock_boot_ms();
    durability_wait(w.durability, 500, on_durable, NULL);
    assert_int_equal(w.answers, answers); // never before it has returned
    assert_true(loop_try_count(w.loop, &w.answers, answers + 1, 5000));
    return clock_boot_ms() - start_ms;
}

static void expect(const char *level, size_t confirmed, size_t replicas)
{
    assert_string_equal(durability_level_name(w.last.level), level);
    assert_int_equal(w.last.confirmed, confirmed);
    assert_int_equal(w.last.replicas, replicas);
    assert_true(w.last.known);
}

struct expected {
    const char *level;
    size_t confirmed;
    uint64_t within_ms; // the wait itself
};

static bool is_reached(void *ctx)
{
    const struct expected *e = ctx;
    uint64_t took = write_and_wait();
    return took <= e->within_ms && w.last.confirmed == e->confirmed &&
           strcmp(durability_level_name(w.last.level), e->level) == 0;
}

// Of one write after the other: on a busy machine a replica that is well seems to
// hang for a moment, and that is then what the answer says.
static void reach(const char *level, size_t confirmed, uint64_t within_ms)
{
    struct expected e = {level, confirmed, within_ms};
    loop_run_until(w.loop, is_reached, &e, 15000);
    expect(level, confirmed, REPLICAS);
}

static void replicas_that_follow_have_it(void **state)
{
    (void)state;
    uint64_t longest = 0;
    size_t all = 0;
    reach("all", 2, 500);
    for (size_t i = 0; i < 50; i++) {
        uint64_t took = write_and_wait();
        longest = took > longest ? took : longest;
        all += w.last.level == DURABILITY_ALL;
        assert_int_equal(w.last.level == DURABILITY_ALL, w.last.confirmed == REPLICAS);
    }
    printf("figure: %zu of 50 writes durable on two replicas, the slowest wait took %llu ms\n", all,
           (unsigned long long)longest);
    assert_in_range(all, 1, 50);
}

static void one_that_hangs_is_waited_for_only_for_a_while(void **state)
{
    (void)state;
    uint64_t took = 0, awake = 0;
    for (size_t i = 0; i < 5 && took < 450; i++) { // unless all stood still just now
        redis_fixture_resume(&w.replicas[0].server);
        reach("all", 2, 500);
        redis_fixture_pause(&w.replicas[0].server);
        awake = loop_awake_ms();
        took = write_and_wait(); // it was heard a moment ago
    }
    assert_true(took >= 450);
    assert_in_range(loop_awake_ms() - awake, 0, 3000);
    reach("some", 1, 100);
    redis_fixture_pause(&w.replicas[1].server);
    reach("local", 0, 1000);
    redis_fixture_resume(&w.replicas[0].server);
    redis_fixture_resume(&w.replicas[1].server);
    loop_run_until(w.loop, all_follow, NULL, 15000);
    reach("all", 2, 500);
}

static void without_replicas_it_is_local(void **state)
{
    (void)state;
    for (size_t i = 0; i < REPLICAS; i++)
        redis_fixture_kill(&w.replicas[i].server);
    while (redis_fixture_integer(&w.master, "WAIT 1 1") != 0)
        loop_run_for(w.loop, 20);
    redis_fixture_do(&w.master, "CONFIG RESETSTAT");
    write_and_wait();
    expect("local", 0, 0);
    // Nobody is waited for, and nothing is asked twice.
    struct redisReply *stats = redis_fixture_command(&w.master, "INFO commandstats");
    assert_false(slice_contains_nocase(reply_bytes(stats), SLICE_LIT("cmdstat_wait:")));
    assert_true(slice_contains_nocase(reply_bytes(stats), SLICE_LIT("cmdstat_info:calls=1,")));
    freeReplyObject(stats);
}

static void all_who_come_during_a_round_share_the_next(void **state)
{
    (void)state;
    redis_fixture_pause(&w.replicas[0].server);
    uint64_t start_ms = clock_boot_ms();
    for (size_t i = 0; i < 20; i++)
        durability_wait(w.durability, 500, on_durable, NULL);
    loop_run_for(w.loop, 50);
    for (size_t i = 0; i < 20; i++)
        durability_wait(w.durability, 500, on_durable, NULL);
    assert_true(loop_try_count(w.loop, &w.answers, 40, 5000));
    assert_in_range(clock_boot_ms() - start_ms, 0, 10000); // not 40 x 500
    redis_fixture_resume(&w.replicas[0].server);
}

static void a_lost_link_is_said(void **state)
{
    (void)state;
    size_t before = w.owner.replies;
    redis_fixture_pause(&w.replicas[0].server);
    assert_true(redis_owner_send(&w.owner, "INCR", "n", NULL)); // which it does not have
    assert_true(loop_try_count(w.loop, &w.owner.replies, before + 1, 3000));
    durability_wait(w.durability, 1000, on_durable, NULL);
    loop_run_for(w.loop, 20);
    redis_fixture_kill(&w.master);
    assert_true(loop_try_count(w.loop, &w.answers, 1, 2000));
    assert_int_equal(w.last.level, DURABILITY_LOCAL);
    assert_false(w.last.known);
    durability_wait(w.durability, 500, on_durable, NULL); // with no link at all
    assert_true(loop_try_count(w.loop, &w.answers, 2, 2000));
    assert_false(w.last.known);
    redis_fixture_resume(&w.replicas[0].server);
}

// A master that refuses, or is none any more, is no proof of anything.
static void odd_answers_prove_nothing(void **state)
{
    static const char *const odd[] = {
        "-NOPERM no permissions\r\n",
        "$4\r\nPONG\r\n",
        "$48\r\nrole:slave\nslave0:state=online,offset=999,lag=0\n\r\n",
        "+OK\r\n",
    };
    (void)state;
    struct fake_redis *fake = fake_redis_start(w.loop);
    static struct redis_owner o;
    redis_owner_open_port(&o, w.loop, fake_redis_port(fake));
    redis_owner_wait_up(&o, 1);
    struct durability *d = durability_create(o.redis, NULL);
    for (size_t i = 0; i < CM_ARRAY_LEN(odd); i++) {
        fake_redis_reply(fake, "INFO", odd[i]);
        durability_wait(d, 500, on_durable, NULL);
        assert_true(loop_try_count(w.loop, &w.answers, i + 1, 2000));
        assert_false(w.last.known);
        assert_int_equal(w.last.level, DURABILITY_LOCAL);
    }
    redis_owner_close(&o);
    durability_destroy(d);
    fake_redis_stop(fake);
}

int main(void)
{
#define REPLICATED_TEST(name_) cmocka_unit_test_setup_teardown(name_, start, stop)
    const struct CMUnitTest tests[] = {
        REPLICATED_TEST(replicas_that_follow_have_it),
        REPLICATED_TEST(one_that_hangs_is_waited_for_only_for_a_while),
        REPLICATED_TEST(without_replicas_it_is_local),
        REPLICATED_TEST(all_who_come_during_a_round_share_the_next),
        REPLICATED_TEST(a_lost_link_is_said),
        REPLICATED_TEST(odd_answers_prove_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
