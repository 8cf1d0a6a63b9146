// SPDX-License-Identifier: Apache-2.0
// The queue of transactions on a real Redis: those that do not touch each other go
// in one round, a revision each; the next round asks behind their commits, and what
// it was told too early is not planned with. Under lost links and a faster rival every
// change is made once, or not at all and said so.
#include "admin/txn.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/store_fixture.h"
#include "tests/support/test.h"

static struct {
    struct store_fixture store;
    struct roster *roster;
    struct guard guard;
    struct txn_queue *queue;
    char events[256]; // "a1" = 1 asks, "p1" = 1 plans, "d1" = 1 is done
    size_t done, failed;
    const char *rival; // makes one revision while the first plan is made
    unsigned refusing; // this number's plan wants no commit
} w;

struct change {
    unsigned number;
    const char *id; // of the model that it adds its number to
    size_t model;
    enum txn_result result;
};

static void note(char what, const struct change *c)
{
    size_t len = strlen(w.events);
    if (len + 4 >= sizeof(w.events))
        return;
    snprintf(w.events + len, sizeof(w.events) - len, "%s%c%u", len > 0 ? " " : "", what, c->number);
}

static void ask(void *ctx, struct fetch *f)
{
    struct change *c = ctx;
    note('a', c);
    c->model = fetch_model(f, slice_of(c->id));
}

// Another process is faster, once.
static void meddle(void)
{
    if (w.rival == NULL)
        return;
    redis_fixture_do(&w.store.server, "HSET {cm}:head rev 2 change %s", w.rival);
    w.rival = NULL;
}

// Each adds its number to what it read.
static enum txn_verdict plan(void *ctx, struct fetch *f, const struct head *head, struct commit *c)
{
    struct change *change = ctx;
    struct slice before = fetch_result(f, change->model);
    struct buf after = {.len = 0};
    note('p', change);
    meddle();
    assert_int_equal(commit_revision(c), head->revision + 1);
    if (change->number == w.refusing)
        return TXN_STOP;
    buf_append_slice(&after, before);
    buf_printf(&after, "%u,", change->number);
    commit_put_model(c, slice_of(change->id), before, buf_slice(&after));
    buf_fini(&after);
    return TXN_COMMIT;
}

static void committed(void *ctx, uint64_t revision)
{
    (void)ctx;
    (void)revision;
}

static void done(void *ctx, enum txn_result result, struct slice text, struct problem *problem)
{
    struct change *c = ctx;
    (void)text;
    (void)problem;
    note('d', c);
    c->result = result;
    w.done++;
    w.failed += result != TXN_COMMITTED;
}

static const struct txn_hooks hooks = {
    .ask = ask, .plan = plan, .committed = committed, .done = done};

static void run(struct change *changes, size_t count)
{
    w.done = w.failed = 0;
    for (size_t i = 0; i < count; i++)
        txn_start(w.queue, &hooks, &changes[i]);
    assert_true(loop_try_count(&w.store.loop, &w.done, count, 5000));
    assert_true(txn_queue_idle(w.queue));
}

static const char *record_of(const char *id)
{
    return redis_fixture_text(&w.store.server, "HGET {cm}:models %s", id);
}

static int start(void **state)
{
    memset(&w, 0, sizeof(w));
    *state = &w;
    store_fixture_init(&w.store, NULL);
    w.roster = roster_create();
    w.guard = (struct guard){.roster = w.roster, .policy_good = true, .looked = true};
    w.queue = txn_queue_create(&(struct txn_queue_options){.redis = w.store.owner.redis,
                                                           .keyspace = &w.store.keyspace,
                                                           .guard = &w.guard,
                                                           .log_keep = 1000,
                                                           .log_keep_bytes = 1 << 20});
    struct change first = {.number = 1, .id = "a/counter"};
    run(&first, 1); // the script is loaded, and not sent a second time
    w.events[0] = '\0';
    return 0;
}

