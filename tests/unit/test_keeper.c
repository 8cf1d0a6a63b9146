// SPDX-License-Identifier: Apache-2.0
// What one worker keeps and the next one finds.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/state_dir.h"
#include "services/key_diary.h"
#include "tests/support/kept_world.h"
#include "tests/support/log_capture.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/temp_dir.h"

static const struct key_entry *entry_of(unsigned n)
{
    struct secret_digest d = kept_digest(n);
    return key_cache_find(kept.cache, &d, clock_boot_ms());
}

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

static void spoil(const char *name, long at)
{
    int fd = open(temp_path(name), O_RDWR);
    char c;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 1;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

static void nothing_kept_is_a_fresh_start(void **state)
{
    (void)state;
    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(feed_state(kept.feed), FEED_EMPTY);
    kept_close();
    assert_int_not_equal(access(temp_path("catalog"), F_OK), 0); // never from an empty state
    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(feed_state(kept.feed), FEED_EMPTY);
    kept_close();
}

static void catalog_keys_and_refusals_come_back(void **state)
{
    (void)state;
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 3, 100);
    uint64_t confirmed = feed_confirmed_at(kept.feed);
    read_key(1, "active", 4);
    read_key(2, "active", 4);
    deny(2, 5);
    deny(3, 5);
    kept_close();

    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(feed_state(kept.feed), FEED_AWAY);
    assert_true(feed_is_from_disk(kept.feed));
    assert_int_equal(feed_position(kept.feed).revision, 5);
    assert_int_equal(feed_confirmed_at(kept.feed), confirmed);
    assert_int_equal(kept_created(2), 100);
    assert_int_equal(kept_created(3), -1);
    const struct key_entry *e = entry_of(1);
    assert_int_equal(e->kind, KEY_ENTRY_KNOWN);
    assert_false(key_cache_is_verified(kept.cache, e) || e->dirty);
    assert_int_equal(key_cache_confirmed_ms(kept.cache, e, 0), confirmed);
    assert_int_equal(entry_of(2)->kind, KEY_ENTRY_DENIED);
    assert_int_equal(entry_of(2)->deny_revision, 5);
    assert_int_equal(entry_of(3)->kind, KEY_ENTRY_DENIED);
    assert_null(entry_of(4));
    kept_live(5, 3, 100); // the store answers: no reload
    assert_int_equal(feed_counters(kept.feed)->reloads, 0);
    kept_close();
}

// Only keys changed since the catalog was written: it is right for where they are.
static void the_position_goes_on_with_the_keys(void **state)
{
    (void)state;
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 2, 100);
    kept_await_save();
    kept_live(9, 2, 100);
    read_key(1, "active", 8);
    kept_close();
    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(feed_position(kept.feed).revision, 9);
    assert_false(entry_of(1)->dirty);
    kept_close();
}

static void a_key_that_is_ahead_of_the_catalog_must_be_read(void **state)
{
    (void)state;
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 2, 100);
    read_key(1, "active", 4);
    kept_close();
    kept_open(1, KEPT_STORE, NULL);
    kept_live(9, 3, 100);
    read_key(2, "active", 8);
    kept_close();
    assert_int_equal(unlink(temp_path("catalog")), 0); // revision 9's is lost
    log_capture_start();
    kept_open(1, KEPT_STORE, NULL);
    (void)log_capture_stop("state_loaded");
    assert_int_equal(feed_position(kept.feed).revision, 5);
    assert_false(entry_of(1)->dirty);
    assert_true(entry_of(2)->dirty);
    kept_close();
}

static void each_slot_finds_the_keys_of_all(void **state)
{
    (void)state;
    for (unsigned slot = 0; slot < 3; slot++) {
        kept_open(slot, KEPT_STORE, NULL);
        kept_live(5, 1, 100);
        read_key(slot, "active", 4);
        deny(10 + slot, 5);
        kept_close();
    }
    kept_open(0, KEPT_STORE, NULL); // there is only one slot now
    for (unsigned n = 0; n < 3; n++) {
        assert_int_equal(entry_of(n)->kind, KEY_ENTRY_KNOWN);
        assert_int_equal(entry_of(n)->lent, n != 0);
        assert_int_equal(entry_of(10 + n)->kind, KEY_ENTRY_DENIED);
    }
    kept_close();
}

