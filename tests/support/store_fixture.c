// SPDX-License-Identifier: Apache-2.0
// The test's questions go over the server fixture's own blocking connection, so
// that the connection under test carries only what is tested.
#include "tests/support/store_fixture.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/loop_fixture.h"
#include "tests/support/test.h"

void store_fixture_init(struct store_fixture *f, const char *const *options)
{
    loop_open(&f->loop);
    redis_fixture_start(&f->server, options);
    assert_true(keyspace_init(&f->keyspace, SLICE_LIT("cm"), 0));
    redis_owner_init_patient(&f->owner, &f->loop, f->server.url);
    redis_owner_open(&f->owner);
    redis_owner_wait_up(&f->owner, 1);
    assert_int_equal(store_fixture_init_history(f), COMMIT_OK);
}

void store_fixture_fini(struct store_fixture *f)
{
    redis_owner_close(&f->owner);
    loop_close(&f->loop);
    redis_fixture_stop(&f->server);
}

int store_fixture_setup(void **state)
{
    static const char *const options[] = {"--enable-debug-command", "yes", NULL};
    struct store_fixture *f = xcalloc(1, sizeof(*f));
    store_fixture_init(f, options);
    *state = f;
    return 0;
}

int store_fixture_teardown(void **state)
{
    store_fixture_fini(*state);
    free(*state);
    return 0;
}

struct outcome {
    struct store_fixture *fixture;
    bool done;
    enum commit_status status;
};

static void on_init(void *ctx, enum commit_status status)
{
    struct outcome *o = ctx;
    assert_false(o->done);
    o->done = true;
    o->status = status;
}

enum commit_status store_fixture_init_history(struct store_fixture *f)
{
    struct outcome o = {.fixture = f};
    commit_init_history(f->owner.redis, &f->keyspace, on_init, &o);
    assert_false(o.done);
    loop_run_until_set(&f->loop, &o.done, 5000);
    return o.status;
}

struct head store_fixture_head(struct store_fixture *f)
{
    struct slice fields[HEAD_FIELD_COUNT];
    struct head head;
    redisReply *r = redis_fixture_command(
        &f->server, "HMGET %s %s %s %s %s %s %s %s", f->keyspace.head, head_field_names[0],
        head_field_names[1], head_field_names[2], head_field_names[3], head_field_names[4],
        head_field_names[5], head_field_names[6]);
    assert_int_equal(r->elements, HEAD_FIELD_COUNT);
    for (size_t i = 0; i < HEAD_FIELD_COUNT; i++)
        fields[i] = slice_make(r->element[i]->str, r->element[i]->len);
    assert_int_equal(head_parse(fields, &head), HEAD_OK);
    freeReplyObject(r);
    return head;
}

struct commit *store_fixture_plan(struct store_fixture *f)
{
    struct head head = store_fixture_head(f);
    return commit_create(&f->keyspace, &head);
}

static void on_done(void *ctx, enum commit_status status, struct slice outcome)
{
    struct outcome *o = ctx;
    on_init(o, status);
    snprintf(o->fixture->outcome, sizeof(o->fixture->outcome), "%.*s", SLICE_FMT(outcome));
}

enum commit_status store_fixture_commit_bounded(struct store_fixture *f, struct commit *c,
                                                uint64_t log_keep, uint64_t log_keep_bytes)
{
    struct outcome o = {.fixture = f};
    commit_send(c, f->owner.redis, log_keep, log_keep_bytes, on_done, &o);
    assert_false(o.done);
    loop_run_until_set(&f->loop, &o.done, 20000);
    commit_destroy(c);
    return o.status;
}

enum commit_status store_fixture_commit(struct store_fixture *f, struct commit *c)
{
    return store_fixture_commit_bounded(f, c, 100000, UINT64_C(1) << 30);
}

void store_fixture_put_model(struct store_fixture *f, const char *id, const char *record)
{
    struct commit *c = store_fixture_plan(f);
    commit_put_model(c, slice_of(id), SLICE_NONE, slice_of(record));
    assert_int_equal(store_fixture_commit(f, c), COMMIT_OK);
}

const char *store_fixture_contents(struct store_fixture *f)
{
    return redis_fixture_text(&f->server, "DEBUG DIGEST");
}
