// SPDX-License-Identifier: Apache-2.0
// A repair on a real Redis and a real journal: what it says was brought back is there,
// whatever Redis or the disk do while it reads. The C library's pread is made to fail,
// and tells when the journal is being read.
#include "admin/repair.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/log_capture.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/store_fixture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

static struct {
    struct store_fixture store;
    struct roster *roster;
    struct guard guard;
    struct journal *journal;
    struct txn_queue *queue, *others; // ours; of an admin without a journal
    size_t repairs;
    const char *meddle[8]; // commands for Redis when the journal is read
    int unreadable;        // reads of the journal that fail
} w;

ssize_t pread(int fd, void *out, size_t len, off_t at)
{
    ssize_t (*real)(int, void *, size_t, off_t);
    *(void **)&real = dlsym(RTLD_NEXT, "pread");
    for (size_t i = 0; i < CM_ARRAY_LEN(w.meddle) && w.meddle[i] != NULL; i++)
        redis_fixture_do(&w.store.server, w.meddle[i]);
    w.meddle[0] = NULL;
    if (w.unreadable == 0)
        return real(fd, out, len, at);
    w.unreadable--;
    errno = EIO;
    return -1;
}

static struct txn_queue *make_queue(struct journal *journal)
{
    return txn_queue_create(&(struct txn_queue_options){.redis = w.store.owner.redis,
                                                        .keyspace = &w.store.keyspace,
                                                        .guard = &w.guard,
                                                        .journal = journal,
                                                        .log_keep = 1000,
                                                        .log_keep_bytes = 1 << 20});
}

static int start(void **state)
{
    struct buf why = {.len = 0};
    memset(&w, 0, sizeof(w));
    if (temp_dir_setup(state) != 0)
        return -1;
    store_fixture_init(&w.store, NULL);
    w.roster = roster_create();
    w.guard = (struct guard){.roster = w.roster, .policy_good = true};
    w.journal = journal_open(temp_path("state"), "store", &why);
    assert_non_null(w.journal);
    w.queue = make_queue(w.journal);
    w.others = make_queue(NULL);
    store_fixture_put_model(&w.store, "a/base", "{\"revision\":1}"); // the log begins before a loss
    struct head head = store_fixture_head(&w.store);
    guard_adopt(&w.guard, &head);
    buf_fini(&why);
    return 0;
}

static int stop(void **state)
{
    txn_queue_destroy(w.queue);
    txn_queue_destroy(w.others);
    journal_close(w.journal);
    roster_destroy(w.roster);
    store_fixture_fini(&w.store);
    return temp_dir_teardown(state);
}

// A model that was put, answered, and lost by Redis: its change.
static uint64_t lose(const char *id)
{
    struct commit *c = commit_create(&w.store.keyspace, &w.guard.known);
    struct buf image = {.len = 0};
    commit_put_model(c, slice_of(id), SLICE_NONE, SLICE_LIT("{\"revision\":1}"));
    commit_write_image(c, &image);
    const struct journal_entry e = {.epoch = commit_epoch(c),
                                    .revision = commit_revision(c),
                                    .change = commit_change(c),
                                    .previous = commit_previous(c)};
    assert_true(journal_intend(w.journal, &e, buf_slice(&image)));
    journal_settle(w.journal, e.change, JOURNAL_DONE);
    struct head head = commit_head(c);
    guard_adopt(&w.guard, &head);
    commit_destroy(c);
    buf_fini(&image);
    return e.change;
}

static enum journal_state state_of(uint64_t change)
{
    for (size_t i = 0; i < journal_count(w.journal); i++)
        if (journal_at(w.journal, i)->change == change)
            return journal_at(w.journal, i)->state;
    fail();
    return JOURNAL_VOID;
}

static bool is_there(const char *id)
{
    return redis_fixture_integer(&w.store.server, "HEXISTS {cm}:models %s", id) == 1;
}

static void on_done(void *ctx)
{
    (void)ctx;
    w.repairs++;
}

