// SPDX-License-Identifier: Apache-2.0
// The log that the write script keeps, on a real Redis: how a revision lies in it, and
// what goes when it is full.
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/feed.h"
#include "common/model/oplog.h"
#include "common/store/commit.h"
#include "tests/support/store_fixture.h"
#include "tests/support/test.h"

static void assert_log_bytes_are_right(struct store_fixture *f)
{
    redisReply *log = redis_fixture_command(&f->server, "XRANGE {cm}:log - +");
    long long bytes = 0;
    for (size_t i = 0; i < log->elements; i++)
        bytes += (long long)log->element[i]->element[1]->element[5]->len + 64;
    freeReplyObject(log);
    assert_int_equal(redis_fixture_integer(&f->server, "HGET {cm}:head logbytes"), bytes);
}

static void commit_bounded(struct store_fixture *f, size_t i, uint64_t keep, uint64_t keep_bytes)
{
    char id[32];
    struct commit *c = store_fixture_plan(f);
    snprintf(id, sizeof(id), "vendor/m%zu", i);
    commit_put_model(c, slice_of(id), SLICE_NONE, SLICE_LIT("0123456789"));
    assert_int_equal(store_fixture_commit_bounded(f, c, keep, keep_bytes), COMMIT_OK);
}

static void the_log_keeps_to_its_bounds(void **state)
{
    struct store_fixture *f = *state;
    size_t i = 0;
    for (; i < 60; i++)
        commit_bounded(f, i, 50, 1 << 20);
    assert_int_equal(redis_fixture_integer(&f->server, "XLEN {cm}:log"), 50);
    assert_log_bytes_are_right(f);
    // A much smaller bound is reached in steps of 16.
    commit_bounded(f, i++, 10, 1 << 20);
    assert_int_equal(redis_fixture_integer(&f->server, "XLEN {cm}:log"), 50 + 1 - 16);
    commit_bounded(f, i++, 10, 1 << 20);
    commit_bounded(f, i++, 10, 1 << 20);
    assert_int_equal(redis_fixture_integer(&f->server, "XLEN {cm}:log"), 10);
    assert_log_bytes_are_right(f);
    // By bytes; an entry is its operations and 64: "M vendor/m63 0123456789\n" is 24.
    commit_bounded(f, i++, 1000, 4 * 88);
    assert_int_equal(redis_fixture_integer(&f->server, "XLEN {cm}:log"), 4);
    assert_log_bytes_are_right(f);
    // The newest stays whatever the bounds say.
    commit_bounded(f, i++, 0, 0);
    assert_int_equal(redis_fixture_integer(&f->server, "XLEN {cm}:log"), 1);
    char id[32];
    snprintf(id, sizeof(id), "%zu-0", i);
    redisReply *log = redis_fixture_command(&f->server, "XRANGE {cm}:log - +");
    assert_string_equal(log->element[0]->element[0]->str, id);
    freeReplyObject(log);
    assert_log_bytes_are_right(f);
}

// One large revision: so many records of 600 bytes.
static void commit_large(struct store_fixture *f, size_t records, uint64_t keep, uint64_t bytes)
{
    char id[32], record[600];
    memset(record, 'r', sizeof(record));
    struct commit *c = store_fixture_plan(f);
    for (size_t i = 0; i < records; i++) {
        snprintf(id, sizeof(id), "large/%llu-%zu", (unsigned long long)commit_revision(c), i);
        commit_put_model(c, slice_of(id), SLICE_NONE, slice_make(record, sizeof(record)));
    }
    assert_int_equal(store_fixture_commit_bounded(f, c, keep, bytes), COMMIT_OK);
}

static struct slice field_of(const redisReply *entry, size_t i)
{
    return slice_make(entry->element[1]->element[i]->str, entry->element[1]->element[i]->len);
}

static void a_large_revision_is_several_entries(void **state)
{
    enum { RECORDS = 100 };
    struct store_fixture *f = *state;
    commit_bounded(f, 0, 100, 1 << 20);
    commit_large(f, RECORDS, 100, 1 << 20);
    struct head head = store_fixture_head(f);
    redisReply *log = redis_fixture_command(&f->server, "XRANGE {cm}:log 2 2");
    size_t records = 0;
    assert_in_range(log->elements, 7, 10);
    for (size_t i = 0; i < log->elements; i++) {
        struct oplog_entry entry;
        struct oplog_op op;
        bool more = i + 1 < log->elements;
        struct slice ops = field_of(log->element[i], 5);
        assert_slice(field_of(log->element[i], 4), more ? "m" : "o");
        assert_true(oplog_entry_parse(slice_of(log->element[i]->element[0]->str),
                                      field_of(log->element[i], 1), field_of(log->element[i], 3),
                                      more ? SLICE_NONE : ops, more ? ops : SLICE_NONE, &entry));
        assert_true(entry.revision == 2 && entry.part == i && entry.more == more);
        assert_true(entry.change == head.change && entry.previous != head.change);
        assert_true(ops.len <= FEED_SLICE_BYTES && oplog_valid(ops));
        while (oplog_next(&ops, &op) > 0)
            records++;
    }
    assert_int_equal(records, RECORDS);
    assert_int_equal(redis_fixture_integer(&f->server, "HGET {cm}:head logparts"),
                     (long long)log->elements - 1);
    freeReplyObject(log);
    assert_log_bytes_are_right(f);
}

static long long oldest_of(struct store_fixture *f)
{
    redisReply *log = redis_fixture_command(&f->server, "XRANGE {cm}:log - + COUNT 1");
    long long revision = strtoll(log->element[0]->element[0]->str, NULL, 10);
    assert_string_equal(strchr(log->element[0]->element[0]->str, '-'), "-0");
    freeReplyObject(log);
    return revision;
}

static void a_large_revision_counts_once_and_goes_whole(void **state)
{
    struct store_fixture *f = *state;
    size_t i = 0;
    commit_bounded(f, i++, 3, 1 << 20);
    commit_large(f, 100, 3, 1 << 20);
    commit_bounded(f, i++, 3, 1 << 20);
    assert_int_equal(oldest_of(f), 1);
    commit_bounded(f, i++, 3, 1 << 20);
    assert_int_equal(oldest_of(f), 2);
    commit_bounded(f, i++, 3, 1 << 20);
    assert_int_equal(oldest_of(f), 3);
    assert_int_equal(redis_fixture_integer(&f->server, "XLEN {cm}:log"), 3);
    assert_int_equal(redis_fixture_integer(&f->server, "HGET {cm}:head logparts"), 0);
    assert_log_bytes_are_right(f);
    // By bytes; and the newest stays, with all its parts.
    commit_large(f, 100, 3, 1000);
    assert_int_equal(oldest_of(f), 6);
    assert_in_range(redis_fixture_integer(&f->server, "XLEN {cm}:log"), 7, 10);
    assert_log_bytes_are_right(f);
    commit_bounded(f, i++, 3, 1000);
    assert_int_equal(oldest_of(f), 7);
    assert_log_bytes_are_right(f);
}

int main(void)
{
#define STORE_TEST(name_)                                                                          \
    cmocka_unit_test_setup_teardown(name_, store_fixture_setup, store_fixture_teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(the_log_keeps_to_its_bounds),
        STORE_TEST(a_large_revision_is_several_entries),
        STORE_TEST(a_large_revision_counts_once_and_goes_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
