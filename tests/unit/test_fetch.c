// SPDX-License-Identifier: Apache-2.0
#include "common/store/fetch.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/fake_redis.h"
#include "tests/support/log_capture.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/store_fixture.h"
#include "tests/support/test.h"

struct result {
    size_t calls;
    bool ok;
};

static void on_done(void *ctx, bool ok)
{
    struct result *r = ctx;
    r->calls++;
    r->ok = ok;
}

static bool run(uv_loop_t *loop, struct fetch *f)
{
    struct result r = {0};
    fetch_send(f, on_done, &r);
    assert_int_equal(r.calls, 0); // later, also when it is known at once
    assert_true(loop_try_count(loop, &r.calls, 1, 5000));
    loop_run_for(loop, 10);
    assert_int_equal(r.calls, 1);
    return r.ok;
}

static void every_object_is_found(void **state)
{
    struct store_fixture *f = *state;
    struct secret_digest known, unknown;
    struct head head;
    memset(known.bytes, 1, sizeof(known.bytes));
    memset(unknown.bytes, 2, sizeof(unknown.bytes));
    struct commit *c = store_fixture_plan(f);
    uint64_t change = commit_change(c);
    commit_put_model(c, SLICE_LIT("a/b"), SLICE_NONE, SLICE_LIT("model"));
    commit_put_model(c, SLICE_LIT("a/empty"), SLICE_NONE, SLICE_LIT(""));
    commit_put_key(c, &known, SLICE_LIT("record"), false, 0);
    commit_put_document(c, SLICE_LIT("key_1"), SLICE_LIT("document"));
    commit_revoke_document(c, SLICE_LIT("key_0"), SLICE_LIT("gone"), 5000000);
    commit_add_ref(c, SLICE_LIT("a/b"), SLICE_LIT("key_1"));
    commit_idem(c, SLICE_LIT("0f"), SLICE_LIT("outcome"));
    assert_int_equal(store_fixture_commit(f, c), COMMIT_OK);
    redis_fixture_do(&f->server, "HSET {cm}:fleet w1 ack1");

    struct fetch *t = fetch_create(f->owner.redis, &f->keyspace);
    size_t model = fetch_model(t, SLICE_LIT("a/b"));
    size_t empty = fetch_model(t, SLICE_LIT("a/empty"));
    size_t no_model = fetch_model(t, SLICE_LIT("a/c"));
    size_t all = fetch_all_models(t);
    size_t document = fetch_key_document(t, SLICE_LIT("key_1"));
    size_t models = fetch_model_count(t), keys = fetch_key_count(t);
    size_t no_document = fetch_key_document(t, SLICE_LIT("key_0"));
    size_t gone = fetch_gone_document(t, SLICE_LIT("key_0"));
    size_t no_gone = fetch_gone_document(t, SLICE_LIT("key_1"));
    size_t gone_ids = fetch_gone_ids(t, 5000000);
    size_t no_gone_ids = fetch_gone_ids(t, 5000001);
    size_t record = fetch_key_record(t, &known);
    size_t no_record = fetch_key_record(t, &unknown);
    size_t refs = fetch_refs(t, SLICE_LIT("a/b"));
    size_t no_refs = fetch_refs(t, SLICE_LIT("a/c"));
    size_t idem = fetch_idem(t, SLICE_LIT("0f"));
    size_t no_idem = fetch_idem(t, SLICE_LIT("0e"));
    size_t log = fetch_log_change(t, 1);
    size_t no_log = fetch_log_change(t, 2);
    size_t fleet = fetch_fleet(t);
    char hex[HEAD_ID_HEX_LEN + 1];
    head_id_hex(change, hex);
    for (int again = 0; again < 2; again++) {
        assert_true(run(&f->loop, t));
        assert_slice(fetch_result(t, models), "2");
        assert_slice(fetch_result(t, keys), "1");
        assert_int_equal(fetch_head(t, &head), HEAD_OK);
        assert_true(head.revision == 1 && head.change == change);
        assert_slice(fetch_result(t, model), "model");
        assert_slice(fetch_result(t, empty), "");
        assert_non_null(fetch_result(t, empty).ptr); // empty is not none
        assert_null(fetch_result(t, no_model).ptr);
        assert_int_equal(fetch_list_count(t, all), 4);
        assert_slice(fetch_result(t, document), "document");
        assert_null(fetch_result(t, no_document).ptr);
        assert_slice(fetch_result(t, gone), "gone");
        assert_null(fetch_result(t, no_gone).ptr);
        assert_int_equal(fetch_list_count(t, gone_ids), 1);
        assert_slice(fetch_list_at(t, gone_ids, 0), "key_0");
        assert_int_equal(fetch_list_count(t, no_gone_ids), 0);
        assert_slice(fetch_result(t, record), "record");
        assert_null(fetch_result(t, no_record).ptr);
        assert_int_equal(fetch_list_count(t, refs), 1);
        assert_slice(fetch_list_at(t, refs, 0), "key_1");
        assert_int_equal(fetch_list_count(t, no_refs), 0);
        assert_slice(fetch_result(t, idem), "outcome");
        assert_null(fetch_result(t, no_idem).ptr);
        assert_slice(fetch_result(t, log), hex);
        assert_null(fetch_result(t, no_log).ptr);
        assert_int_equal(fetch_list_count(t, fleet), 2);
        assert_slice(fetch_list_at(t, fleet, 1), "ack1");
    }
    // The second sending reads anew.
    redis_fixture_do(&f->server, "HDEL {cm}:models a/b");
    assert_true(run(&f->loop, t));
    assert_null(fetch_result(t, model).ptr);
    assert_int_equal(fetch_list_count(t, all), 2);
    fetch_destroy(t);
}

