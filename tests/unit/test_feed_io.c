// SPDX-License-Identifier: Apache-2.0
// A follower on a real Redis: that it gets there, how soon, and what it says.
// The writer and the follower have loops of their own, so that the writer can
// write much while the follower stands still.
#include "common/store/feed_io.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/support/follower.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/store_fixture.h"
#include "tests/support/test.h"

struct world {
    struct store_fixture store;
    uv_loop_t loop;
    struct follower worker;
};

static int start(void **state)
{
    static const char *const options[] = {"--appendonly", "yes", NULL};
    struct world *w = xcalloc(1, sizeof(*w));
    store_fixture_init(&w->store, options);
    loop_open(&w->loop);
    *state = w;
    return 0;
}

static int stop(void **state)
{
    struct world *w = *state;
    loop_close(&w->loop);
    store_fixture_fini(&w->store);
    free(w);
    return 0;
}

static bool is_subscribed(void *ctx)
{
    struct world *w = ctx;
    redisReply *r = redis_fixture_command(&w->store.server, "PUBSUB NUMSUB {cm}:0:bell");
    bool subscribed = r->elements == 2 && r->element[1]->integer == 1;
    freeReplyObject(r);
    return subscribed;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// Redis, too, needs the machine: what takes how long is not judged by the slowest, but
// by the slowest of the faster three quarters.
static uint64_t third_quartile(uint64_t *times, size_t count)
{
    qsort(times, count, sizeof(*times), compare_times);
    return times[count * 3 / 4];
}

static void follow(struct world *w, uint32_t poll_ms)
{
    follower_open(&w->worker, &w->loop, w->store.server.url, poll_ms);
}

static const struct feed_counters *counters(struct world *w)
{
    return feed_counters(feed_io_feed(w->worker.io));
}

// --- following

static void a_change_is_there_at_once(void **state)
{
    struct world *w = *state;
    follow(w, 60000); // no poll helps
    follower_wait_revision(&w->worker, 0, 2000);
    uint64_t times[20];
    assert_true(feed_io_is_up(w->worker.io));
    loop_run_until(&w->loop, is_subscribed, w, 1000);
    for (size_t i = 1; i <= 20; i++) {
        char id[32];
        snprintf(id, sizeof(id), "v/m%zu", i);
        store_fixture_put_model(&w->store, id, "{\"x\":1}");
        uint64_t from = loop_awake_ms();
        follower_wait_revision(&w->worker, i, 200);
        times[i - 1] = loop_awake_ms() - from;
        assert_string_equal(follower_record(&w->worker, id), "{\"x\":1}");
    }
    assert_in_range(third_quartile(times, CM_ARRAY_LEN(times)), 0, 100);
    assert_int_equal(counters(w)->reloads, 1); // the first
    follower_close(&w->worker);
}

static void a_lost_bell_costs_a_poll(void **state)
{
    struct world *w = *state;
    struct keyspace deaf;
    uint64_t times[8];
    follow(w, 250);
    follower_wait_revision(&w->worker, 0, 2000);
    // A bell on another database's channel reaches nobody.
    assert_true(keyspace_init(&deaf, SLICE_LIT("cm"), 9));
    for (size_t i = 1; i <= 8; i++) {
        char record[32];
        struct head head = store_fixture_head(&w->store);
        struct commit *c = commit_create(&deaf, &head);
        snprintf(record, sizeof(record), "%zu", i);
        commit_put_model(c, SLICE_LIT("v/m"),
                         i > 1 ? slice_of(follower_record(&w->worker, "v/m")) : SLICE_NONE,
                         slice_of(record));
        assert_int_equal(store_fixture_commit(&w->store, c), COMMIT_OK);
        uint64_t from = loop_awake_ms();
        follower_wait_revision(&w->worker, i, 1000);
        times[i - 1] = loop_awake_ms() - from;
    }
    assert_in_range(third_quartile(times, CM_ARRAY_LEN(times)), 0, 250 * 11 / 10 + 50);
    assert_int_equal(counters(w)->bells, 0);
    follower_close(&w->worker);
}

static void a_large_catalog_is_loaded_page_by_page(void **state)
{
    struct world *w = *state;
    struct commit *c = store_fixture_plan(&w->store);
    char id[32], record[600];
    memset(record, 'r', sizeof(record));
    for (size_t i = 0; i < 3000; i++) {
        snprintf(id, sizeof(id), "vendor/model-%zu", i);
        commit_put_model(c, slice_of(id), SLICE_NONE, slice_make(record, sizeof(record)));
    }
    assert_int_equal(store_fixture_commit(&w->store, c), COMMIT_OK);
    follow(w, 250);
    follower_wait_revision(&w->worker, 1, 10000);
    assert_int_equal(w->worker.shown.count, 3000);
    follower_close(&w->worker);
}

static void a_long_log_is_read_in_parts(void **state)
{
    struct world *w = *state;
    follow(w, 250);
    follower_wait_revision(&w->worker, 0, 2000);
    for (size_t i = 0; i < 200; i++) {
        char id[32];
        snprintf(id, sizeof(id), "v/m%zu", i);
        store_fixture_put_model(&w->store, id, "1");
    }
    follower_wait_revision(&w->worker, 200, 2000);
    assert_int_equal(counters(w)->reloads, 1);
    // One that is not there any more means loading all again.
    for (size_t i = 0; i < 20; i++) {
        char id[32];
        struct commit *c = store_fixture_plan(&w->store);
        snprintf(id, sizeof(id), "v/n%zu", i);
        commit_put_model(c, slice_of(id), SLICE_NONE, SLICE_LIT("1"));
        assert_int_equal(store_fixture_commit_bounded(&w->store, c, 1, 1 << 20), COMMIT_OK);
    }
    follower_wait_revision(&w->worker, 220, 2000);
    assert_int_equal(counters(w)->reloads, 2);
    assert_int_equal(counters(w)->gaps, 1);
    follower_close(&w->worker);
}

// One revision that takes many turns: whatever else comes meanwhile is answered, and
// it is shown whole (the follower checks that at every change).
static void plan_large(struct world *w)
{
    char id[32], record[600];
    memset(record, 'r', sizeof(record));
    struct commit *c = store_fixture_plan(&w->store);
    for (size_t i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "vendor/model-%zu", i);
        commit_put_model(c, slice_of(id), SLICE_NONE, slice_make(record, sizeof(record)));
    }
    assert_int_equal(store_fixture_commit(&w->store, c), COMMIT_OK);
}

