// SPDX-License-Identifier: Apache-2.0
// What an ack waits for: that a refusal is in the file.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/state_dir.h"
#include "tests/support/kept_world.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/temp_dir.h"

static void read_key(unsigned n, const char *key_state, uint64_t revision)
{
    struct secret_digest d = kept_digest(n);
    kept_read_key(&d, key_state, revision);
}

static void deny(unsigned n, uint64_t revision)
{
    struct secret_digest d = kept_digest(n);
    key_cache_deny(kept.cache, &d, revision);
}

struct held_pool {
    uv_work_t work;
    uv_sem_t go;
    bool done;
};

static void on_hold(uv_work_t *work)
{
    uv_sem_wait(&CM_CONTAINER_OF(work, struct held_pool, work)->go);
}

static void on_let_go(uv_work_t *work, int status)
{
    (void)status;
    CM_CONTAINER_OF(work, struct held_pool, work)->done = true;
}

// The one thread (main) is busy: what is to be written is not.
static void hold_disk(struct held_pool *p)
{
    *p = (struct held_pool){.done = false};
    assert_int_equal(uv_sem_init(&p->go, 0), 0);
    assert_int_equal(uv_queue_work(&kept.loop, &p->work, on_hold, on_let_go), 0);
}

static bool has_line_of(unsigned n, char kind)
{
    struct state_dir d;
    struct buf text = {.ptr = NULL};
    char line[16];
    snprintf(line, sizeof(line), " %c %02x", kind, n);
    assert_int_equal(state_dir_open(&d, temp_dir), 0);
    int error = state_dir_read(&d, "keys-0", 1 << 20, &text);
    bool has = error == 0 && strstr(buf_cstr(&text), line) != NULL;
    buf_fini(&text);
    state_dir_close(&d);
    return has;
}

static bool is_noted(void *ctx)
{
    (void)ctx;
    return keeper_is_noted(kept.keeper);
}

static bool has_written_key_1(void *ctx)
{
    (void)ctx;
    return has_line_of(1, 'K');
}

static void a_refusal_is_noted_when_it_is_written(void **state)
{
    (void)state;
    struct held_pool pool;
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 1, 100);
    read_key(1, "active", 4);
    assert_true(keeper_is_noted(kept.keeper)); // permissions need not be
    loop_run_until(&kept.loop, has_written_key_1, NULL, 10000);
    hold_disk(&pool);
    for (unsigned n = 1; n <= 2; n++) { // the second while the first one's job waits
        deny(n, 5 + n);
        loop_run_for(&kept.loop, 20);
        assert_false(keeper_is_noted(kept.keeper));
        assert_false(has_line_of(n, 'D'));
    }
    size_t told = kept.noted;
    uv_sem_post(&pool.go);
    loop_run_until(&kept.loop, is_noted, NULL, 10000);
    assert_true(has_line_of(1, 'D') && has_line_of(2, 'D'));
    assert_true(kept.noted > told);
    loop_run_until_set(&kept.loop, &pool.done, 10000);
    uv_sem_destroy(&pool.go);
    kept_close();
}

static void a_refusal_that_cannot_be_written_is_not_waited_for(void **state)
{
    (void)state;
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 1, 100);
    read_key(1, "active", 4);
    loop_run_until(&kept.loop, has_written_key_1, NULL, 10000);
    struct rlimit before, full = {.rlim_cur = 0};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0); // what a full disk is to who appends
    deny(1, 6);
    assert_false(keeper_is_noted(kept.keeper));
    loop_run_until(&kept.loop, is_noted, NULL, 10000);
    assert_false(has_line_of(1, 'K')); // taken away first
    kept_close();
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void a_refusal_that_the_predecessor_notes_is_noted(void **state)
{
    (void)state;
    struct state_dir d;
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 1, 100);
    kept_close();
    assert_int_equal(state_dir_open(&d, temp_dir), 0);
    int lock = state_dir_lock(&d, "lock-keys-0");
    assert_true(lock >= 0);
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 1, 100);
    deny(1, 6);
    assert_false(keeper_is_noted(kept.keeper)); // the lock may be free by now
    loop_run_until(&kept.loop, is_noted, NULL, 10000);
    close(lock);
    deny(2, 7);
    loop_run_until(&kept.loop, is_noted, NULL, 10000);
    assert_true(has_line_of(1, 'D') && has_line_of(2, 'D'));
    kept_close();
    state_dir_close(&d);
}

#define CASE(function_)                                                                            \
    cmocka_unit_test_setup_teardown(function_, temp_dir_setup, temp_dir_teardown)

int main(void)
{
    setenv("UV_THREADPOOL_SIZE", "1", 1); // for hold_disk
    const struct CMUnitTest tests[] = {
        CASE(a_refusal_is_noted_when_it_is_written),
        CASE(a_refusal_that_cannot_be_written_is_not_waited_for),
        CASE(a_refusal_that_the_predecessor_notes_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
