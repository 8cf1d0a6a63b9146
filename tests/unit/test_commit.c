// SPDX-License-Identifier: Apache-2.0
// The write script on a real Redis: whole or not at all, and one chain whoever
// writes. "Nothing has changed" is asked of Redis' own digest of all its data.
#include "common/store/commit.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/model/bell.h"
#include "common/model/oplog.h"
#include "tests/support/fake_redis.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/store_fixture.h"
#include "tests/support/test.h"

#define KEY_ID "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"

static struct secret_digest digest_of(unsigned char fill)
{
    struct secret_digest d;
    memset(d.bytes, fill, sizeof(d.bytes));
    return d;
}

// --- one write

static void everything_of_a_revision_is_written(void **state)
{
    struct store_fixture *f = *state;
    struct redis_fixture *s = &f->server;
    static const char *const channels[] = {"{cm}:0:bell", NULL};
    static struct redis_owner listener;
    struct bell bell;
    redis_owner_init_patient(&listener, &f->loop, s->url);
    listener.options.channels = channels;
    redis_owner_open(&listener);
    redis_owner_wait_up(&listener, 1);

    struct head before = store_fixture_head(f);
    struct secret_digest changed = digest_of(1), denied = digest_of(2);
    struct commit *c = commit_create(&f->keyspace, &before);
    assert_true(commit_is_empty(c));
    uint64_t change = commit_change(c);
    commit_put_model(c, SLICE_LIT("a/b"), SLICE_NONE, SLICE_LIT("{\"id\":\"a/b\"}"));
    commit_put_key(c, &changed, SLICE_LIT("{\"state\":\"active\"}"), false, 0);
    commit_put_key(c, &denied, SLICE_LIT("{\"state\":\"disabled\"}"), true, 60);
    commit_put_document(c, SLICE_LIT(KEY_ID), SLICE_LIT("{\"name\":\"n\"}"));
    commit_add_ref(c, SLICE_LIT("a/b"), SLICE_LIT(KEY_ID));
    commit_audit(c, SLICE_LIT("{\"actor\":\"me\"}"));
    commit_idem(c, SLICE_LIT("00ff"), SLICE_LIT("201 done"));
    assert_false(commit_is_empty(c));
    assert_int_equal(commit_records(c), 3);
    assert_int_equal(commit_revision(c), 1);
    assert_int_equal(store_fixture_commit(f, c), COMMIT_OK);

    struct head after = store_fixture_head(f);
    assert_true(after.epoch == before.epoch && after.revision == 1 && after.change == change);
    assert_int_equal(after.models, 1);
    assert_true(
        digest_equal(after.digest, digest_record(SLICE_LIT("a/b"), SLICE_LIT("{\"id\":\"a/b\"}"))));
    assert_string_equal(redis_fixture_text(s, "HGET {cm}:models a/b"), "{\"id\":\"a/b\"}");
    assert_string_equal(redis_fixture_text(s, "HGET {cm}:keys %s", KEY_ID), "{\"name\":\"n\"}");
    assert_string_equal(redis_fixture_text(s, "ZSCORE {cm}:keyorder %s", KEY_ID), "0");
    assert_int_equal(redis_fixture_integer(s, "SISMEMBER {cm}:refs:a/b %s", KEY_ID), 1);
    assert_string_equal(redis_fixture_text(s, "GET {cm}:idem:00ff"), "201 done");
    assert_in_range(redis_fixture_integer(s, "TTL {cm}:idem:00ff"), 86300, 86400);
    char name[KEYSPACE_NAME_MAX];
    keyspace_key(&f->keyspace, &changed, name);
    assert_string_equal(redis_fixture_text(s, "GET %s", name), "{\"state\":\"active\"}");
    assert_int_equal(redis_fixture_integer(s, "TTL %s", name), -1);
    keyspace_key(&f->keyspace, &denied, name);
    assert_in_range(redis_fixture_integer(s, "TTL %s", name), 1, 60);

    redisReply *log = redis_fixture_command(s, "XRANGE {cm}:log - +");
    assert_int_equal(log->elements, 1);
    const redisReply *fields = log->element[0]->element[1];
    struct oplog_entry entry;
    struct slice words[6];
    for (size_t i = 0; i < 6; i++)
        words[i] = slice_make(fields->element[i]->str, fields->element[i]->len);
    assert_true(oplog_entry_parse(slice_of(log->element[0]->element[0]->str), words[1], words[3],
                                  words[5], SLICE_NONE, &entry));
    assert_true(entry.revision == 1 && entry.change == change && entry.previous == before.change);
    struct oplog_op op;
    struct slice rest = entry.ops;
    assert_int_equal(oplog_next(&rest, &op), 1);
    assert_int_equal(op.kind, OPLOG_MODEL);
    assert_slice(op.record, "{\"id\":\"a/b\"}");
    assert_int_equal(oplog_next(&rest, &op), 1);
    assert_true(op.kind == OPLOG_KEY && secret_digest_equal(&op.key, &changed));
    assert_int_equal(oplog_next(&rest, &op), 1);
    assert_true(op.kind == OPLOG_DENY && secret_digest_equal(&op.key, &denied));
    assert_int_equal(oplog_next(&rest, &op), 0);
    freeReplyObject(log);

    redisReply *audit = redis_fixture_command(s, "XRANGE {cm}:audit - +");
    assert_int_equal(audit->elements, 1);
    assert_string_equal(audit->element[0]->element[0]->str, "1-0");
    assert_string_equal(audit->element[0]->element[1]->element[1]->str, "{\"actor\":\"me\"}");
    freeReplyObject(audit);

    assert_true(loop_try_count(&f->loop, &listener.messages, 1, 1000));
    assert_true(bell_parse(slice_of(listener.last + strlen("{cm}:0:bell=")), &bell));
    assert_true(bell.epoch == after.epoch && bell.revision == 1 && bell.change == change);
    assert_true(bell.previous == before.change);
    assert_int_equal(bell.key_count, 2);
    assert_false(bell.keys[0].deny);
    assert_true(bell.keys[1].deny && secret_digest_equal(&bell.keys[1].digest, &denied));
    redis_owner_close(&listener);
}

