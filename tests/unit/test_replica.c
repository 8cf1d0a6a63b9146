// SPDX-License-Identifier: Apache-2.0
#include "services/replica.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/support/log_capture.h"
#include "tests/support/test.h"

static struct replica replica;

static int start(void **state)
{
    (void)state;
    replica_init(&replica, &(struct poison){.shm = NULL});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    replica_fini(&replica);
    return 0;
}

// A record of that id; its creation time tells versions apart.
static void put_as(bool staged, const char *id, const char *inner_id, int created)
{
    char record[320];
    snprintf(record, sizeof(record),
             "{\"id\":\"%s\",\"display_name\":\"x\",\"created\":%d,\"owned_by\":\"v\","
             "\"architecture\":{\"input_modalities\":[\"text\"],\"output_modalities\":[\"text\"]},"
             "\"status\":\"active\",\"revision\":1}",
             inner_id, created);
    replica_put(&replica, staged, slice_of(id), slice_of(record));
}

static void put(bool staged, const char *id, int created)
{
    put_as(staged, id, id, created);
}

static void assert_refused(uint64_t invalid, uint64_t poisoned)
{
    struct replica_refused refused = replica_refused(&replica);
    assert_int_equal(refused.invalid, invalid);
    assert_int_equal(refused.poisoned, poisoned);
}

static int64_t created(const char *id)
{
    const struct model *m = catalog_find(replica.shown, slice_of(id));
    return m == NULL ? -1 : m->created;
}

static void put_and_remove(void **state)
{
    (void)state;
    put(false, "v/a", 1);
    put(false, "v/b", 2);
    put(false, "v/a", 3);
    assert_int_equal(created("v/a"), 3);
    replica_remove(&replica, false, SLICE_LIT("v/b"));
    replica_remove(&replica, false, SLICE_LIT("v/none"));
    assert_int_equal(created("v/b"), -1);
    assert_int_equal(catalog_view(replica.shown)->model_count, 1);
    assert_refused(0, 0);
}

static void a_reload_shows_nothing_before_its_end(void **state)
{
    (void)state;
    put(false, "v/a", 1);
    put(false, "v/b", 1);
    replica_stage_begin(&replica, false);
    put(true, "v/a", 2);
    put(true, "v/c", 2);
    replica_remove(&replica, true, SLICE_LIT("v/c"));
    assert_int_equal(created("v/a"), 1);
    assert_int_equal(created("v/b"), 1);
    replica_stage_commit(&replica);
    assert_int_equal(created("v/a"), 2);
    assert_int_equal(created("v/b"), -1);
    assert_int_equal(created("v/c"), -1);
    replica_stage_begin(&replica, false);
    put(true, "v/a", 9);
    replica_stage_drop(&replica);
    assert_int_equal(created("v/a"), 2);
    replica_stage_begin(&replica, false); // left behind: the end frees it
}

static void a_bad_record_leaves_the_last_good_one(void **state)
{
    (void)state;
    put(false, "v/a", 1);
    put(false, "v/b", 1);
    log_capture_start();
    replica_put(&replica, false, SLICE_LIT("v/a"), SLICE_LIT("{\"id\":\"v/a\"}"));
    put_as(false, "v/b", "v/other", 2);
    replica_put(&replica, false, SLICE_LIT("v/new"), SLICE_LIT("garbage"));
    assert_int_equal(log_capture_stop("model_record_invalid"), 3);
    assert_int_equal(created("v/a"), 1);
    assert_int_equal(created("v/b"), 1);
    assert_int_equal(created("v/other"), -1);
    assert_int_equal(created("v/new"), -1);
    assert_refused(3, 0);
    log_capture_start();
    replica_put(&replica, false, SLICE_LIT("v/new"), SLICE_LIT("garbage again"));
    assert_int_equal(log_capture_stop("model_record_invalid"), 1);
    assert_refused(3, 0); // how many there are, not how often
    put(false, "v/a", 2);
    replica_remove(&replica, false, SLICE_LIT("v/new"));
    assert_refused(1, 0);
}

static void count_refused(void *ctx, struct slice id, struct slice record, bool gone)
{
    (void)id, (void)record, (void)gone;
    ++*(size_t *)ctx;
}

static void also_in_a_reload(void **state)
{
    (void)state;
    put(false, "v/a", 1);
    replica_stage_begin(&replica, false);
    log_capture_start();
    replica_put(&replica, true, SLICE_LIT("v/a"), SLICE_LIT("garbage"));
    replica_put(&replica, true, SLICE_LIT("v/b"), SLICE_LIT("garbage"));
    assert_int_equal(log_capture_stop("model_record_invalid"), 2);
    replica_stage_commit(&replica);
    assert_int_equal(created("v/a"), 1);
    assert_int_equal(catalog_count(replica.shown), 1);
    assert_refused(2, 0);
}