struct diary {
    const char *name;
    ino_t inode;
};

static struct diary diary_now(const char *name)
{
    struct stat s;
    assert_int_equal(stat(temp_path(name), &s), 0);
    return (struct diary){name, s.st_ino};
}

static bool is_new(void *ctx)
{
    const struct diary *before = ctx;
    return diary_now(before->name).inode != before->inode;
}

static void await_new_diary(struct diary before)
{
    loop_run_until(&kept.loop, is_new, &before, 3000);
}

// In a roll the new worker cannot go on with the diary, and so writes it anew.
static void start_locked_out_and_leave(unsigned slot, const char *lock_name, const char *diary)
{
    struct diary before = diary_now(diary);
    struct state_dir d;
    assert_int_equal(state_dir_open(&d, temp_dir), 0);
    int lock = state_dir_lock(&d, lock_name);
    assert_true(lock >= 0);
    kept_open(slot, KEPT_STORE, NULL);
    close(lock);
    state_dir_close(&d);
    kept_live(5, 1, 100);
    await_new_diary(before);
    kept_close();
}

static void move_file(const char *from, const char *to)
{
    char old[TEMP_PATH_MAX * 2];
    snprintf(old, sizeof(old), "%s", temp_path(from));
    assert_int_equal(rename(old, temp_path(to)), 0);
}

static void a_key_that_two_slots_know_stays_in_both_diaries(void **state)
{
    (void)state;
    static const char *const locks[] = {"lock-keys-0", "lock-keys-1"};
    static const char *const diaries[] = {"keys-0", "keys-1"};
    for (unsigned slot = 0; slot < 2; slot++) {
        kept_open(slot, KEPT_STORE, NULL);
        loop_run_for(&kept.loop, 20); // so that one is older
        kept_live(5, 1, 100);
        read_key(1, "active", 4);
        kept_close();
    }
    for (unsigned slot = 0; slot < 2; slot++) // the older one first, and again
        start_locked_out_and_leave(slot, locks[slot], diaries[slot]);
    for (unsigned slot = 0; slot < 2; slot++) {
        move_file(diaries[1 - slot], "aside");
        kept_open(slot, KEPT_STORE, NULL);
        assert_non_null(entry_of(1));
        assert_false(entry_of(1)->lent);
        kept_close();
        move_file("aside", diaries[1 - slot]);
    }
}

static void a_damaged_catalog_falls_back(void **state)
{
    (void)state;
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 2, 100);
    kept_close();
    kept_open(0, KEPT_STORE, NULL);
    kept_live(6, 2, 200);
    kept_close();
    spoil("catalog", 200);
    log_capture_start();
    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(log_capture_stop("state_file_refused"), 1);
    assert_int_equal(kept_created(0), 100);
    assert_int_equal(feed_position(kept.feed).revision, 5);
    kept_live(5, 2, 100); // nothing new, but the damaged one is replaced
    kept_close();
    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(kept_created(0), 100);
    kept_close();
    spoil("catalog", 200);
    spoil("catalog.1", 210);
    log_capture_start();
    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(log_capture_stop("state_file_refused"), 2);
    assert_int_equal(feed_state(kept.feed), FEED_EMPTY);
    kept_close();
}