static int stop(void **state)
{
    (void)state;
    txn_queue_destroy(w.queue);
    roster_destroy(w.roster);
    store_fixture_fini(&w.store);
    return 0;
}

static struct change on(const char *id, unsigned number)
{
    return (struct change){.number = number, .id = id};
}

static void changes_of_one_object_follow_each_other(void **state)
{
    struct change changes[] = {on("a/counter", 1), on("a/counter", 2), on("a/counter", 3)};
    (void)state;
    run(changes, 3);
    assert_int_equal(w.failed, 0);
    assert_string_equal(w.events, "a1 a2 a3 p1 a2 a3 d1 p2 a3 d2 p3 d3");
    assert_string_equal(record_of("a/counter"), "1,1,2,3,");
    assert_int_equal(store_fixture_head(&w.store).revision, 4);
}

// 1 meets a conflict: what 2 was told meanwhile is of no use.
static void what_was_told_before_its_turn_is_dropped(void **state)
{
    struct change changes[] = {on("a/counter", 1), on("a/counter", 2)};
    (void)state;
    w.rival = "00000000000000ff";
    run(changes, 2);
    assert_int_equal(w.failed, 0);
    assert_string_equal(w.events, "a1 a2 p1 a2 a1 a2 p1 a2 d1 p2 d2");
    assert_string_equal(record_of("a/counter"), "1,1,2,");
    assert_int_equal(store_fixture_head(&w.store).revision, 4);
}

static void changes_of_other_objects_share_a_round(void **state)
{
    struct change changes[] = {on("a/x", 1), on("a/y", 2), on("a/x", 3), on("a/z", 4)};
    (void)state;
    run(changes, 4);
    assert_int_equal(w.failed, 0);
    // 3 reads what 1 writes, and 4 stands behind it.
    assert_string_equal(w.events, "a1 a2 a3 a4 p1 p2 a3 a4 d1 d2 p3 p4 d3 d4");
    assert_string_equal(record_of("a/x"), "1,3,");
    assert_string_equal(record_of("a/y"), "2,");
    assert_string_equal(record_of("a/z"), "4,");
    assert_int_equal(store_fixture_head(&w.store).revision, 5);
    assert_int_equal(redis_fixture_integer(&w.store.server, "XLEN {cm}:log"), 5);
}

// None of the three can be made behind the rival's.
static void a_round_that_meets_a_rival_is_planned_again(void **state)
{
    struct change changes[] = {on("a/x", 1), on("a/y", 2), on("a/z", 3)};
    (void)state;
    w.rival = "00000000000000ff";
    run(changes, 3);
    assert_int_equal(w.failed, 0);
    assert_string_equal(w.events, "a1 a2 a3 p1 p2 p3 a1 a2 a3 p1 p2 p3 d1 d2 d3");
    assert_int_equal(store_fixture_head(&w.store).revision, 5);
}

// What a plan says without a commit is said of what is, not of what is on its way.
static void who_wants_no_commit_waits_for_those_before(void **state)
{
    struct change changes[] = {on("a/x", 1), on("a/y", 2), on("a/z", 3)};
    (void)state;
    w.refusing = 2;
    run(changes, 3);
    assert_string_equal(w.events, "a1 a2 a3 p1 p2 a2 a3 d1 p2 d2 p3 d3");
    assert_int_equal(changes[1].result, TXN_STOPPED);
    assert_int_equal(store_fixture_head(&w.store).revision, 3);
}

