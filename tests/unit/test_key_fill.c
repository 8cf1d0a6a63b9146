// SPDX-License-Identifier: Apache-2.0
#include "services/key_fill.h"

#include <string.h>

#include "tests/support/key_world.h"
#include "tests/support/log_capture.h"

enum { WAITERS = 4, A = 1, B = 2 };

static struct key_cache *cache;
static struct key_fill *fill;

// What each waiter was told: "r", "a" or "u", in order.
static char told[64];
static struct key_waiter waiters[WAITERS];

static void on_filled(struct key_waiter *w, enum key_fill_outcome outcome)
{
    (void)w;
    size_t len = strlen(told);
    assert_true(len + 1 < sizeof(told));
    told[len] = "rau"[outcome];
    told[len + 1] = '\0';
}

#define assert_told(words_)                                                                        \
    do {                                                                                           \
        assert_string_equal(told, (words_));                                                       \
        told[0] = '\0';                                                                            \
    } while (0)

static int start(void **state)
{
    (void)state;
    world_reset();
    told[0] = '\0';
    cache = key_cache_create(1 << 20);
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

static bool join(unsigned n, size_t waiter)
{
    struct secret_digest d = world_digest(n);
    waiters[waiter].on_filled = on_filled;
    return key_fill_join(fill, &d, KEY_LINE_KNOWN, &waiters[waiter]);
}

static void changed(unsigned n, uint64_t revision)
{
    struct secret_digest d = world_digest(n);
    key_fill_key_changed(fill, &d, revision);
}

static struct key_entry *cached(unsigned n)
{
    struct secret_digest d = world_digest(n);
    return key_cache_find(cache, &d, world.now.now_ms);
}

static void a_read_serves_all_who_wait(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    assert_true(join(A, 1));
    assert_true(join(B, 2));
    assert_int_equal(world.sent, 2);
    assert_told("");
    world_answer_found(10, "active", 4);
    assert_told("rr");
    world_answer_absent(10);
    assert_told("r");
    assert_int_equal(cached(A)->kind, KEY_ENTRY_KNOWN);
    assert_int_equal(cached(A)->as_of, 10);
    assert_int_equal(cached(B)->kind, KEY_ENTRY_ABSENT);
    struct key_fill_counters counters = key_fill_counters(fill);
    assert_int_equal(counters.found, 1);
    assert_int_equal(counters.absent, 1);
    assert_int_equal(counters.in_flight, 0);
    assert_int_equal(counters.failed, 0);
}

static void a_store_that_does_not_answer(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    world_answer_failed();
    assert_told("a");
    assert_null(cached(A));
    world.refuse_reads = true;
    assert_false(join(A, 0));
    world.refuse_reads = false;
    world.now.up = false;
    assert_false(join(A, 0));
    world.now.up = true;
    world.now.state = FEED_SUSPECT;
    assert_false(join(A, 0));
    world.now.state = FEED_CATCHUP;
    assert_true(join(A, 0));
    assert_told("");
    assert_int_equal(key_fill_counters(fill).failed, 1);
}

// -- the guard --------------------------------------------------------------

static void a_change_during_the_read_has_it_read_again(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    changed(A, 11);
    world_answer_found(10, "active", 4);
    assert_told("");
    assert_null(cached(A));
    assert_int_equal(world.sent, 2);
    world_move_to(WORLD_EPOCH, 11);
    world_answer_found(11, "revoked", 11);
    assert_told("r");
    assert_int_equal(cached(A)->key->state, KEY_REVOKED);
    assert_int_equal(key_fill_counters(fill).retries, 1);
}

static void an_absence_that_a_creation_has_overtaken(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    changed(A, 11);
    world_answer_absent(10);
    assert_told("");
    assert_null(cached(A));
    assert_int_equal(world.sent, 2);
}

static void a_change_that_the_read_has_seen_costs_nothing(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    changed(A, 11);
    world_move_to(WORLD_EPOCH, 11);
    world_answer_found(11, "active", 11);
    assert_told("r");
    assert_int_equal(world.sent, 1);
}

static void a_change_of_another_key_does_not_matter(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    changed(B, 11);
    world_answer_found(10, "active", 4);
    assert_told("r");
    assert_int_equal(world.sent, 1);
}

static void a_change_told_twice_costs_one_read(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    changed(A, 11); // the bell
    world_answer_found(10, "active", 4);
    changed(A, 11); // the log, while the second read is under way
    world_move_to(WORLD_EPOCH, 11);
    world_answer_found(11, "active", 11);
    assert_told("r");
    assert_int_equal(world.sent, 2);
}

static void a_forged_change_costs_at_most_a_read(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    changed(A, UINT64_MAX);
    world_answer_found(10, "active", 4);
    assert_int_equal(world.sent, 2);
    world_answer_found(10, "active", 4);
    assert_told("r");
}

static void a_reload_during_the_read_has_it_read_again(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    key_fill_all_changed(fill);
    world_answer_found(10, "active", 4);
    assert_told("");
    assert_int_equal(world.sent, 2);
    world_answer_found(10, "active", 4);
    assert_told("r");
}

static void three_tries_and_no_more(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    for (unsigned i = 0; i < KEY_FILL_TRIES; i++) {
        assert_told("");
        key_fill_all_changed(fill);
        world_answer_found(10, "active", 4);
    }
    assert_told("u");
    assert_null(cached(A));
    assert_int_equal(world.sent, KEY_FILL_TRIES);
    assert_int_equal(key_fill_counters(fill).failed, 1);
}

// -- revisions --------------------------------------------------------------

static void a_read_ahead_of_the_catalog_waits_for_it(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    world_answer_found(12, "active", 12);
    assert_told("");
    assert_int_equal(world.confirms, 1);
    world.now.state = FEED_CATCHUP;
    world_move_to(WORLD_EPOCH, 11);
    key_fill_on_feed(fill);
    assert_told("");
    assert_null(cached(A));
    assert_true(join(A, 1));
    world.now.state = FEED_LIVE;
    world_move_to(WORLD_EPOCH, 12);
    changed(A, 12); // the log tells what the read has seen
    key_fill_on_feed(fill);
    assert_told("rr");
    assert_int_equal(cached(A)->as_of, 12);
    assert_int_equal(world.sent, 1);
}

static void what_is_held_may_be_overtaken_too(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    world_answer_found(12, "active", 12);
    changed(A, 13);
    world_move_to(WORLD_EPOCH, 13);
    key_fill_on_feed(fill);
    assert_told("");
    assert_int_equal(world.sent, 2);
    world_answer_found(13, "revoked", 13);
    assert_told("r");
    assert_int_equal(cached(A)->key->state, KEY_REVOKED);
}

static void an_absence_needs_no_catalog(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    world_answer_absent(12);
    assert_told("r");
}

static void a_read_of_the_past_does_not_count(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    world_answer_found(9, "active", 4); // a store that lost its latest writes
    assert_told("");
    assert_int_equal(world.confirms, 1);
    world.now.state = FEED_SUSPECT;
    key_fill_on_feed(fill);
    assert_told("a");
    assert_null(cached(A));
}

static void a_read_of_before_the_catalog_moved_counts(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    world_move_to(WORLD_EPOCH, 15);
    world_answer_found(12, "active", 4); // nobody said that it changed since
    assert_told("r");
    assert_int_equal(cached(A)->as_of, 12);
}

// The feed is about to show revision 11 and has told of its keys; then the read leaves,
// and then the store loses that revision. The feed gets there all the same.
static void a_read_of_before_what_was_told_does_not_count(void **state)
{
    (void)state;
    world.now.told_revision = 11;
    assert_true(join(A, 0));
    world_move_to(WORLD_EPOCH, 11);
    world_answer_absent(10);
    assert_told("");
    assert_null(cached(A));
    assert_int_equal(world.confirms, 1);
    key_fill_on_feed(fill);
    assert_int_equal(world.sent, 2);
    world_answer_found(11, "active", 11);
    assert_told("r");
    assert_int_equal(cached(A)->as_of, 11);
}

static struct key_read foreign(uint64_t epoch, uint64_t change)
{
    return (struct key_read){.status = KEY_READ_FOUND,
                             .epoch = epoch,
                             .revision = 10,
                             .change = change,
                             .record =
                                 SLICE_LIT("{\"rev\":1,\"id\":\"key_01ARYZ6S41TSV4RRFFQ69G5FAV\""
                                           ",\"state\":\"active\"}")};
}

static void another_history_is_looked_at_by_the_feed_first(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    struct key_read other = foreign(2, 1010);
    world_answer(&other);
    assert_told("");
    assert_int_equal(world.confirms, 1);
    world.now.state = FEED_CATCHUP; // it descends from ours: a reload
    key_fill_on_feed(fill);
    assert_int_equal(world.sent, 1);
    world.now.state = FEED_LIVE;
    world_move_to(2, 10);
    key_fill_on_feed(fill);
    assert_int_equal(world.sent, 2);
    world_answer(&other);
    assert_told("r");
}

static void another_change_at_our_revision_is_another_history(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    struct key_read other = foreign(WORLD_EPOCH, 77);
    for (int i = 0; i < KEY_FILL_TRIES; i++) {
        assert_told("");
        world_answer(&other);
        key_fill_on_feed(fill);
    }
    assert_told("u");
    assert_null(cached(A));
}

// It was read where the store lost writes that the feed has since seen made anew:
// the revision is passed, but by other changes.
static void what_the_feed_has_not_passed_is_another_history(void **state)
{
    (void)state;
    struct key_read other = foreign(WORLD_EPOCH, 77);
    assert_true(join(A, 0));
    world_move_to(WORLD_EPOCH, 12);
    world_answer(&other);
    assert_told("");
    key_fill_on_feed(fill);
    assert_int_equal(world.sent, 2);
    other.revision = 14;
    world_answer(&other); // ahead: held
    world_move_to(WORLD_EPOCH, 15);
    key_fill_on_feed(fill);
    assert_told("");
    assert_int_equal(world.sent, 3);
    world_answer_found(15, "active", 4);
    assert_told("r");
    assert_int_equal(cached(A)->as_of, 15);
}

// -- ends -------------------------------------------------------------------

static void patience_has_an_end(void **state)
{
    (void)state;
    assert_int_equal(key_fill_deadline(fill), UINT64_MAX);
    assert_true(join(A, 0));
    world.now.now_ms += 5;
    assert_true(join(B, 1));
    world_answer_found(12, "active", 12); // A is held
    uint64_t deadline = key_fill_deadline(fill);
    assert_int_equal(deadline, world.now.now_ms - 5 + KEY_FILL_PATIENCE_MS);
    world.now.now_ms = deadline - 1;
    key_fill_on_time(fill);
    assert_told("");
    world.now.now_ms = deadline;
    key_fill_on_time(fill);
    assert_told("u");
    world.now.now_ms = deadline + 5;
    key_fill_on_time(fill);
    assert_told("u");
    assert_int_equal(key_fill_deadline(fill), UINT64_MAX);
    // B's read is still in flight; a new one does not wait for it.
    assert_int_equal(key_fill_counters(fill).in_flight, 1);
    assert_true(join(B, 1));
    assert_int_equal(world.sent, 3);
    world_answer_found(10, "active", 4); // the late one tells nobody
    assert_told("");
    assert_null(cached(B));
    world_answer_found(10, "active", 4);
    assert_told("r");
    assert_int_equal(key_fill_counters(fill).in_flight, 0);
}

static void the_link_goes_while_a_fill_is_held(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    world_answer_found(12, "active", 12);
    world.now.up = false;
    key_fill_on_feed(fill);
    assert_told("a");
}

static void an_invalid_record_takes_rights_away(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    world_answer_found(10, "active", 4);
    assert_told("r");
    log_capture_start();
    assert_true(join(A, 0));
    world_answer_found(10, "garbage", 4);
    assert_int_equal(log_capture_stop("key_record_invalid"), 1);
    assert_told("u");
    assert_null(cached(A));
}

static struct key_waiter many[KEY_FILLS_MAX];
static unsigned many_told[3];

static void on_one_filled(struct key_waiter *w, enum key_fill_outcome outcome)
{
    (void)w;
    many_told[outcome]++;
}

static void join_many(unsigned count)
{
    memset(many_told, 0, sizeof(many_told));
    for (unsigned n = 0; n < count; n++) {
        struct secret_digest d = world_digest(n);
        many[n].on_filled = on_one_filled;
        assert_true(key_fill_join(fill, &d, KEY_LINE_KNOWN, &many[n]));
    }
}

static void so_many_and_no_more(void **state)
{
    (void)state;
    join_many(KEY_FILLS_MAX);
    assert_int_equal(world.read_count, KEY_FILL_READS_MAX);
    assert_false(join(KEY_FILLS_MAX, 0));
    assert_true(join(KEY_FILLS_MAX - 1, 0)); // no further read
    while (world.read_count > 0) {
        world_answer_absent(10);
        assert_true(world.read_count <= KEY_FILL_READS_MAX);
    }
    assert_int_equal(world.sent, KEY_FILLS_MAX);
    assert_int_equal(many_told[KEY_FILL_READ], KEY_FILLS_MAX);
    assert_told("r");
    assert_true(join(KEY_FILLS_MAX, 0));
}

static void the_queue_goes_with_the_link(void **state)
{
    (void)state;
    join_many(KEY_FILL_READS_MAX + 10);
    world.now.up = false;
    key_fill_on_feed(fill);
    assert_int_equal(many_told[KEY_FILL_AWAY], 10);
    while (world.read_count > 0)
        world_answer_failed();
    assert_int_equal(many_told[KEY_FILL_AWAY], KEY_FILL_READS_MAX + 10);
}

static void the_queue_knows_what_it_has_given_up(void **state)
{
    (void)state;
    join_many(KEY_FILL_READS_MAX + 3);
    world.now.now_ms += KEY_FILL_PATIENCE_MS;
    key_fill_on_time(fill);
    assert_int_equal(many_told[KEY_FILL_UNSURE], KEY_FILL_READS_MAX + 3);
    assert_int_equal(key_fill_counters(fill).in_flight, KEY_FILL_READS_MAX);
    assert_true(join(5000, 0)); // waits for a read to come back
    assert_int_equal(world.read_count, KEY_FILL_READS_MAX);
    world_answer_absent(10);
    assert_int_equal(world.read_count, KEY_FILL_READS_MAX);
    while (world.read_count > 0)
        world_answer_absent(10);
    assert_told("r");
}

static void a_change_while_it_is_queued_needs_no_second_read(void **state)
{
    (void)state;
    join_many(KEY_FILL_READS_MAX);
    assert_true(join(5000, 0));
    changed(5000, 12);
    key_fill_all_changed(fill);
    world_answer_failed();
    while (world.read_count > 1)
        world_answer_failed();
    world_answer_absent(10);
    assert_told("r");
    assert_int_equal(world.sent, KEY_FILL_READS_MAX + 1);
}

static struct key_waiter again;

static void on_filled_join(struct key_waiter *w, enum key_fill_outcome outcome)
{
    on_filled(w, outcome);
    struct secret_digest d = world_digest(A);
    again.on_filled = on_filled;
    assert_true(key_fill_join(fill, &d, KEY_LINE_KNOWN, &again));
}

static void whoever_was_told_may_ask_again(void **state)
{
    (void)state;
    struct secret_digest d = world_digest(A);
    waiters[0].on_filled = on_filled_join;
    assert_true(key_fill_join(fill, &d, KEY_LINE_KNOWN, &waiters[0]));
    assert_true(join(A, 1));
    world_answer_failed();
    assert_told("aa");
    assert_int_equal(world.sent, 2);
    world_answer_absent(10);
    assert_told("r");
}

static void the_end_tells_everybody(void **state)
{
    (void)state;
    assert_true(join(A, 0));
    world_answer_found(12, "active", 12);
    key_fill_destroy(fill);
    fill = NULL;
    assert_told("a");
}

#define CASE(function_) cmocka_unit_test_setup_teardown(function_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_read_serves_all_who_wait),
        CASE(a_store_that_does_not_answer),
        CASE(a_change_during_the_read_has_it_read_again),
        CASE(an_absence_that_a_creation_has_overtaken),
        CASE(a_change_that_the_read_has_seen_costs_nothing),
        CASE(a_change_of_another_key_does_not_matter),
        CASE(a_change_told_twice_costs_one_read),
        CASE(a_forged_change_costs_at_most_a_read),
        CASE(a_reload_during_the_read_has_it_read_again),
        CASE(three_tries_and_no_more),
        CASE(a_read_ahead_of_the_catalog_waits_for_it),
        CASE(what_is_held_may_be_overtaken_too),
        CASE(an_absence_needs_no_catalog),
        CASE(a_read_of_the_past_does_not_count),
        CASE(a_read_of_before_the_catalog_moved_counts),
        CASE(a_read_of_before_what_was_told_does_not_count),
        CASE(another_history_is_looked_at_by_the_feed_first),
        CASE(another_change_at_our_revision_is_another_history),
        CASE(patience_has_an_end),
        CASE(what_the_feed_has_not_passed_is_another_history),
        CASE(the_link_goes_while_a_fill_is_held),
        CASE(an_invalid_record_takes_rights_away),
        CASE(so_many_and_no_more),
        CASE(the_queue_goes_with_the_link),
        CASE(the_queue_knows_what_it_has_given_up),
        CASE(a_change_while_it_is_queued_needs_no_second_read),
        CASE(whoever_was_told_may_ask_again),
        CASE(the_end_tells_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