// A line that cannot be read may have been a refusal.
static void a_damaged_diary_only_refuses(void **state)
{
    (void)state;
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 1, 100);
    deny(1, 5);
    read_key(2, "active", 4);
    deny(3, 5);
    kept_close();
    struct buf text = {.ptr = NULL};
    struct state_dir d;
    assert_int_equal(state_dir_open(&d, temp_dir), 0);
    assert_int_equal(state_dir_read(&d, "keys-0", 1 << 20, &text), 0);
    const char *line = strstr(buf_cstr(&text), " D 01");
    spoil("keys-0", line - text.ptr + 10);
    buf_fini(&text);
    state_dir_close(&d);
    log_capture_start();
    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(log_capture_stop("state_file_refused"), 1);
    assert_null(entry_of(2));
    assert_int_equal(entry_of(3)->kind, KEY_ENTRY_DENIED);
    assert_int_equal(kept_created(0), 100);
    kept_live(5, 1, 100);
    kept_close();
    log_capture_start();
    kept_open(0, KEPT_STORE, NULL); // it was written anew
    assert_int_equal(log_capture_stop("state_file_refused"), 0);
    assert_int_equal(entry_of(3)->kind, KEY_ENTRY_DENIED);
    kept_close();
}

static void what_is_somebody_elses_is_left_alone(void **state)
{
    (void)state;
    static const char *const others[] = {"{cm}:1:bell", "{other}:0:bell"};
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 2, 100);
    kept_close();
    for (size_t i = 0; i < CM_ARRAY_LEN(others); i++) {
        log_capture_start();
        kept_open(0, others[i], NULL);
        assert_int_equal(log_capture_stop("state_dir_refused"), 1);
        assert_int_equal(feed_state(kept.feed), FEED_EMPTY);
        kept_live(9, 1, 999);
        assert_int_equal(keeper_counters(kept.keeper).errors, 1);
        kept_close();
    }
    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(kept_created(1), 100);
    kept_close();
}

static void a_predecessor_that_still_writes_is_waited_for(void **state)
{
    (void)state;
    struct state_dir d;
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 1, 100);
    read_key(1, "active", 4);
    kept_close();
    assert_int_equal(state_dir_open(&d, temp_dir), 0);
    int lock = state_dir_lock(&d, "lock-keys-0");
    assert_true(lock >= 0);
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 1, 100);
    read_key(2, "active", 4); // not noted yet
    loop_run_for(&kept.loop, 1200);
    assert_int_equal(keeper_counters(kept.keeper).errors, 0);
    struct diary before = diary_now("keys-0");
    close(lock);
    await_new_diary(before);
    kept_close();
    state_dir_close(&d);
    kept_open(0, KEPT_STORE, NULL);
    assert_non_null(entry_of(1));
    assert_non_null(entry_of(2));
    kept_close();
}

static bool has_failed_twice(void *ctx)
{
    (void)ctx;
    return keeper_counters(kept.keeper).errors >= 2;
}

static void a_disk_that_fails_is_said_and_counted(void **state)
{
    (void)state;
    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(mkdir(temp_path("catalog.new"), 0700), 0);
    log_capture_start();
    kept_live(5, 1, 100);
    loop_run_until(&kept.loop, has_failed_twice, NULL, 3500);
    assert_int_equal(log_capture_stop("state_write_failed"), 1); // once, though it tries again
    assert_int_equal(kept_created(0), 100);
    assert_int_equal(rmdir(temp_path("catalog.new")), 0);
    log_capture_start();
    kept_await_save();
    assert_int_equal(log_capture_stop("state_written_again"), 1);
    kept_close();
    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(kept_created(0), 100);
    kept_close();
}

static bool has_failed(void *ctx)
{
    return keeper_counters(kept.keeper).errors > *(uint64_t *)ctx;
}

// Every file is as large as it may be: what a full disk is to who appends.
static struct rlimit fill_disk(void)
{
    struct rlimit before, full = {.rlim_cur = 0};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    return before;
}

// A worker that ends now, however it ends, could not write down what it was told.
static void a_refusal_that_cannot_be_written_gives_nothing_back(void **state)
{
    (void)state;
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 1, 100);
    read_key(1, "active", 4);
    kept_await_save();
    kept_close();
    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(entry_of(1)->kind, KEY_ENTRY_KNOWN);
    kept_live(5, 1, 100);
    uint64_t errors = keeper_counters(kept.keeper).errors;
    struct rlimit before = fill_disk();
    deny(1, 6);
    loop_run_until(&kept.loop, has_failed, &errors, 10000);
    kept_close();
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    kept_open(0, KEPT_STORE, NULL);
    assert_null(entry_of(1));
    assert_int_equal(kept_created(0), 100);
    kept_close();
}