// Redis stands still, takes all three in the end, and nobody hears it.
static void a_round_without_answers_is_found_in_the_log(void **state)
{
    struct change changes[] = {on("a/x", 1), on("a/y", 2), on("a/z", 3)};
    (void)state;
    w.done = w.failed = 0;
    for (size_t i = 0; i < 3; i++)
        txn_start(w.queue, &hooks, &changes[i]);
    while (strstr(w.events, "p3") == NULL)
        uv_run(&w.store.loop, UV_RUN_NOWAIT);
    redis_fixture_pause(&w.store.server);
    redis_fail(w.store.owner.redis, "the test wants it so"); // unread, whatever it said
    redis_fixture_resume(&w.store.server);
    for (unsigned i = 0; i < 500 && w.done < 3; i++) {
        txn_queue_tick(w.queue, clock_boot_ms());
        loop_run_for(&w.store.loop, 10);
    }
    assert_int_equal(w.done, 3);
    assert_int_equal(w.failed, 0);
    assert_string_equal(record_of("a/x"), "1,");
    assert_string_equal(record_of("a/z"), "3,");
    assert_int_equal(store_fixture_head(&w.store).revision, 4);
}

// --- everything at once

enum { CHANGES = 400, OBJECTS = 12 };

// How often the number stands in its object's record.
static unsigned times_made(const struct change *c)
{
    char number[16];
    struct slice record = slice_of(record_of(c->id)), item;
    unsigned found = 0;
    snprintf(number, sizeof(number), "%u", c->number);
    while (record.len > 0) {
        item = slice_take(&record, ',');
        found += slice_equal(item, slice_of(number));
    }
    return found;
}

static uint64_t rivals;

static void disturb(unsigned step)
{
    if (step % 7 == 3) {
        redis_fixture_do(&w.store.server, "EVAL %s 1 {cm}:head 00000000%08x",
                         "redis.call('HINCRBY', KEYS[1], 'rev', 1) "
                         "redis.call('HSET', KEYS[1], 'change', ARGV[1])",
                         step);
        rivals++;
    }
    if (step % 61 == 11)
        redis_fixture_do(&w.store.server, "CLIENT KILL TYPE normal SKIPME yes");
}

static void every_change_is_made_once_or_not_and_said_so(void **state)
{
    static struct change changes[CHANGES];
    static const char *const ids[OBJECTS] = {"b/0", "b/1", "b/2", "b/3", "b/4", "b/5",
                                             "b/6", "b/7", "b/8", "b/9", "b/a", "b/b"};
    size_t started = 0, made = 0;
    (void)state;
    rivals = 0;
    w.done = w.failed = 0;
    for (unsigned step = 0; w.done < CHANGES; step++) {
        assert_true(step < 20000);
        for (unsigned n = redis_is_up(w.store.owner.redis) ? step % 9 : 0;
             n > 0 && started < CHANGES; n--, started++) {
            changes[started] = on(ids[started * 7 % OBJECTS], 1000 + (unsigned)started);
            txn_start(w.queue, &hooks, &changes[started]);
        }
        if (started < CHANGES)
            disturb(step);
        txn_queue_tick(w.queue, clock_boot_ms());
        loop_run_for(&w.store.loop, 1 + step % 3);
    }
    for (size_t i = 0; i < CHANGES; i++) {
        unsigned times = times_made(&changes[i]);
        assert_true(times <= 1);
        if (changes[i].result != TXN_UNRESOLVED) // Redis was away for too long
            assert_int_equal(times, changes[i].result == TXN_COMMITTED);
        made += times;
    }
    assert_true(made > 0);
    print_message("figure: %zu of %d changes made, through %llu rivals and lost links\n", made,
                  CHANGES, (unsigned long long)rivals);
    assert_int_equal(store_fixture_head(&w.store).revision, 1 + made + rivals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changes_of_one_object_follow_each_other, start, stop),
        cmocka_unit_test_setup_teardown(what_was_told_before_its_turn_is_dropped, start, stop),
        cmocka_unit_test_setup_teardown(changes_of_other_objects_share_a_round, start, stop),
        cmocka_unit_test_setup_teardown(a_round_that_meets_a_rival_is_planned_again, start, stop),
        cmocka_unit_test_setup_teardown(who_wants_no_commit_waits_for_those_before, start, stop),
        cmocka_unit_test_setup_teardown(a_round_without_answers_is_found_in_the_log, start, stop),
        cmocka_unit_test_setup_teardown(every_change_is_made_once_or_not_and_said_so, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