static void a_revoked_key_moves_and_leaves_a_tombstone(void **state)
{
    struct store_fixture *f = *state;
    struct redis_fixture *s = &f->server;
    struct secret_digest secret = digest_of(7);
    struct commit *c = store_fixture_plan(f);
    commit_put_key(c, &secret, SLICE_LIT("{}"), false, 0);
    commit_put_document(c, SLICE_LIT(KEY_ID), SLICE_LIT("{\"v\":1}"));
    commit_add_ref(c, SLICE_LIT("a/b"), SLICE_LIT(KEY_ID));
    assert_int_equal(store_fixture_commit(f, c), COMMIT_OK);
    redis_fixture_do(s, "ZADD {cm}:goneorder 1000 key_long_ago");

    c = store_fixture_plan(f);
    commit_put_key(c, &secret, SLICE_LIT("{\"state\":\"revoked\"}"), true, COMMIT_TOMBSTONE_S);
    commit_revoke_document(c, SLICE_LIT(KEY_ID), SLICE_LIT("{\"v\":2}"), 1800000000);
    commit_remove_ref(c, SLICE_LIT("a/b"), SLICE_LIT(KEY_ID));
    assert_int_equal(store_fixture_commit(f, c), COMMIT_OK);
    assert_int_equal(redis_fixture_integer(s, "HEXISTS {cm}:keys %s", KEY_ID), 0);
    assert_int_equal(redis_fixture_integer(s, "ZCARD {cm}:keyorder"), 0);
    assert_int_equal(redis_fixture_integer(s, "EXISTS {cm}:refs:a/b"), 0);
    assert_string_equal(redis_fixture_text(s, "GET {cm}:gone:%s", KEY_ID), "{\"v\":2}");
    assert_in_range(redis_fixture_integer(s, "TTL {cm}:gone:%s", KEY_ID), 2591900, 2592000);
    assert_string_equal(redis_fixture_text(s, "ZSCORE {cm}:goneorder %s", KEY_ID), "1800000000");
    assert_int_equal(redis_fixture_integer(s, "ZCARD {cm}:goneorder"), 1); // the old one is gone
}