static void a_record_that_is_refused_is_kept_as_both(void **state)
{
    (void)state;
    struct oplog_entry bad = {.revision = 6,
                              .change = 0xc006,
                              .previous = 0xc005,
                              .ops = SLICE_LIT("M v/0 {\"id\":1}\n")};
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 2, 100);
    struct head h = {.format = 1, .epoch = 0xe1, .revision = 6, .change = 0xc006, .models = 2};
    struct feed_position at = feed_position(kept.feed);
    char id[] = "v/0";
    struct buf old = {.ptr = NULL};
    buf_append_slice(&old, catalog_find(kept.replica.shown, slice_of(id))->record);
    h.digest = digest_subtract(at.digest, digest_record(slice_of(id), buf_slice(&old)));
    h.digest = digest_add(h.digest, digest_record(slice_of(id), SLICE_LIT("{\"id\":1}")));
    log_capture_start();
    feed_on_tick(kept.feed);
    feed_on_head(kept.feed, HEAD_OK, &h, clock_boot_ms(), true);
    feed_on_log(kept.feed, &bad, 1, false);
    assert_int_equal(log_capture_stop("model_record_invalid"), 1);
    assert_int_equal(feed_state(kept.feed), FEED_LIVE);
    kept_close();
    kept_open(0, KEPT_STORE, NULL);
    assert_int_equal(feed_position(kept.feed).revision, 6);
    assert_true(digest_equal(feed_position(kept.feed).digest, h.digest));
    assert_int_equal(kept_created(0), 100); // the last good form
    assert_int_equal(replica_refused(&kept.replica).invalid, 1);
    kept_close();
    buf_fini(&old);
}

// Whoever dies while it reads a snapshot leaves its name; twice is enough.
static void a_snapshot_that_crashes_its_reader_is_not_read_again(void **state)
{
    (void)state;
    int fd;
    struct shm *m = shm_create(1, &fd);
    struct shm_block *b = shm_block(m, 0, 0);
    const struct poison poison = {m, b};
    kept_open(0, KEPT_STORE, NULL);
    kept_live(5, 1, 100);
    kept_close();
    for (int crash = 0; crash < 2; crash++) {
        kept_open(0, KEPT_STORE, &poison);
        assert_int_equal(kept_created(0), 100);
        assert_int_not_equal(b->applying, 0); // it has not been rendered yet
        kept_close();
        shm_block_fold(m, b, true);
    }
    log_capture_start();
    kept_open(0, KEPT_STORE, &poison);
    assert_int_equal(log_capture_stop("state_file_refused"), 1);
    assert_int_equal(feed_state(kept.feed), FEED_EMPTY);
    assert_int_equal(b->applying, 0);
    kept_close();
    shm_detach(m);
    close(fd);
}

// -- the diary against the cache --------------------------------------------

enum { RANDOM_KEYS = 24, RANDOM_STEPS = 6000 };

static uint64_t random_state;

static unsigned below(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 32) * n >> 32);
}

struct image {
    int kind; // -1 = not there
    bool dirty;
    uint64_t revision, lease;
};

static void take_image(struct image out[RANDOM_KEYS])
{
    for (unsigned n = 0; n < RANDOM_KEYS; n++) {
        const struct key_entry *e = entry_of(n);
        out[n] = (struct image){.kind = -1};
        if (e == NULL || e->kind == KEY_ENTRY_ABSENT)
            continue;
        out[n].kind = (int)e->kind;
        out[n].dirty = e->kind == KEY_ENTRY_KNOWN && e->dirty;
        out[n].revision = e->kind == KEY_ENTRY_KNOWN ? e->key->revision : e->deny_revision;
        out[n].lease = key_cache_confirmed_ms(kept.cache, e, feed_confirmed_at(kept.feed));
    }
}