static bool has_begun_draft(void *ctx)
{
    return ((struct world *)ctx)->worker.drafts > 0;
}

static void deny_a_key(struct world *w)
{
    struct secret_digest key = {{1}};
    struct commit *c = store_fixture_plan(&w->store);
    commit_put_key(c, &key, SLICE_LIT("{}"), true, 0);
    assert_int_equal(store_fixture_commit(&w->store, c), COMMIT_OK);
}

static void a_large_revision_is_taken_in_over_many_turns(void **state)
{
    struct world *w = *state;
    follow(w, 250);
    store_fixture_put_model(&w->store, "v/first", "1");
    follower_wait_revision(&w->worker, 1, 2000);
    plan_large(w);
    assert_true(loop_try_until(&w->loop, has_begun_draft, w, 2000));
    assert_int_equal(w->worker.shown.count, 1);
    // A denial is there before the models are.
    deny_a_key(w);
    redis_fixture_do(&w->store.server, "PING"); // so its bell has been sent
    size_t turns = 0;
    for (; w->worker.denied == 0; turns++)
        uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(follower_revision(&w->worker), 1);
    assert_true(w->worker.is_staging);
    for (; follower_revision(&w->worker) < 2; turns++) {
        assert_int_equal(w->worker.shown.count, 1);
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    printf("figure: a revision of 1,000 models: %zu turns after its begin\n", turns);
    assert_true(turns > 20);
    follower_wait_revision(&w->worker, 3, 2000);
    assert_int_equal(w->worker.shown.count, 1001);
    assert_int_equal(counters(w)->reloads, 1);
    follower_close(&w->worker);
}

static void a_large_revision_survives_the_loss_of_its_link(void **state)
{
    struct world *w = *state;
    follow(w, 250);
    store_fixture_put_model(&w->store, "v/first", "1");
    follower_wait_revision(&w->worker, 1, 2000);
    plan_large(w);
    assert_true(loop_try_until(&w->loop, has_begun_draft, w, 2000));
    redis_fixture_shutdown(&w->store.server); // and the link with it, in the middle
    follower_wait_state(&w->worker, FEED_AWAY, 2000);
    assert_int_equal(w->worker.drafts_dropped, 1);
    assert_int_equal(w->worker.shown.count, 1);
    assert_int_equal(follower_revision(&w->worker), 1);
    redis_fixture_restart(&w->store.server);
    follower_wait_revision(&w->worker, 2, 5000);
    assert_int_equal(w->worker.shown.count, 1001);
    assert_int_equal(counters(w)->reloads, 1);
    follower_close(&w->worker);
}

static void closing_while_a_large_revision_is_taken_in(void **state)
{
    struct world *w = *state;
    follow(w, 250);
    follower_wait_revision(&w->worker, 0, 2000);
    plan_large(w);
    assert_true(loop_try_until(&w->loop, has_begun_draft, w, 2000));
    follower_close(&w->worker);
    assert_int_equal(w->worker.publishes, 1); // the first load
}

static void keys_are_named(void **state)
{
    struct world *w = *state;
    struct secret_digest key = {{1}};
    follow(w, 250);
    follower_wait_revision(&w->worker, 0, 2000);
    struct commit *c = store_fixture_plan(&w->store);
    for (unsigned char i = 0; i < 12; i++) { // more than a bell names
        key.bytes[0] = i;
        commit_put_key(c, &key, SLICE_LIT("{}"), i % 2 == 0, 0);
    }
    assert_int_equal(store_fixture_commit(&w->store, c), COMMIT_OK);
    follower_wait_revision(&w->worker, 1, 1000);
    assert_true(w->worker.denied >= 6);
    assert_true(w->worker.marked >= 6);
    follower_close(&w->worker);
}

static void a_confirmation_is_told(void **state)
{
    struct world *w = *state;
    follow(w, 60000);
    follower_wait_revision(&w->worker, 0, 2000);
    loop_run_until(&w->loop, is_subscribed, w, 1000);
    loop_run_for(&w->loop, 200);
    size_t changes = w->worker.changes;
    loop_run_for(&w->loop, 200);
    assert_int_equal(w->worker.changes, changes);
    uint64_t before = feed_confirmed_at(feed_io_feed(w->worker.io));
    feed_confirm(feed_io_feed(w->worker.io));
    assert_int_equal(w->worker.changes, changes); // not inside the call
    assert_true(loop_try_count(&w->loop, &w->worker.changes, changes + 1, 200));
    assert_true(feed_confirmed_at(feed_io_feed(w->worker.io)) > before);
    follower_close(&w->worker);
}

// --- Redis goes away, empties, comes back

static void an_outage_is_survived(void **state)
{
    struct world *w = *state;
    store_fixture_put_model(&w->store, "a/b", "1");
    follow(w, 250);
    follower_wait_revision(&w->worker, 1, 2000);
    redis_fixture_kill(&w->store.server);
    follower_wait_state(&w->worker, FEED_AWAY, 1000);
    assert_false(feed_io_is_up(w->worker.io));
    assert_string_equal(follower_record(&w->worker, "a/b"), "1");
    loop_run_for(&w->loop, 300);
    redis_fixture_restart(&w->store.server);
    follower_wait_revision(&w->worker, 1, 2500);
    assert_int_equal(counters(w)->reloads, 1);
    redis_owner_wait_up(&w->store.owner, 2);
    store_fixture_put_model(&w->store, "a/c", "2");
    follower_wait_revision(&w->worker, 2, 1000);
    follower_close(&w->worker);
}

static void a_stopped_redis_is_away(void **state)
{
    struct world *w = *state;
    follow(w, 250);
    follower_wait_revision(&w->worker, 0, 2000);
    uint64_t from = clock_boot_ms(), awake = loop_awake_ms();
    redis_fixture_pause(&w->store.server);
    follower_wait_state(&w->worker, FEED_AWAY, 3000);
    assert_true(clock_boot_ms() - from >= 900);
    assert_in_range(loop_awake_ms() - awake, 0, 1500);
    redis_fixture_resume(&w->store.server);
    follower_wait_state(&w->worker, FEED_LIVE, 2500);
    // Shorter than the deadline: nobody notices.
    size_t downs = w->worker.downs;
    redis_fixture_pause(&w->store.server);
    loop_run_for(&w->loop, 300);
    redis_fixture_resume(&w->store.server);
    loop_run_for(&w->loop, 600);
    assert_int_equal(follower_state(&w->worker), FEED_LIVE);
    assert_int_equal(w->worker.downs, downs);
    follower_close(&w->worker);
}

static bool is_foreign(void *ctx)
{
    const struct world *w = ctx;
    return feed_reason(feed_io_feed(w->worker.io)) == FEED_REASON_FOREIGN;
}

static void an_emptied_redis_is_not_believed(void **state)
{
    struct world *w = *state;
    store_fixture_put_model(&w->store, "a/b", "1");
    follow(w, 250);
    follower_wait_revision(&w->worker, 1, 2000);
    redis_fixture_do(&w->store.server, "FLUSHALL");
    follower_wait_state(&w->worker, FEED_SUSPECT, 1000);
    assert_int_equal(feed_reason(feed_io_feed(w->worker.io)), FEED_REASON_EMPTY);
    assert_string_equal(follower_record(&w->worker, "a/b"), "1");
    assert_int_equal(store_fixture_init_history(&w->store), COMMIT_OK);
    loop_run_until(&w->loop, is_foreign, w, 1000);
    assert_string_equal(follower_record(&w->worker, "a/b"), "1");
    follower_close(&w->worker);
}

// --- acks

static void record_ack(struct redis_owner *o, struct ack *out)
{
    const char *text = strchr(o->last, '=');
    assert_non_null(text);
    if (!ack_parse(slice_of(text + 1), out))
        fail_msg("no ack: %s", text + 1);
}

static bool is_bye(void *ctx)
{
    struct ack ack;
    record_ack(ctx, &ack);
    return ack.kind == ACK_BYE;
}

static void acks_say_hello_what_is_applied_and_bye(void **state)
{
    static const char *const channels[] = {"{cm}:0:ack", NULL};
    static struct redis_owner admin;
    struct world *w = *state;
    struct ack ack;
    redis_owner_init_patient(&admin, &w->loop, w->store.server.url);
    admin.options.channels = channels;
    redis_owner_open(&admin);
    redis_owner_wait_up(&admin, 1);
    follow(w, 250);
    assert_true(loop_try_count(&w->loop, &admin.messages, 1, 1000));
    record_ack(&admin, &ack);
    assert_int_equal(ack.kind, ACK_HELLO);
    assert_int_equal(ack.epoch, 0); // said before anything was read
    assert_string_equal(ack.state, "empty");
    assert_string_equal(ack.id, "00000001-0-1");
    follower_wait_revision(&w->worker, 0, 1000);
    // At once: well before the next of those that come every second.
    uint64_t times[5];
    for (size_t i = 0; i < CM_ARRAY_LEN(times); i++) {
        char id[16];
        snprintf(id, sizeof(id), "a/b%zu", i);
        store_fixture_put_model(&w->store, id, "1");
        follower_wait_revision(&w->worker, i + 1, 1000);
        uint64_t from = loop_awake_ms();
        for (record_ack(&admin, &ack); ack.revision != i + 1; record_ack(&admin, &ack))
            loop_run_for(&w->loop, 1);
        times[i] = loop_awake_ms() - from;
    }
    assert_in_range(third_quartile(times, CM_ARRAY_LEN(times)), 0, 300);
    assert_int_equal(ack.kind, ACK_STATE);
    assert_true(ack.epoch == store_fixture_head(&w->store).epoch);
    assert_string_equal(ack.state, "live");
    assert_true(ack.sent_ms >= ack.confirmed_ms && ack.sent_ms - ack.confirmed_ms < 10000);
    assert_in_range(clock_wall_ms() - ack.sent_ms, 0, 10000);
    uint64_t start = clock_boot_ms();
    assert_true(
        loop_try_count(&w->loop, &admin.messages, admin.messages + 4, 5000)); // and every second
    assert_true(clock_boot_ms() - start >= 2000); // though a link check may report, too
    follower_close(&w->worker);
    loop_run_until(&w->loop, is_bye, &admin, 1000);
    redis_owner_close(&admin);
}

static void bye_does_not_wait_for_a_silent_redis(void **state)
{
    struct world *w = *state;
    follow(w, 250);
    follower_wait_revision(&w->worker, 0, 2000);
    redis_fixture_pause(&w->store.server);
    uint64_t from = clock_boot_ms(), awake = loop_awake_ms();
    follower_close(&w->worker);
    assert_true(clock_boot_ms() - from >= 150);
    assert_in_range(loop_awake_ms() - awake, 0, 400);
    redis_fixture_resume(&w->store.server);
}

static void closing_at_any_time(void **state)
{
    struct world *w = *state;
    store_fixture_put_model(&w->store, "a/b", "1");
    for (size_t turns = 0; turns < 30; turns++) {
        follow(w, 20);
        for (size_t i = 0; i < turns; i++) {
            uv_run(&w->loop, UV_RUN_NOWAIT);
            if (turns % 3 == 0)
                uv_sleep(1);
        }
        follower_close(&w->worker);
    }
}

// --- keys

struct reader {
    struct world *world;
    size_t calls, found, absent, failed;
    struct key_read last;
    char record[64];
    bool is_inside;
};

static void on_read(void *ctx, const struct key_read *result)
{
    struct reader *r = ctx;
    assert_false(r->is_inside); // never before the call has returned
    r->calls++;
    r->found += result->status == KEY_READ_FOUND;
    r->absent += result->status == KEY_READ_ABSENT;
    r->failed += result->status == KEY_READ_FAILED;
    r->last = *result;
    snprintf(r->record, sizeof(r->record), "%.*s", SLICE_FMT(result->record));
}

static bool read_key(struct reader *r, const struct secret_digest *digest)
{
    r->is_inside = true;
    bool started = feed_io_read_key(r->world->worker.io, digest, on_read, r);
    r->is_inside = false;
    return started;
}

static void keys_are_read_with_the_head_before_them(void **state)
{
    struct world *w = *state;
    struct secret_digest known = {{1}}, unknown = {{2}}, spoilt = {{3}};
    struct reader r = {.world = w};
    struct commit *c = store_fixture_plan(&w->store);
    commit_put_key(c, &known, SLICE_LIT("{\"rev\":1}"), false, 0);
    assert_int_equal(store_fixture_commit(&w->store, c), COMMIT_OK);
    follow(w, 250);
    assert_false(read_key(&r, &known)); // not connected
    follower_wait_revision(&w->worker, 1, 2000);
    assert_true(read_key(&r, &known));
    assert_true(loop_try_count(&w->loop, &r.calls, 1, 1000));
    assert_int_equal(r.last.status, KEY_READ_FOUND);
    assert_string_equal(r.record, "{\"rev\":1}");
    assert_int_equal(r.last.revision, 1);
    assert_true(r.last.epoch == store_fixture_head(&w->store).epoch);
    assert_true(r.last.change == store_fixture_head(&w->store).change);
    assert_true(read_key(&r, &unknown));
    assert_true(loop_try_count(&w->loop, &r.calls, 2, 1000));
    assert_int_equal(r.last.status, KEY_READ_ABSENT);
    assert_int_equal(r.last.revision, 1);

    // What is no answer is "not known", and does not cost the connection.
    char name[KEYSPACE_NAME_MAX];
    keyspace_key(&w->store.keyspace, &spoilt, name);
    redis_fixture_do(&w->store.server, "LPUSH %s x", name);
    assert_true(read_key(&r, &spoilt));
    assert_true(loop_try_count(&w->loop, &r.calls, 3, 1000));
    assert_int_equal(r.last.status, KEY_READ_FAILED);
    assert_true(feed_io_is_up(w->worker.io));
    redis_fixture_do(&w->store.server, "DEL {cm}:head");
    assert_true(read_key(&r, &unknown));
    assert_true(loop_try_count(&w->loop, &r.calls, 4, 1000));
    assert_int_equal(r.last.status, KEY_READ_FAILED); // and not "no such key"
    follower_close(&w->worker);
}

static void key_reads_are_capped_and_all_end(void **state)
{
    struct world *w = *state;
    struct secret_digest key = {{1}};
    struct reader r = {.world = w};
    follow(w, 250);
    follower_wait_revision(&w->worker, 0, 2000);
    for (size_t i = 0; i < 256; i++)
        assert_true(read_key(&r, &key));
    assert_false(read_key(&r, &key));
    assert_true(loop_try_count(&w->loop, &r.absent, 256, 1000));
    // Redis dies with all of them under way.
    redis_fixture_pause(&w->store.server);
    for (size_t i = 0; i < 256; i++)
        assert_true(read_key(&r, &key));
    loop_run_for(&w->loop, 20);
    redis_fixture_kill(&w->store.server);
    assert_true(loop_try_count(&w->loop, &r.failed, 256, 2000));
    redis_fixture_restart(&w->store.server);
    follower_wait_state(&w->worker, FEED_LIVE, 2500);
    // We close with all of them under way.
    redis_fixture_pause(&w->store.server);
    for (size_t i = 0; i < 256; i++)
        assert_true(read_key(&r, &key));
    follower_close(&w->worker);
    redis_fixture_resume(&w->store.server);
    assert_int_equal(r.calls, 3 * 256);
    assert_int_equal(r.failed, 2 * 256);
}

int main(void)
{
#define WORLD_TEST(name_) cmocka_unit_test_setup_teardown(name_, start, stop)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_change_is_there_at_once),
        WORLD_TEST(a_lost_bell_costs_a_poll),
        WORLD_TEST(a_large_catalog_is_loaded_page_by_page),
        WORLD_TEST(a_long_log_is_read_in_parts),
        WORLD_TEST(a_large_revision_is_taken_in_over_many_turns),
        WORLD_TEST(a_large_revision_survives_the_loss_of_its_link),
        WORLD_TEST(closing_while_a_large_revision_is_taken_in),
        WORLD_TEST(keys_are_named),
        WORLD_TEST(a_confirmation_is_told),
        WORLD_TEST(an_outage_is_survived),
        WORLD_TEST(a_stopped_redis_is_away),
        WORLD_TEST(an_emptied_redis_is_not_believed),
        WORLD_TEST(acks_say_hello_what_is_applied_and_bye),
        WORLD_TEST(bye_does_not_wait_for_a_silent_redis),
        WORLD_TEST(closing_at_any_time),
        WORLD_TEST(keys_are_read_with_the_head_before_them),
        WORLD_TEST(key_reads_are_capped_and_all_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