static void the_digest_and_the_count_follow(void **state)
{
    struct store_fixture *f = *state;
    store_fixture_put_model(f, "a/b", "1");
    store_fixture_put_model(f, "a/c", "2");
    struct commit *c = store_fixture_plan(f);
    commit_put_model(c, SLICE_LIT("a/b"), SLICE_LIT("1"), SLICE_LIT("3"));
    commit_put_model(c, SLICE_LIT("a/d"), SLICE_NONE, SLICE_LIT("4"));
    commit_remove_model(c, SLICE_LIT("a/c"), SLICE_LIT("2"));
    assert_int_equal(store_fixture_commit(f, c), COMMIT_OK);
    struct head head = store_fixture_head(f);
    struct digest want = digest_add(digest_record(SLICE_LIT("a/b"), SLICE_LIT("3")),
                                    digest_record(SLICE_LIT("a/d"), SLICE_LIT("4")));
    assert_int_equal(head.revision, 3);
    assert_int_equal(head.models, 2);
    assert_true(digest_equal(head.digest, want));
    assert_int_equal(redis_fixture_integer(&f->server, "HLEN {cm}:models"), 2);
}

static void a_redis_that_forgot_the_script_gets_it_again(void **state)
{
    struct store_fixture *f = *state;
    store_fixture_put_model(f, "a/b", "1");
    store_fixture_put_model(f, "a/c", "1");
    redis_fixture_do(&f->server, "SCRIPT FLUSH");
    store_fixture_put_model(f, "a/d", "1");
    assert_int_equal(store_fixture_head(f).revision, 3);
}

static void an_idempotent_request_runs_once(void **state)
{
    struct store_fixture *f = *state;
    struct commit *c = store_fixture_plan(f);
    commit_put_model(c, SLICE_LIT("a/b"), SLICE_NONE, SLICE_LIT("1"));
    commit_idem(c, SLICE_LIT("aa"), SLICE_LIT("first"));
    assert_int_equal(store_fixture_commit(f, c), COMMIT_OK);
    char before[64];
    snprintf(before, sizeof(before), "%s", store_fixture_contents(f));
    // Also against a head that is not the expected one any more.
    for (int stale = 0; stale < 2; stale++) {
        struct head head = store_fixture_head(f);
        head.revision -= (uint64_t)stale;
        c = commit_create(&f->keyspace, &head);
        commit_put_model(c, SLICE_LIT("a/c"), SLICE_NONE, SLICE_LIT("1"));
        commit_idem(c, SLICE_LIT("aa"), SLICE_LIT("second"));
        assert_int_equal(store_fixture_commit(f, c), COMMIT_REPLAY);
        assert_string_equal(f->outcome, "first");
        assert_string_equal(store_fixture_contents(f), before);
    }
}

static void init_wants_an_empty_store(void **state)
{
    static const char *const leftovers[] = {"XADD {cm}:log 5-0 c x", "HSET {cm}:models a/b 1",
                                            "HSET {cm}:keys key_1 1", "XADD {cm}:audit 1-0 e x",
                                            "SET {cm}:head x"};
    struct store_fixture *f = *state;
    struct head first = store_fixture_head(f);
    assert_int_equal(first.revision, 0);
    assert_int_equal(first.parent_count, 0);
    assert_int_equal(store_fixture_init_history(f), COMMIT_CONFLICT);
    assert_true(store_fixture_head(f).epoch == first.epoch);
    for (size_t i = 0; i < CM_ARRAY_LEN(leftovers); i++) {
        redis_fixture_do(&f->server, "FLUSHALL");
        redis_fixture_do(&f->server, leftovers[i]);
        assert_int_equal(store_fixture_init_history(f), COMMIT_CONFLICT);
    }
    redis_fixture_do(&f->server, "FLUSHALL");
    assert_int_equal(store_fixture_init_history(f), COMMIT_OK);
    struct head second = store_fixture_head(f);
    assert_true(second.epoch != first.epoch && second.change != first.change);
}

