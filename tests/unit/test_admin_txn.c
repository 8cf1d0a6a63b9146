// SPDX-License-Identifier: Apache-2.0
// The queue of transactions on a real Redis: the next one asks behind the commit
// before it, and what it was told too early is not planned with.
#include "admin/txn.h"

#include <stdio.h>
#include <string.h>

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
} w;

struct change {
    unsigned number;
    size_t model;
};

static void note(char what, const struct change *c)
{
    size_t len = strlen(w.events);
    snprintf(w.events + len, sizeof(w.events) - len, "%s%c%u", len > 0 ? " " : "", what, c->number);
}

static void ask(void *ctx, struct fetch *f)
{
    struct change *c = ctx;
    note('a', c);
    c->model = fetch_model(f, SLICE_LIT("a/counter"));
}

// Another process is faster, once.
static void meddle(void)
{
    if (w.rival == NULL)
        return;
    redis_fixture_do(&w.store.server, "HSET {cm}:head rev 2 change %s", w.rival);
    w.rival = NULL;
}

// Each adds one letter to what it read.
static enum txn_verdict plan(void *ctx, struct fetch *f, const struct head *head, struct commit *c)
{
    struct change *change = ctx;
    struct slice before = fetch_result(f, change->model);
    struct buf after = {.len = 0};
    (void)head;
    note('p', change);
    meddle();
    buf_append_slice(&after, before);
    buf_printf(&after, "%u", change->number);
    commit_put_model(c, SLICE_LIT("a/counter"), before, buf_slice(&after));
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
    (void)text;
    (void)problem;
    note('d', ctx);
    w.done++;
    w.failed += result != TXN_COMMITTED;
}

static void run(size_t count)
{
    static const struct txn_hooks hooks = {
        .ask = ask, .plan = plan, .committed = committed, .done = done};
    w.done = 0;
    struct change changes[16] = {{.number = 0}};
    for (size_t i = 0; i < count; i++) {
        changes[i].number = (unsigned)i + 1;
        txn_start(w.queue, &hooks, &changes[i]);
    }
    assert_true(loop_try_count(&w.store.loop, &w.done, count, 5000));
    assert_int_equal(w.failed, 0);
    assert_true(txn_queue_idle(w.queue));
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
    run(1); // the script is loaded, and not sent a second time
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

static void the_next_asks_behind_a_commit(void **state)
{
    (void)state;
    run(3);
    assert_string_equal(w.events, "a1 p1 a2 d1 p2 a3 d2 p3 d3");
    assert_string_equal(redis_fixture_text(&w.store.server, "HGET {cm}:models a/counter"), "1123");
    assert_int_equal(store_fixture_head(&w.store).revision, 4);
}

// 1 meets a conflict: what 2 was told meanwhile is of no use.
static void what_was_told_before_its_turn_is_dropped(void **state)
{
    (void)state;
    w.rival = "00000000000000ff";
    run(3);
    assert_string_equal(w.events, "a1 p1 a2 a1 p1 a2 d1 p2 a3 d2 p3 d3");
    assert_string_equal(redis_fixture_text(&w.store.server, "HGET {cm}:models a/counter"), "1123");
    assert_int_equal(store_fixture_head(&w.store).revision, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_next_asks_behind_a_commit, start, stop),
        cmocka_unit_test_setup_teardown(what_was_told_before_its_turn_is_dropped, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
