// SPDX-License-Identifier: Apache-2.0
// Who waits for whom when keys are guessed faster than the store can say no.
#include <string.h>

#include "services/key_fill.h"
#include "tests/support/key_world.h"

enum { ALL_MAX = 2 * KEY_FILLS_MAX + KEY_FILLS_FIRST_MAX };

static struct key_cache *cache;
static struct key_fill *fill;
static struct key_waiter many[ALL_MAX + 1];
static unsigned told;

static int start(void **state)
{
    (void)state;
    world_reset();
    told = 0;
    cache = key_cache_create(8 << 20);
    fill = key_fill_create(&world_source, NULL, cache);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    while (world.read_count > 0)
        world_answer_failed();
    key_fill_destroy(fill);
    key_cache_destroy(cache);
    return 0;
}

static void on_filled(struct key_waiter *w, enum key_fill_outcome outcome)
{
    (void)w;
    (void)outcome;
    told++;
}

static bool join_as(unsigned n, enum key_line line, struct key_waiter *w)
{
    struct secret_digest d = world_digest(n);
    w->on_filled = on_filled;
    return key_fill_join(fill, &d, line, w);
}

static bool join_one(unsigned n, enum key_line line)
{
    return join_as(n, line, &many[n]);
}

static void join_range(unsigned from, unsigned to, enum key_line line)
{
    for (unsigned n = from; n < to; n++)
        assert_true(join_one(n, line));
}

static bool is_next(unsigned n)
{
    struct secret_digest d = world_digest(n);
    return secret_digest_equal(&world.reads[world.read_count - 1].digest, &d);
}

static void guessed_keys_leave_room_for_known_ones(void **state)
{
    (void)state;
    enum { FIRST_END = KEY_FILLS_FIRST_MAX, FURTHER_END = FIRST_END + KEY_FILLS_MAX };
    join_range(0, FIRST_END, KEY_LINE_FIRST);
    join_range(FIRST_END, FURTHER_END, KEY_LINE_FURTHER);
    assert_false(join_one(ALL_MAX, KEY_LINE_FIRST));
    assert_false(join_one(ALL_MAX, KEY_LINE_FURTHER));
    assert_int_equal(world.read_count, KEY_FILL_READS_OTHERS);
    // A quarter of the reads, at once ...
    join_range(FURTHER_END, FURTHER_END + KEY_FILL_READS_MAX - KEY_FILL_READS_OTHERS,
               KEY_LINE_KNOWN);
    assert_int_equal(world.read_count, KEY_FILL_READS_MAX);
    // ... and a line of its own, which is served first.
    join_range(FURTHER_END + KEY_FILL_READS_MAX - KEY_FILL_READS_OTHERS, ALL_MAX, KEY_LINE_KNOWN);
    assert_false(join_one(ALL_MAX, KEY_LINE_KNOWN));
    world_answer_absent(10);
    assert_true(is_next(FURTHER_END + KEY_FILL_READS_MAX - KEY_FILL_READS_OTHERS));
    while (world.read_count > 0)
        world_answer_absent(10);
    assert_int_equal(world.sent, ALL_MAX);
    assert_int_equal(key_fill_counters(fill).in_flight, 0);
    join_range(0, 1, KEY_LINE_FIRST);
}

static void the_first_of_a_connection_goes_before_its_further_ones(void **state)
{
    (void)state;
    enum { AHEAD = KEY_FILL_READS_OTHERS, QUEUED = 40 };
    join_range(0, AHEAD, KEY_LINE_FURTHER);
    join_range(AHEAD, AHEAD + QUEUED, KEY_LINE_FURTHER);
    join_range(AHEAD + QUEUED, AHEAD + 2 * QUEUED, KEY_LINE_FIRST);
    unsigned first = 0, further = 0;
    for (unsigned i = 0; i < KEY_FILL_FURTHER_TURN * 3; i++) {
        world_answer_absent(10);
        if (is_next(AHEAD + QUEUED + first))
            first++;
        else if (is_next(AHEAD + further))
            further++;
        else
            fail_msg("read %u is out of order", i);
    }
    assert_int_equal(first + further, KEY_FILL_FURTHER_TURN * 3);
    assert_in_range(further, 3, 8); // more than none, and far fewer
}

static void who_waits_for_the_same_key_takes_no_place_in_a_line(void **state)
{
    (void)state;
    join_range(0, KEY_FILLS_MAX, KEY_LINE_KNOWN);
    assert_true(join_as(0, KEY_LINE_KNOWN, &many[ALL_MAX]));
    assert_false(join_one(KEY_FILLS_MAX, KEY_LINE_KNOWN));
    world_answer_absent(10);
    assert_int_equal(told, 2);
    assert_true(join_one(KEY_FILLS_MAX, KEY_LINE_KNOWN));
}

#define CASE(function_) cmocka_unit_test_setup_teardown(function_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(guessed_keys_leave_room_for_known_ones),
        CASE(the_first_of_a_connection_goes_before_its_further_ones),
        CASE(who_waits_for_the_same_key_takes_no_place_in_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