static void repair(struct txn_queue *queue, struct journal *journal)
{
    w.repairs = 0;
    repair_start(&(struct repair_options){.txns = queue,
                                          .guard = &w.guard,
                                          .journal = journal,
                                          .keyspace = &w.store.keyspace,
                                          .on_done = on_done});
    assert_true(loop_try_count(&w.store.loop, &w.repairs, 1, 5000));
}

// How often it says that something is repaired.
static size_t repair_says(void)
{
    log_capture_start();
    repair(w.queue, w.journal);
    return log_capture_stop("\"store_repaired\"");
}

// Redis becomes another store while the repair is under way, and ours again after it.
static void meddle_and_undo(const char *meddle, const char *undo)
{
    uint64_t one = lose("a/one"), two = lose("a/two");
    w.meddle[0] = meddle;
    assert_int_equal(repair_says(), 0);
    assert_null(w.meddle[0]); // it was in the middle of it
    assert_false(is_there("a/one"));
    assert_int_equal(state_of(one), JOURNAL_DONE);
    assert_int_equal(state_of(two), JOURNAL_DONE);
    redis_fixture_do(&w.store.server, undo);
    assert_int_equal(repair_says(), 1);
    assert_true(is_there("a/one") && is_there("a/two"));
    assert_int_equal(state_of(one), JOURNAL_VOID);
    assert_int_equal(state_of(two), JOURNAL_VOID);
}

static void a_store_that_becomes_empty_is_not_repaired(void **state)
{
    (void)state;
    meddle_and_undo("RENAME {cm}:head aside", "RENAME aside {cm}:head");
}

static void a_store_that_becomes_another_one_is_not_repaired(void **state)
{
    char undo[64], epoch[HEAD_ID_HEX_LEN + 1];
    (void)state;
    head_id_hex(w.guard.known.epoch, epoch);
    snprintf(undo, sizeof(undo), "HSET {cm}:head epoch %s", epoch);
    meddle_and_undo("HSET {cm}:head epoch 00000000000000aa", undo);
}

static void a_store_of_a_newer_program_is_not_repaired(void **state)
{
    (void)state;
    meddle_and_undo("HSET {cm}:head format 99", "HSET {cm}:head format 1");
}

// The other ones come back; what was not read is not said to be.
static void what_cannot_be_read_stays_lost_and_on_record(void **state)
{
    (void)state;
    uint64_t one = lose("a/one"), two = lose("a/two");
    w.unreadable = 1;
    assert_int_equal(repair_says(), 1);
    assert_false(is_there("a/one"));
    assert_true(is_there("a/two"));
    assert_int_equal(state_of(one), JOURNAL_DONE);
    assert_int_equal(state_of(two), JOURNAL_VOID);
    assert_non_null(strstr(redis_fixture_text(&w.store.server, "EVAL %s 0",
                                              "return redis.call('XREVRANGE','{cm}:audit','+','-',"
                                              "'COUNT',1)[1][2][2]:match('\"missing\":%d+')"),
                           "\"missing\":1"));
}

// Another admin has begun the new history, so there is nothing to commit but the record
// of the loss: after it the search ends.
static void what_cannot_be_read_is_not_looked_for_for_ever(void **state)
{
    (void)state;
    uint64_t one = lose("a/one");
    repair(w.others, NULL);
    struct head before = store_fixture_head(&w.store);
    w.unreadable = 1;
    assert_int_equal(repair_says(), 1);
    struct head after = store_fixture_head(&w.store);
    assert_true(after.epoch == before.epoch && after.revision == before.revision + 1);
    assert_int_equal(state_of(one), JOURNAL_DONE);
    assert_int_equal(journal_tip(w.journal)->change, after.change);
    assert_int_equal(repair_says(), 1); // finds nothing to do
    assert_int_equal(store_fixture_head(&w.store).revision, after.revision);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_store_that_becomes_empty_is_not_repaired, start, stop),
        cmocka_unit_test_setup_teardown(a_store_that_becomes_another_one_is_not_repaired, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_store_of_a_newer_program_is_not_repaired, start, stop),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_stays_lost_and_on_record, start, stop),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_not_looked_for_for_ever, start,
                                        stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
