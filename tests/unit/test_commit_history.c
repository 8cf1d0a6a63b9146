// SPDX-License-Identifier: Apache-2.0
// A new history by the write script, on a real Redis.
#include <string.h>

#include "common/store/commit.h"
#include "tests/support/store_fixture.h"
#include "tests/support/test.h"

#define KEY_ID "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"

static struct secret_digest digest_of(unsigned char fill)
{
    struct secret_digest d;
    memset(d.bytes, fill, sizeof(d.bytes));
    return d;
}

// A history that begins with nothing of what was there: all of it in one step, but
// for the denials; and only on the head that was seen.
static void a_history_begins_anew(void **state)
{
    struct store_fixture *f = *state;
    struct redis_fixture *s = &f->server;
    struct secret_digest gone = digest_of(3), old = digest_of(4), fresh = digest_of(5);
    char revoked[] = "{\"rev\":1,\"id\":\"" KEY_ID "\",\"state\":\"revoked\"}";
    store_fixture_put_model(f, "a/old", "1");
    struct commit *c = store_fixture_plan(f);
    commit_put_key(c, &gone, slice_of(revoked), true, 0);
    commit_put_key(c, &old, SLICE_LIT("{\"state\":\"active\"}"), false, 0);
    commit_add_ref(c, SLICE_LIT("a/old"), SLICE_LIT(KEY_ID));
    assert_int_equal(store_fixture_commit(f, c), COMMIT_OK);
    struct head before = store_fixture_head(f);
    char epoch[HEAD_ID_HEX_LEN + 1], change[HEAD_ID_HEX_LEN + 1], name[KEYSPACE_NAME_MAX];
    head_id_hex(before.epoch, epoch);
    head_id_hex(before.change, change);
    struct commit_origin origin = {.revision = 90,
                                   .parent_count = 2,
                                   .parents = {before.epoch, 7},
                                   .keep = COMMIT_KEEP_NOTHING,
                                   .epoch = slice_of(epoch),
                                   .found_revision = SLICE_LIT("1"), // it is at 2
                                   .change = slice_of(change)};
    for (int attempt = 0; attempt < 2; attempt++) {
        c = commit_create(&f->keyspace, &before);
        commit_begin_history(c, &origin);
        commit_put_model(c, SLICE_LIT("a/new"), SLICE_NONE, SLICE_LIT("2"));
        commit_put_key(c, &fresh, SLICE_LIT("{\"state\":\"active\"}"), false, 0);
        assert_int_equal(store_fixture_commit(f, c), attempt == 0 ? COMMIT_CONFLICT : COMMIT_OK);
        origin.found_revision = SLICE_LIT("2");
    }
    struct head after = store_fixture_head(f);
    assert_true(after.epoch != before.epoch && after.revision == 90);
    assert_true(after.parent_count == 2 && after.parents[0] == before.epoch);
    assert_true(after.models == 1 &&
                digest_equal(after.digest, digest_record(SLICE_LIT("a/new"), SLICE_LIT("2"))));
    assert_int_equal(redis_fixture_integer(s, "HLEN {cm}:models"), 1);
    assert_int_equal(redis_fixture_integer(s, "XLEN {cm}:log"), 1);
    assert_int_equal(redis_fixture_integer(s, "EXISTS {cm}:refs:a/old"), 0);
    keyspace_key(&f->keyspace, &old, name);
    assert_int_equal(redis_fixture_integer(s, "EXISTS %s", name), 0);
    keyspace_key(&f->keyspace, &gone, name);
    assert_string_equal(redis_fixture_text(s, "GET %s", name), revoked);
    store_fixture_put_model(f, "a/on", "3"); // and it goes on
    assert_int_equal(store_fixture_head(f).revision, 91);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        a_history_begins_anew, store_fixture_setup, store_fixture_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