// --- all or nothing

static struct commit *plan_everything(struct store_fixture *f, const struct head *base)
{
    struct secret_digest key = digest_of(9);
    struct commit *c = commit_create(&f->keyspace, base);
    commit_put_model(c, SLICE_LIT("new/model"), SLICE_NONE, SLICE_LIT("1"));
    commit_put_key(c, &key, SLICE_LIT("{}"), false, 0);
    commit_put_document(c, SLICE_LIT("key_2"), SLICE_LIT("{}"));
    commit_add_ref(c, SLICE_LIT("new/model"), SLICE_LIT("key_2"));
    commit_revoke_document(c, SLICE_LIT("key_3"), SLICE_LIT("{}"), 1800000000);
    commit_audit(c, SLICE_LIT("{}"));
    commit_idem(c, SLICE_LIT("bb"), SLICE_LIT("x"));
    return c;
}

static void a_stale_plan_changes_nothing(void **state)
{
    struct store_fixture *f = *state;
    store_fixture_put_model(f, "a/b", "1");
    char before[64];
    snprintf(before, sizeof(before), "%s", store_fixture_contents(f));
    struct head wrong[4];
    for (size_t i = 0; i < 4; i++)
        wrong[i] = store_fixture_head(f);
    wrong[0].revision--;
    wrong[1].revision++;
    wrong[2].change ^= 1;
    wrong[3].epoch ^= 1;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(store_fixture_commit(f, plan_everything(f, &wrong[i])), COMMIT_CONFLICT);
        assert_string_equal(store_fixture_contents(f), before);
    }
    redis_fixture_do(&f->server, "DEL {cm}:head");
    snprintf(before, sizeof(before), "%s", store_fixture_contents(f));
    assert_int_equal(store_fixture_commit(f, plan_everything(f, &wrong[0])), COMMIT_CONFLICT);
    assert_string_equal(store_fixture_contents(f), before);
}

static void a_refusal_changes_nothing(void **state)
{
    static const struct {
        const char *spoil, *mend, *why;
    } cases[] = {
        // The log is ahead of the head: the head lost writes, or went back.
        {"XADD {cm}:log 9-0 c x", "DEL {cm}:log", "XADD is equal or smaller"},
        {"XADD {cm}:audit 9-0 e x", "DEL {cm}:audit", "audit trail is ahead"},
        {"SET {cm}:log x", "DEL {cm}:log", "WRONGTYPE"},
        {"SET {cm}:audit x", "DEL {cm}:audit", "WRONGTYPE"},
        {"SET {cm}:models x", "DEL {cm}:models", "WRONGTYPE"},
        {"SET {cm}:keys x", "DEL {cm}:keys", "WRONGTYPE"},
        {"SET {cm}:keyorder x", "DEL {cm}:keyorder", "WRONGTYPE"},
        {"SET {cm}:goneorder x", "DEL {cm}:goneorder", "WRONGTYPE"},
        {"HSET {cm}:refs:new/model a b", "DEL {cm}:refs:new/model", "WRONGTYPE"},
        {"CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM"},
        {"CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", "NOREPLICAS"},
        {"ACL SETUSER default -xdel", "ACL SETUSER default +xdel", "NOPERM"},
        {"ACL SETUSER default -sadd", "ACL SETUSER default +sadd", "NOPERM"},
        {"ACL SETUSER default -publish", "ACL SETUSER default +publish", "NOPERM"},
        {"ACL SETUSER default resetchannels", "ACL SETUSER default allchannels", "NOPERM"},
        {"ACL SETUSER default -zremrangebyscore", "ACL SETUSER default +zremrangebyscore",
         "NOPERM"},
    };
    struct store_fixture *f = *state;
    for (size_t i = 0; i < CM_ARRAY_LEN(cases); i++) {
        char before[64];
        redis_fixture_do(&f->server, cases[i].spoil);
        snprintf(before, sizeof(before), "%s", store_fixture_contents(f));
        struct head head = store_fixture_head(f);
        enum commit_status status = store_fixture_commit(f, plan_everything(f, &head));
        if (status != COMMIT_REFUSED || strstr(f->outcome, cases[i].why) == NULL)
            fail_msg("%s: status %d, '%s'", cases[i].spoil, (int)status, f->outcome);
        if (strcmp(store_fixture_contents(f), before) != 0)
            fail_msg("%s: something has changed", cases[i].spoil);
        redis_fixture_do(&f->server, cases[i].mend);
    }
    struct head head = store_fixture_head(f);
    assert_int_equal(store_fixture_commit(f, plan_everything(f, &head)), COMMIT_OK);
}

