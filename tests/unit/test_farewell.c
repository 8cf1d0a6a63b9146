// SPDX-License-Identifier: Apache-2.0
// Byes that nobody heard: left on disk, said by the next worker over a real Redis, and
// gone when an admin has got them.
#include "services/farewell.h"

#include <dirent.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/follower.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/store_fixture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

enum { ROUND_MS = 3000 };

struct world {
    struct store_fixture store;
    uv_loop_t loop;
    struct follower worker;
    struct farewell farewell;
    redisContext *admin;
};

static int start(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));
    temp_dir_setup(NULL);
    store_fixture_init(&w->store, NULL);
    loop_open(&w->loop);
    follower_open(&w->worker, &w->loop, w->store.server.url, 60000);
    follower_wait_revision(&w->worker, 0, 20000);
    *state = w;
    return 0;
}

static int stop(void **state)
{
    struct world *w = *state;
    farewell_leave(&w->farewell, NULL);
    loop_close(&w->loop);
    if (w->admin != NULL)
        redisFree(w->admin);
    store_fixture_fini(&w->store);
    temp_dir_teardown(NULL);
    free(w);
    return 0;
}

static struct ack bye_of(const char *id)
{
    struct ack bye = {.kind = ACK_BYE, .slot = 3, .max_stale_s = 3600};
    snprintf(bye.id, sizeof(bye.id), "%s", id);
    strcpy(bye.replaces, "aaaaaaaa-3-1");
    return bye;
}

static void leave(const char *id)
{
    struct farewell leaver = {.path = temp_dir};
    struct ack bye = bye_of(id);
    farewell_leave(&leaver, &bye);
}

static size_t count_files(void)
{
    size_t count = 0;
    DIR *dir = opendir(temp_dir);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void subscribe(struct world *w)
{
    w->admin = redisConnectWithTimeout("127.0.0.1", w->store.server.port, (struct timeval){20, 0});
    assert_int_equal(w->admin->err, 0);
    redisSetTimeout(w->admin, (struct timeval){20, 0});
    freeReplyObject(redisCommand(w->admin, "SUBSCRIBE %s", w->worker.keyspace.ack));
}

// The next ack that is a bye; the follower says how it is, too.
static struct ack hear(struct world *w)
{
    for (;;) {
        struct ack ack;
        void *reply;
        assert_int_equal(redisGetReply(w->admin, &reply), REDIS_OK);
        const redisReply *r = reply;
        assert_int_equal(r->elements, 3);
        bool parsed = ack_parse(slice_make(r->element[2]->str, r->element[2]->len), &ack);
        freeReplyObject(reply);
        assert_true(parsed);
        if (ack.kind == ACK_BYE)
            return ack;
    }
}

static bool is_quiet(void *ctx)
{
    return !((struct world *)ctx)->farewell.busy;
}

// What is due at that moment has been said.
static void tick(struct world *w, uint64_t now_ms)
{
    farewell_tick(&w->farewell, w->worker.io, now_ms);
    loop_run_until(&w->loop, is_quiet, w, 20000);
}

static void left_said_twice_and_taken_away(void **state)
{
    struct world *w = *state;
    leave("aaaaaaaa-3-2");
    leave("aaaaaaaa-4-1");
    assert_int_equal(count_files(), 2);
    farewell_load(&w->farewell, temp_dir);
    assert_int_equal(w->farewell.count, 2);
    subscribe(w);
    for (unsigned round = 1; round <= 2; round++) {
        tick(w, round * ROUND_MS);
        tick(w, round * ROUND_MS + 1); // not due again
        assert_int_equal(w->farewell.rounds, round);
        struct ack a = hear(w), b = hear(w);
        const struct ack *of_3 = a.id[9] == '3' ? &a : &b, *of_4 = of_3 == &a ? &b : &a;
        assert_string_equal(of_3->id, "aaaaaaaa-3-2");
        assert_string_equal(of_4->id, "aaaaaaaa-4-1");
        assert_string_equal(of_3->replaces, "aaaaaaaa-3-1");
    }
    farewell_leave(&w->farewell, NULL);
    assert_int_equal(count_files(), 0);
    follower_close(&w->worker);
    assert_true(w->worker.bye_was_heard);
}

static void kept_until_an_admin_has_heard_them(void **state)
{
    struct world *w = *state;
    leave("aaaaaaaa-3-2");
    farewell_load(&w->farewell, temp_dir);
    tick(w, ROUND_MS); // nobody listens
    assert_int_equal(w->farewell.rounds, 0);
    subscribe(w);
    tick(w, ROUND_MS + 1); // not due yet
    assert_int_equal(w->farewell.rounds, 0);
    tick(w, 2 * ROUND_MS);
    assert_int_equal(w->farewell.rounds, 1);
    assert_string_equal(hear(w).id, "aaaaaaaa-3-2");
    farewell_leave(&w->farewell, NULL); // before all have had the time to hear it
    assert_int_equal(count_files(), 1);
    farewell_load(&w->farewell, temp_dir);
    assert_int_equal(w->farewell.count, 1);
    redis_fixture_kill(&w->store.server);
    tick(w, 3 * ROUND_MS);
    follower_wait_state(&w->worker, FEED_AWAY, 20000);
    tick(w, 4 * ROUND_MS);
    assert_int_equal(w->farewell.rounds, 0);
    follower_close(&w->worker);
    assert_false(w->worker.bye_was_heard);
}

static void write_file(const char *name, struct slice text)
{
    FILE *f = fopen(temp_path(name), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text.ptr, 1, text.len, f), text.len);
    fclose(f);
}

// Nothing but a whole bye under its own name is said.
static void what_is_no_bye_is_not_said(void **state)
{
    struct world *w = *state;
    struct buf text = {.len = 0};
    struct ack other = bye_of("aaaaaaaa-3-2");
    ack_write(&text, &other);
    write_file("bye-bbbbbbbb-3-2", buf_slice(&text));
    write_file("bye-aaaaaaaa-3-2", slice_make(text.ptr, text.len / 2));
    buf_clear(&text);
    other.kind = ACK_STATE;
    strcpy(other.id, "aaaaaaaa-5-1");
    ack_write(&text, &other);
    write_file("bye-aaaaaaaa-5-1", buf_slice(&text));
    write_file("keys-0", SLICE_LIT("x"));
    buf_fini(&text);
    farewell_load(&w->farewell, temp_dir);
    assert_int_equal(w->farewell.count, 0);
    assert_int_equal(count_files(), 1); // what was ours to read is gone
    tick(w, ROUND_MS);
    farewell_leave(&w->farewell, NULL);
    follower_close(&w->worker);
}

#define CASE(function_) cmocka_unit_test_setup_teardown(function_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(left_said_twice_and_taken_away),
        CASE(kept_until_an_admin_has_heard_them),
        CASE(what_is_no_bye_is_not_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
