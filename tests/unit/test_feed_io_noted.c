// SPDX-License-Identifier: Apache-2.0
// An ack tells of what was refused when that is noted, not before; but no disk that
// hangs keeps a worker silent for good.
#include <string.h>

#include "common/base/clock.h"
#include "common/store/feed_io.h"
#include "tests/support/follower.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_owner.h"
#include "tests/support/store_fixture.h"
#include "tests/support/test.h"

enum { HANG_MS = 1000 }; // feed_io's patience

static struct world {
    struct store_fixture store;
    uv_loop_t loop;
    struct follower worker;
    struct redis_owner admin;
    uint64_t want, acks;
} world;

static struct ack last_ack(void)
{
    struct ack ack;
    const char *text = strchr(world.admin.last, '=');
    assert_non_null(text);
    assert_true(ack_parse(slice_of(text + 1), &ack));
    return ack;
}

static bool is_acked(void *ctx)
{
    (void)ctx;
    return world.admin.messages > 0 && last_ack().revision >= world.want;
}

static void await_ack(uint64_t revision)
{
    world.want = revision;
    loop_run_until(&world.loop, is_acked, NULL, 10000);
}

static int start(void **state)
{
    static const char *const options[] = {NULL}, *const channels[] = {"{cm}:0:ack", NULL};
    (void)state;
    memset(&world, 0, sizeof(world));
    store_fixture_init(&world.store, options);
    loop_open(&world.loop);
    redis_owner_init_patient(&world.admin, &world.loop, world.store.server.url);
    world.admin.options.channels = channels;
    redis_owner_open(&world.admin);
    redis_owner_wait_up(&world.admin, 1);
    follower_open(&world.worker, &world.loop, world.store.server.url, 250);
    follower_wait_revision(&world.worker, 0, 10000);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    follower_close(&world.worker);
    redis_owner_close(&world.admin);
    loop_close(&world.loop);
    store_fixture_fini(&world.store);
    return 0;
}

static void deny_a_key(void)
{
    struct secret_digest key = {{1}};
    struct commit *c = store_fixture_plan(&world.store);
    commit_put_key(c, &key, SLICE_LIT("{}"), true, 0);
    assert_int_equal(store_fixture_commit(&world.store, c), COMMIT_OK);
}

// Revision 2 denies, 3 does not, but an ack is cumulative.
static uint64_t deny_while_notes_hang(void)
{
    store_fixture_put_model(&world.store, "a/b", "1");
    await_ack(1);
    uint64_t from_ms = clock_boot_ms();
    world.worker.notes_hang = true;
    deny_a_key();
    follower_wait_revision(&world.worker, 2, 10000);
    store_fixture_put_model(&world.store, "a/c", "1");
    follower_wait_revision(&world.worker, 3, 10000);
    return from_ms;
}

static void an_ack_waits_until_a_refusal_is_noted(void **state)
{
    (void)state;
    uint64_t from_ms = deny_while_notes_hang();
    assert_true(world.worker.denied > 0);
    loop_run_for(&world.loop, 100);
    struct ack ack = last_ack();
    // A machine that stood still must not count as a failure.
    if (clock_boot_ms() - from_ms < HANG_MS)
        assert_int_equal(ack.revision, 1);
    world.worker.notes_hang = false;
    feed_io_noted(world.worker.io);
    await_ack(3);
    assert_string_equal(last_ack().state, "live");
}

static bool has_new_ack(void *ctx)
{
    return world.admin.messages > *(size_t *)ctx;
}

static void what_is_not_noted_is_not_told_by_a_hello_either(void **state)
{
    (void)state;
    uint64_t from_ms = deny_while_notes_hang();
    size_t messages = world.admin.messages;
    redis_fixture_do(&world.store.server, "CLIENT KILL TYPE normal SKIPME yes");
    loop_run_until(&world.loop, has_new_ack, &messages, 10000);
    if (clock_boot_ms() - from_ms < HANG_MS)
        assert_int_equal(last_ack().revision, 1);
    await_ack(3);
}

static void a_disk_that_hangs_holds_no_ack_for_good(void **state)
{
    (void)state;
    uint64_t from_ms = deny_while_notes_hang();
    await_ack(3);
    assert_true(clock_boot_ms() - from_ms >= HANG_MS);
    store_fixture_put_model(&world.store, "a/d", "1"); // nor the next one, again
    await_ack(4);
}

#define CASE(name_) cmocka_unit_test_setup_teardown(name_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_ack_waits_until_a_refusal_is_noted),
        CASE(what_is_not_noted_is_not_told_by_a_hello_either),
        CASE(a_disk_that_hangs_holds_no_ack_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