static void assert_page(struct store_fixture *f, const char *after, const char *before,
                        size_t count, const char *want)
{
    char got[256] = "";
    struct fetch *t = fetch_create(f->owner.redis, &f->keyspace);
    size_t slot = fetch_key_ids(t, slice_of(after), slice_of(before), count);
    assert_true(run(&f->loop, t));
    for (size_t i = 0; i < fetch_list_count(t, slot); i++) {
        struct slice id = fetch_list_at(t, slot, i);
        size_t len = strlen(got);
        snprintf(got + len, sizeof(got) - len, "%.*s ", SLICE_FMT(id));
    }
    assert_string_equal(got, want);
    fetch_destroy(t);
}

static void key_ids_come_in_pages(void **state)
{
    struct store_fixture *f = *state;
    struct commit *c = store_fixture_plan(f);
    static const char *const ids[] = {"key_c", "key_a", "key_e", "key_b", "key_d"};
    for (size_t i = 0; i < CM_ARRAY_LEN(ids); i++)
        commit_put_document(c, slice_of(ids[i]), SLICE_LIT("{}"));
    assert_int_equal(store_fixture_commit(f, c), COMMIT_OK);
    assert_page(f, "", "", 10, "key_a key_b key_c key_d key_e ");
    assert_page(f, "", "", 2, "key_a key_b ");
    assert_page(f, "key_b", "", 2, "key_c key_d ");
    assert_page(f, "key_e", "", 2, "");
    assert_page(f, "", "key_d", 2, "key_c key_b ");
    assert_page(f, "", "key_a", 2, "");
    assert_page(f, "key_bb", "", 1, "key_c "); // the id itself need not exist
}

static void the_state_of_the_head_is_told(void **state)
{
    struct store_fixture *f = *state;
    struct head head = {.revision = 77};
    struct fetch *t = fetch_create(f->owner.redis, &f->keyspace);
    redis_fixture_do(&f->server, "HSET {cm}:head format 99");
    assert_true(run(&f->loop, t));
    assert_int_equal(fetch_head(t, &head), HEAD_NEWER);
    redis_fixture_do(&f->server, "HSET {cm}:head format 1 rev x");
    assert_true(run(&f->loop, t));
    assert_int_equal(fetch_head(t, &head), HEAD_GARBLED);
    redis_fixture_do(&f->server, "DEL {cm}:head");
    assert_true(run(&f->loop, t));
    assert_int_equal(fetch_head(t, &head), HEAD_ABSENT);
    assert_int_equal(head.revision, 77);
    fetch_destroy(t);
}

// --- failing