static void expect_image(const struct image want[RANDOM_KEYS], int round)
{
    struct image got[RANDOM_KEYS];
    take_image(got);
    for (unsigned n = 0; n < RANDOM_KEYS; n++) {
        if (got[n].kind != want[n].kind || got[n].dirty != want[n].dirty ||
            got[n].revision != want[n].revision)
            fail_msg("round %d, key %u: kind %d dirty %d revision %d, was %d %d %d", round, n,
                     got[n].kind, got[n].dirty, (int)got[n].revision, want[n].kind, want[n].dirty,
                     (int)want[n].revision);
        if (got[n].kind == KEY_ENTRY_KNOWN)
            assert_true(got[n].lease <= want[n].lease);
    }
}

static void random_step(uint64_t *revision)
{
    struct secret_digest d = kept_digest(below(RANDOM_KEYS));
    unsigned what = below(100);
    if (what < 40) {
        kept_read_key(&d, "active", below(2) == 0 ? *revision : 1 + below((unsigned)*revision));
    } else if (what < 50) {
        key_cache_put_absent(kept.cache, &d, *revision, clock_boot_ms());
    } else if (what < 65) {
        kept_live(++*revision, 1, 100); // a reload: all unverified
    } else if (what < 75) {
        key_cache_deny(kept.cache, &d, *revision + below(3));
    } else if (what < 85) {
        key_cache_change(kept.cache, &d, *revision + below(3));
    } else if (what < 88) {
        key_cache_forget(kept.cache, &d);
    } else {
        kept_confirm();
    }
    if (below(4) == 0)
        uv_run(&kept.loop, UV_RUN_NOWAIT);
}

// A worker that leaves at any time and comes back knows what it knew.
static void a_diary_makes_the_same_cache(void **state)
{
    (void)state;
    const char *seed = getenv("CM_TEST_SEED");
    random_state = seed != NULL ? strtoull(seed, NULL, 0) | 1 : 0x5eed;
    struct image image[RANDOM_KEYS];
    uint64_t revision = 5;
    int restarts = 0;
    kept_open(0, KEPT_STORE, NULL);
    kept_live(revision, 1, 100);
    for (int step = 0; step < RANDOM_STEPS; step++) {
        random_step(&revision);
        if (below(40) != 0)
            continue;
        kept_live(revision, 1, 100);
        if (below(60) == 0)
            loop_run_for(&kept.loop, 1100); // a tick in between
        take_image(image);
        kept_close();
        if (below(10) == 0)
            unlink(temp_path("keys-0.1"));
        kept_open(0, KEPT_STORE, NULL);
        expect_image(image, restarts);
        kept_live(++revision, 1, 100);
        restarts++;
    }
    kept_close();
    printf("figure: %d restarts among %d changes of the key cache: the same cache each time\n",
           restarts, RANDOM_STEPS);
}

#define CASE(function_)                                                                            \
    cmocka_unit_test_setup_teardown(function_, temp_dir_setup, temp_dir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_kept_is_a_fresh_start),
        CASE(catalog_keys_and_refusals_come_back),
        CASE(the_position_goes_on_with_the_keys),
        CASE(a_key_that_is_ahead_of_the_catalog_must_be_read),
        CASE(each_slot_finds_the_keys_of_all),
        CASE(a_key_that_two_slots_know_stays_in_both_diaries),
        CASE(a_damaged_catalog_falls_back),
        CASE(a_damaged_diary_only_refuses),
        CASE(what_is_somebody_elses_is_left_alone),
        CASE(a_predecessor_that_still_writes_is_waited_for),
        CASE(a_disk_that_fails_is_said_and_counted),
        CASE(a_refusal_that_cannot_be_written_gives_nothing_back),
        CASE(a_record_that_is_refused_is_kept_as_both),
        CASE(a_snapshot_that_crashes_its_reader_is_not_read_again),
        CASE(a_diary_makes_the_same_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
