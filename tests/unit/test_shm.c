// SPDX-License-Identifier: Apache-2.0
// The shared mapping: blocks, cover, totals that never fall.
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "services/shm.h"
#include "tests/support/test.h"

static void test_attach_sees_what_create_wrote(void **state)
{
    (void)state;
    int fd;
    struct shm *a = shm_create(3, &fd);
    assert_non_null(a);
    struct shm *b = shm_attach(fd);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    assert_int_equal(shm_slots(b), 3);
    shm_block(a, 2, 1)->revision = 77;
    assert_int_equal(shm_block(b, 2, 1)->revision, 77);
    assert_false(shm_draining(b));
    shm_set_draining(a);
    assert_true(shm_draining(b));
    shm_detach(a);
    shm_detach(b);
    shm_detach(NULL);
    close(fd);
}

static void test_attach_refuses_other_mappings(void **state)
{
    (void)state;
    int fd = memfd_create("x", MFD_CLOEXEC);
    assert_null(shm_attach(fd)); // too small
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    assert_null(shm_attach(fd)); // all zeros
    close(fd);
    assert_null(shm_attach(fd)); // closed
}

static void test_a_slot_is_covered_by_an_accepting_worker_that_turns(void **state)
{
    (void)state;
    int fd;
    struct shm *m = shm_create(1, &fd);
    struct shm_block *b = shm_block(m, 0, 1);
    assert_false(shm_slot_covered(m, 0, 5000));
    shm_block_claim(b, 1, 0);
    b->pid = 1;
    b->heartbeat_ms = 5000;
    assert_false(shm_slot_covered(m, 0, 5000));
    b->accepting = true;
    assert_true(shm_slot_covered(m, 0, 5000));
    assert_true(shm_slot_covered(m, 0, 4990)); // its clock may be a little ahead
    assert_true(shm_slot_covered(m, 0, 5000 + SHM_STALL_MS - 1));
    assert_false(shm_slot_covered(m, 0, 5000 + SHM_STALL_MS));
    shm_block_fold(m, b, false);
    assert_false(shm_slot_covered(m, 0, 5000));
    shm_detach(m);
    close(fd);
}

static void test_fold_keeps_counters_and_drops_gauges(void **state)
{
    (void)state;
    int fd;
    uint64_t totals[METRIC_ROWS];
    struct shm *m = shm_create(2, &fd);
    struct shm_block *b = shm_block(m, 0, 0);
    shm_block_claim(b, 1, 0);
    metric_add(b->metrics, METRIC_KEY_HITS, 5);
    metric_set(b->metrics, METRIC_KEY_BYTES, 1000);
    metric_add(shm_block(m, 1, 1)->metrics, METRIC_KEY_HITS, 2);
    shm_totals(m, totals);
    assert_int_equal(totals[METRIC_KEY_HITS], 7);
    assert_int_equal(totals[METRIC_KEY_BYTES], 0);
    assert_int_equal(shm_restarts(m), 0);
    b->ready = true;
    b->revision = 9;
    shm_block_fold(m, b, true);
    assert_int_equal(shm_restarts(m), 1);
    assert_false(b->ready);
    assert_int_equal(b->revision, 0);
    assert_int_equal(metric_get(b->metrics, METRIC_KEY_BYTES), 0);
    shm_block_claim(b, 2, 1); // the next incarnation starts at nothing
    metric_add(b->metrics, METRIC_KEY_HITS, 1);
    shm_totals(m, totals);
    assert_int_equal(totals[METRIC_KEY_HITS], 8);
    shm_detach(m);
    close(fd);
}

enum { FOLDS = 2000 };

struct folding {
    struct shm *m;
    _Atomic uint64_t looks;
    _Atomic bool done;
};

// Counts in every row, lets it be seen, and folds it while it is looked at.
static void *fold_often(void *ctx)
{
    struct folding *f = ctx;
    struct shm_block *b = shm_block(f->m, 0, 0);
    for (uint64_t i = 1; i <= FOLDS; i++) {
        shm_block_claim(b, i, i - 1);
        for (size_t row = 0; row < METRIC_ROWS; row++)
            metric_add(b->metrics, row, 1);
        uint64_t seen = f->looks + 2;
        while (f->looks < seen)
            sched_yield();
        shm_block_fold(f->m, b, false);
    }
    f->done = true;
    return NULL;
}

static void test_totals_never_fall_while_blocks_are_folded(void **state)
{
    (void)state;
    int fd;
    uint64_t totals[METRIC_ROWS], last[METRIC_ROWS] = {0};
    pthread_t thread;
    struct folding f = {.m = shm_create(1, &fd)};
    assert_int_equal(pthread_create(&thread, NULL, fold_often, &f), 0);
    while (!f.done) {
        shm_totals(f.m, totals);
        f.looks++;
        for (size_t row = 0; row < METRIC_ROWS; row++) {
            if (totals[row] < last[row])
                fail_msg("row %zu fell from %u to %u", row, (unsigned)last[row],
                         (unsigned)totals[row]);
            last[row] = totals[row];
        }
    }
    pthread_join(thread, NULL);
    shm_totals(f.m, totals);
    assert_int_equal(totals[METRIC_KEY_HITS], FOLDS);
    shm_detach(f.m);
    close(fd);
}

static void test_every_row_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < METRIC_ROWS; i++) {
        assert_non_null(metrics_table[i].name);
        assert_non_null(metrics_table[i].labels);
        assert_non_null(metrics_table[i].help);
        size_t len = strlen(metrics_table[i].name);
        bool total = len > 6 && strcmp(metrics_table[i].name + len - 6, "_total") == 0;
        assert_int_equal(total, metrics_table[i].type == METRIC_COUNTER);
        for (size_t j = 0; j < i; j++)
            assert_false(strcmp(metrics_table[i].name, metrics_table[j].name) == 0 &&
                         strcmp(metrics_table[i].labels, metrics_table[j].labels) == 0);
    }
}

static void test_request_rows(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *labels;
    } cases[] = {{200, "route=\"model\",code=\"2xx\""},
                 {304, "route=\"model\",code=\"3xx\""},
                 {404, "route=\"model\",code=\"4xx\""},
                 {500, "route=\"model\",code=\"5xx\""},
                 {0, "route=\"model\",code=\"aborted\""}};
    for (size_t i = 0; i < CM_ARRAY_LEN(cases); i++)
        assert_string_equal(
            metrics_table[metrics_request_row(METRIC_ROUTE_MODEL, cases[i].status)].labels,
            cases[i].labels);
    assert_int_equal(metrics_request_row(METRIC_ROUTE_OTHER, 0), METRIC_REQUESTS_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attach_sees_what_create_wrote),
        cmocka_unit_test(test_attach_refuses_other_mappings),
        cmocka_unit_test(test_a_slot_is_covered_by_an_accepting_worker_that_turns),
        cmocka_unit_test(test_fold_keeps_counters_and_drops_gauges),
        cmocka_unit_test(test_totals_never_fall_while_blocks_are_folded),
        cmocka_unit_test(test_every_row_is_named),
        cmocka_unit_test(test_request_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