static void half_an_answer_is_none(void **state)
{
    static struct redis_owner o;
    uv_loop_t *loop = *state;
    struct fake_redis *fake = fake_redis_start(loop);
    struct keyspace k;
    struct head head;
    assert_true(keyspace_init(&k, SLICE_LIT("cm"), 0));
    redis_owner_open_port(&o, loop, fake_redis_port(fake));
    struct fetch *t = fetch_create(o.redis, &k);
    size_t model = fetch_model(t, SLICE_LIT("a/b"));
    size_t all = fetch_all_models(t);
    assert_false(run(loop, t)); // not connected yet
    redis_owner_wait_up(&o, 1);
    const char *good_head = "*7\r\n$1\r\n1\r\n$16\r\n00000000000000aa\r\n$0\r\n\r\n$1\r\n0\r\n"
                            "$16\r\n00000000000000bb\r\n$32\r\n00000000000000000000000000000000"
                            "\r\n$1\r\n0\r\n";
    fake_redis_reply(fake, "HMGET", good_head);
    fake_redis_reply(fake, "HGET", "$1\r\nv\r\n");
    fake_redis_reply(fake, "HGETALL", "*0\r\n");
    assert_true(run(loop, t));
    assert_int_equal(fetch_head(t, &head), HEAD_OK);
    assert_slice(fetch_result(t, model), "v");

    size_t count = fetch_model_count(t);
    fake_redis_reply(fake, "HLEN", "-NOPERM no such right\r\n");
    assert_true(run(loop, t)); // one may do without a count
    assert_null(fetch_result(t, count).ptr);
    assert_slice(fetch_result(t, model), "v");

    fake_redis_reply(fake, "HGETALL", "-WRONGTYPE it is a string\r\n");
    log_capture_start();
    bool ok = run(loop, t);
    assert_int_equal(log_capture_stop("WRONGTYPE"), 1);
    assert_false(ok);
    assert_null(fetch_result(t, model).ptr);
    assert_int_equal(fetch_list_count(t, all), 0);
    assert_int_equal(fetch_head(t, &head), HEAD_ABSENT);

    fake_redis_reply(fake, "HGETALL", "*0\r\n");
    fake_redis_reply(fake, "HMGET", "*1\r\n$1\r\nx\r\n");
    assert_true(run(loop, t));
    assert_int_equal(fetch_head(t, &head), HEAD_GARBLED);

    fake_redis_reply(fake, "HMGET", good_head);
    fake_redis_cut(fake, "HGETALL");
    assert_false(run(loop, t));
    assert_null(fetch_result(t, model).ptr);
    fetch_destroy(t);
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

static void too_many_questions_are_not_half_asked(void **state)
{
    static struct redis_owner o;
    uv_loop_t *loop = *state;
    struct fake_redis *fake = fake_redis_start(loop);
    char url[64];
    struct keyspace k;
    assert_true(keyspace_init(&k, SLICE_LIT("cm"), 0));
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", fake_redis_port(fake));
    redis_owner_init(&o, loop, url);
    o.options.max_in_flight = 4;
    redis_owner_open(&o);
    redis_owner_wait_up(&o, 1);
    struct fetch *t = fetch_create(o.redis, &k);
    for (size_t i = 0; i < 4; i++)
        (void)fetch_model(t, SLICE_LIT("a/b"));
    assert_false(run(loop, t));
    assert_int_equal(fake_redis_seen(fake, "HMGET") + fake_redis_seen(fake, "HGET"), 0);
    fetch_destroy(t);
    redis_owner_close(&o);
    fake_redis_stop(fake);
}

int main(void)
{
#define STORE_TEST(name_)                                                                          \
    cmocka_unit_test_setup_teardown(name_, store_fixture_setup, store_fixture_teardown)
#define LOOP_TEST(name_)                                                                           \
    cmocka_unit_test_setup_teardown(name_, loop_fixture_setup, loop_fixture_teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(every_object_is_found),
        STORE_TEST(key_ids_come_in_pages),
        STORE_TEST(the_state_of_the_head_is_told),
        LOOP_TEST(half_an_answer_is_none),
        LOOP_TEST(too_many_questions_are_not_half_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