static void the_largest_revision(void **state)
{
    struct store_fixture *f = *state;
    char id[32], record[600];
    memset(record, 'r', sizeof(record));
    struct commit *c = store_fixture_plan(f);
    for (size_t i = 0; i < COMMIT_RECORDS_MAX; i++) {
        snprintf(id, sizeof(id), "vendor/model-%zu", i);
        commit_put_model(c, slice_of(id), SLICE_NONE, slice_make(record, sizeof(record)));
    }
    uint64_t start = clock_boot_us();
    assert_int_equal(store_fixture_commit(f, c), COMMIT_OK);
    print_message("10,000 records in one revision: %llu ms\n",
                  (unsigned long long)(clock_boot_us() - start) / 1000);
    assert_int_equal(store_fixture_head(f).models, COMMIT_RECORDS_MAX);
    assert_int_equal(redis_fixture_integer(&f->server, "HLEN {cm}:models"), COMMIT_RECORDS_MAX);
}

// --- two admins

enum { RACE_COMMITS = 2000, RACE_MODELS = 20 };

// Reads the head and all models, plans one change from them, commits, again.
struct admin {
    struct store_fixture *f;
    struct redis_owner owner;
    unsigned seed;
    size_t done, goal, conflicts;
    struct commit *c;
    char id[32], old[32], record[32];
};

static void plan_next(struct admin *a);

static void on_committed(void *ctx, enum commit_status status, struct slice outcome)
{
    struct admin *a = ctx;
    (void)outcome;
    commit_destroy(a->c);
    a->c = NULL;
    if (status == COMMIT_OK)
        a->done++;
    else if (status == COMMIT_CONFLICT)
        a->conflicts++;
    else
        fail_msg("status %d: %.*s", (int)status, SLICE_FMT(outcome));
    if (a->done < a->goal)
        plan_next(a);
}

static void on_old_record(void *ctx, const struct redisReply *reply)
{
    struct admin *a = ctx;
    struct slice old = reply_bytes(reply);
    assert_non_null(reply);
    snprintf(a->record, sizeof(a->record), "%p %zu", (void *)a, a->done);
    if (old.ptr != NULL && a->done % 5 == 4)
        commit_remove_model(a->c, slice_of(a->id), old);
    else
        commit_put_model(a->c, slice_of(a->id), old, slice_of(a->record));
    commit_send(a->c, a->owner.redis, 100000, UINT64_C(1) << 30, on_committed, a);
}

static void on_head_read(void *ctx, const struct redisReply *reply)
{
    struct admin *a = ctx;
    struct slice fields[HEAD_FIELD_COUNT];
    struct head head;
    assert_int_equal(reply_count(reply), HEAD_FIELD_COUNT);
    for (size_t i = 0; i < HEAD_FIELD_COUNT; i++)
        fields[i] = reply_bytes(reply_at(reply, i));
    assert_int_equal(head_parse(fields, &head), HEAD_OK);
    a->c = commit_create(&a->f->keyspace, &head);
}