static void in_a_copy_of_what_is_shown(void **state)
{
    (void)state;
    put(false, "v/a", 1);
    put(false, "v/b", 1);
    log_capture_start();
    replica_put(&replica, false, SLICE_LIT("v/c"), SLICE_LIT("garbage"));
    for (int drop = 1; drop >= 0; drop--) {
        replica_stage_begin(&replica, true);
        put(true, "v/a", 2);
        replica_put(&replica, true, SLICE_LIT("v/a"), SLICE_LIT("garbage")); // 2 was good
        replica_remove(&replica, true, SLICE_LIT("v/b"));
        assert_int_equal(created("v/a"), 1); // not shown yet
        assert_int_equal(created("v/b"), 1);
        if (drop)
            replica_stage_drop(&replica);
        else
            replica_stage_commit(&replica);
        assert_int_equal(created("v/a"), drop ? 1 : 2);
        assert_int_equal(catalog_count(replica.shown), drop ? 2 : 1);
    }
    (void)log_capture_stop("model_record_invalid");
    size_t refused = 0;
    replica_each_refused(&replica, count_refused, &refused);
    assert_int_equal(refused, 2); // c came over from what was shown
    while (replica_tidy(&replica))
        continue;
    assert_int_equal(created("v/a"), 2);
}

// A worker that died over a record, twice: the third one leaves it and goes on.
static void what_crashed_twice_is_not_tried_again(void **state)
{
    (void)state;
    int fd;
    struct shm *m = shm_create(1, &fd);
    struct shm_block *b = shm_block(m, 0, 0);
    const struct poison poison = {m, b};
    for (int crash = 0; crash < 2; crash++) {
        replica_fini(&replica);
        replica_init(&replica, &poison);
        put(false, "v/a", 1);
        put(false, "v/b", 1);
        poison_end(&poison); // rendered
        put(false, "v/a", 2);
        assert_int_equal(created("v/a"), 2);
        shm_block_fold(m, b, true); // it died while that was rendered
    }
    replica_fini(&replica);
    replica_init(&replica, &poison);
    put(false, "v/a", 1);
    log_capture_start();
    put(false, "v/a", 2);
    assert_int_equal(log_capture_stop("model_record_poisoned"), 1);
    assert_int_equal(created("v/a"), 1);
    assert_refused(0, 1);
    replica_stage_begin(&replica, true);
    replica_stage_commit(&replica);
    assert_refused(0, 1);
    put(false, "v/b", 2); // all others are taken
    put(false, "v/a", 3);
    assert_int_equal(created("v/b"), 2);
    assert_int_equal(created("v/a"), 3);
    assert_refused(0, 0);
    shm_block_fold(m, b, false); // it was asked to leave
    assert_int_equal(shm_crashes(m, poison_name(SLICE_LIT("v/a"), SLICE_LIT("x"))), 0);
    replica.poison = (struct poison){.shm = NULL};
    shm_detach(m);
    close(fd);
}

static void a_removal_may_be_poison_too(void **state)
{
    (void)state;
    int fd;
    struct shm *m = shm_create(1, &fd);
    struct shm_block *b = shm_block(m, 0, 0);
    replica.poison = (struct poison){m, b};
    put(false, "v/a", 1);
    for (int crash = 0; crash < 2; crash++) {
        replica_remove(&replica, false, SLICE_LIT("v/none"));
        replica_remove(&replica, false, SLICE_LIT("v/a"));
        shm_block_fold(m, b, true);
        put(false, "v/a", 1);
    }
    log_capture_start();
    replica_remove(&replica, false, SLICE_LIT("v/a"));
    assert_int_equal(log_capture_stop("model_record_poisoned"), 1);
    assert_int_equal(created("v/a"), 1);
    assert_refused(0, 1);
    // The same out of a snapshot, and a record that only the mapping knows as poison.
    replica_fini(&replica);
    replica_init(&replica, &(struct poison){m, b});
    replica_restore_refused(&replica, SLICE_LIT("v/a"), SLICE_NONE, true);
    replica_restore_refused(&replica, SLICE_LIT("v/b"), SLICE_LIT("garbage"), false);
    assert_refused(1, 1);
    replica.poison = (struct poison){.shm = NULL};
    shm_detach(m);
    close(fd);
}

#define CASE(function_) cmocka_unit_test_setup_teardown(function_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(put_and_remove),
        CASE(a_reload_shows_nothing_before_its_end),
        CASE(a_bad_record_leaves_the_last_good_one),
        CASE(also_in_a_reload),
        CASE(in_a_copy_of_what_is_shown),
        CASE(what_crashed_twice_is_not_tried_again),
        CASE(a_removal_may_be_poison_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