static void plan_next(struct admin *a)
{
    struct slice head[2 + HEAD_FIELD_COUNT] = {SLICE_LIT("HMGET"), SLICE_LIT("{cm}:head")};
    for (size_t i = 0; i < HEAD_FIELD_COUNT; i++)
        head[2 + i] = slice_of(head_field_names[i]);
    a->seed = a->seed * 1103515245 + 12345;
    snprintf(a->id, sizeof(a->id), "v/m%u", (a->seed >> 16) % RACE_MODELS);
    struct slice model[] = {SLICE_LIT("HGET"), SLICE_LIT("{cm}:models"), slice_of(a->id)};
    assert_true(redis_command(a->owner.redis, CM_ARRAY_LEN(head), head, on_head_read, a));
    assert_true(redis_command(a->owner.redis, 3, model, on_old_record, a));
}

static void assert_log_is_one_chain(struct store_fixture *f, uint64_t first_change)
{
    redisReply *log = redis_fixture_command(&f->server, "XRANGE {cm}:log - +");
    uint64_t previous = first_change;
    assert_int_equal(log->elements, RACE_COMMITS);
    for (size_t i = 0; i < log->elements; i++) {
        redisReply **fields = log->element[i]->element[1]->element;
        struct oplog_entry entry;
        assert_true(oplog_entry_parse(slice_of(log->element[i]->element[0]->str),
                                      slice_of(fields[1]->str), slice_of(fields[3]->str),
                                      slice_of(fields[5]->str), SLICE_NONE, &entry));
        assert_int_equal(entry.revision, i + 1);
        assert_true(entry.previous == previous);
        previous = entry.change;
    }
    assert_true(previous == store_fixture_head(f).change);
    freeReplyObject(log);
}

static void two_admins_lose_nothing(void **state)
{
    static struct admin admins[2];
    struct store_fixture *f = *state;
    uint64_t first_change = store_fixture_head(f).change;
    for (unsigned i = 0; i < 2; i++) {
        admins[i] = (struct admin){.f = f, .seed = i + 1, .goal = RACE_COMMITS / 2};
        redis_owner_init_patient(&admins[i].owner, &f->loop, f->server.url);
        redis_owner_open(&admins[i].owner);
        redis_owner_wait_up(&admins[i].owner, 1);
    }
    for (unsigned i = 0; i < 2; i++)
        plan_next(&admins[i]);
    for (unsigned i = 0; i < 2; i++)
        assert_true(loop_try_count(&f->loop, &admins[i].done, RACE_COMMITS / 2, 120000));
    for (unsigned i = 0; i < 2; i++)
        redis_owner_close(&admins[i].owner);
    print_message("conflicts: %zu and %zu\n", admins[0].conflicts, admins[1].conflicts);
    assert_true(admins[0].conflicts + admins[1].conflicts > 100); // it was a race

    assert_log_is_one_chain(f, first_change);
    struct head head = store_fixture_head(f);
    assert_int_equal(head.revision, RACE_COMMITS);
    redisReply *all = redis_fixture_command(&f->server, "HGETALL {cm}:models");
    struct digest sum = {0};
    for (size_t i = 0; i < all->elements; i += 2)
        sum = digest_add(
            sum, digest_record(slice_of(all->element[i]->str), slice_of(all->element[i + 1]->str)));
    assert_true(digest_equal(sum, head.digest));
    assert_int_equal(head.models, all->elements / 2);
    freeReplyObject(all);
}

// --- a Redis that does not answer

struct result {
    size_t calls;
    enum commit_status status;
    enum commit_status init_status;
};

static void on_result(void *ctx, enum commit_status status, struct slice outcome)
{
    struct result *r = ctx;
    (void)outcome;
    r->calls++;
    r->status = status;
}

static void on_init_result(void *ctx, enum commit_status status)
{
    struct result *r = ctx;
    r->calls++;
    r->init_status = status;
}

static void no_answer_is_not_known_to_have_failed(void **state)
{
    static struct redis_owner o;
    uv_loop_t *loop = *state;
    struct fake_redis *fake = fake_redis_start(loop);
    struct keyspace k;
    struct head base = {.epoch = 1, .change = 2};
    struct result r = {0};
    assert_true(keyspace_init(&k, SLICE_LIT("cm"), 0));
    redis_owner_open_port(&o, loop, fake_redis_port(fake));
    struct commit *c = commit_create(&k, &base);
    commit_put_model(c, SLICE_LIT("a/b"), SLICE_NONE, SLICE_LIT("1"));
    // Not connected: nothing was sent.
    commit_send(c, o.redis, 10, 1000, on_result, &r);
    commit_init_history(o.redis, &k, on_init_result, &r);
    assert_int_equal(r.calls, 0);
    assert_true(loop_try_count(loop, &r.calls, 2, 1000));
    assert_int_equal(r.status, COMMIT_UNAVAILABLE);
    assert_int_equal(r.init_status, COMMIT_UNAVAILABLE);

    redis_owner_wait_up(&o, 1);
    static const char *const nonsense[] = {"+OK\r\n", "*0\r\n", "*1\r\n$5\r\nWHAT?\r\n", ":1\r\n",
                                           "$-1\r\n"};
    for (size_t i = 0; i < CM_ARRAY_LEN(nonsense); i++) {
        fake_redis_reply(fake, "EVALSHA", nonsense[i]);
        commit_send(c, o.redis, 10, 1000, on_result, &r);
        assert_true(loop_try_count(loop, &r.calls, 3 + i, 1000));
        assert_int_equal(r.status, COMMIT_UNKNOWN);
    }
    // Connected, sent, cut.
    fake_redis_cut(fake, "EVALSHA");
    fake_redis_cut(fake, "EVAL");
    r.calls = 0;
    commit_send(c, o.redis, 10, 1000, on_result, &r);
    commit_init_history(o.redis, &k, on_init_result, &r);
    assert_true(loop_try_count(loop, &r.calls, 2, 1000));
    assert_int_equal(r.status, COMMIT_UNKNOWN);
    assert_int_equal(r.init_status, COMMIT_UNKNOWN);
    // A server that never knows the script is not asked for ever.
    redis_owner_wait_up(&o, 2);
    fake_redis_reply(fake, "EVALSHA", "-NOSCRIPT No matching script. Please use EVAL.\r\n");
    fake_redis_reply(fake, "EVAL", "-NOSCRIPT No matching script. Please use EVAL.\r\n");
    r.calls = 0;
    commit_send(c, o.redis, 10, 1000, on_result, &r);
    assert_true(loop_try_count(loop, &r.calls, 1, 1000));
    assert_int_equal(r.status, COMMIT_REFUSED);
    commit_destroy(c);
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

int main(void)
{
#define STORE_TEST(name_)                                                                          \
    cmocka_unit_test_setup_teardown(name_, store_fixture_setup, store_fixture_teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(everything_of_a_revision_is_written),
        STORE_TEST(a_revoked_key_moves_and_leaves_a_tombstone),
        STORE_TEST(the_digest_and_the_count_follow),
        STORE_TEST(a_redis_that_forgot_the_script_gets_it_again),
        STORE_TEST(an_idempotent_request_runs_once),
        STORE_TEST(init_wants_an_empty_store),
        STORE_TEST(a_stale_plan_changes_nothing),
        STORE_TEST(a_refusal_changes_nothing),
        STORE_TEST(the_largest_revision),
        STORE_TEST(two_admins_lose_nothing),
        cmocka_unit_test_setup_teardown(no_answer_is_not_known_to_have_failed, loop_fixture_setup,
                                        loop_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
