// SPDX-License-Identifier: Apache-2.0
// Syncs on a real disk and a real loop: each waiter hears once, in a later turn, and
// those who come during a sync share the next one. The C library's fdatasync is
// counted, and made to fail.
#include "admin/journal_sync.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/loop_fixture.h"
#include "tests/support/test.h"

enum { WAITERS = 50 };

static char dir[] = "/tmp/cm-journal-sync-XXXXXX";

static atomic_int syncs;
static atomic_bool failing;

int fdatasync(int fd)
{
    int (*real)(int);
    *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    syncs++;
    if (!failing)
        return real(fd);
    errno = EIO;
    return -1;
}

struct world {
    struct journal *journal;
    struct journal_sync *sync;
    size_t heard, on_disk, more;
};

static void on_synced(void *ctx, bool on_disk)
{
    struct world *w = ctx;
    w->heard++;
    w->on_disk += on_disk;
    if (w->more > 0) {
        w->more--;
        journal_sync_wait(w->sync, on_synced, w);
    }
}

static void world_init(struct world *w, uv_loop_t *loop)
{
    struct buf why = {.len = 0};
    w->journal = journal_open(dir, "store", &why);
    assert_non_null(w->journal);
    w->sync = journal_sync_create(loop, w->journal);
    buf_fini(&why);
}

static void world_fini(struct world *w)
{
    journal_sync_destroy(w->sync);
    journal_close(w->journal);
}

static void write_one(struct journal *j, uint64_t change)
{
    const struct journal_entry e = {
        .epoch = 7, .revision = change, .change = change, .previous = change - 1};
    assert_true(journal_intend(j, &e, SLICE_LIT("image")));
    journal_settle(j, change, JOURNAL_DONE);
}

static void all_who_wait_hear_once_and_share(void **state)
{
    uv_loop_t *loop = *state;
    struct world w = {.more = 10};
    world_init(&w, loop);
    int before = syncs;
    for (uint64_t i = 1; i <= WAITERS; i++) {
        write_one(w.journal, i);
        journal_sync_wait(w.sync, on_synced, &w);
    }
    assert_int_equal(w.heard, 0);
    assert_true(loop_try_count(loop, &w.heard, WAITERS + 10, 10000));
    loop_run_for(loop, 20);
    assert_int_equal(w.heard, WAITERS + 10);
    assert_int_equal(w.on_disk, w.heard);
    // The first waiter's, that of all others, and those of the ten who came again:
    // one in the first one's call, the rest together or one by one.
    assert_in_range(syncs - before, 2, 2 + 10);
    world_fini(&w);
}

static void sync_once(struct world *w, uv_loop_t *loop)
{
    size_t heard = w->heard;
    journal_sync_wait(w->sync, on_synced, w);
    assert_true(loop_try_count(loop, &w->heard, heard + 1, 10000));
}

static void while_the_disk_fails_nothing_more_is_written(void **state)
{
    uv_loop_t *loop = *state;
    struct world w = {0};
    const struct journal_entry next = {.epoch = 7, .revision = 61, .change = 61, .previous = 60};
    world_init(&w, loop);
    write_one(w.journal, 60);
    assert_null(journal_error(w.journal));
    failing = true;
    sync_once(&w, loop);
    assert_int_equal(w.on_disk, 0);
    assert_non_null(journal_error(w.journal));
    assert_false(journal_intend(w.journal, &next, SLICE_LIT("image")));
    journal_heal(w.journal, 5000);
    assert_non_null(journal_error(w.journal));
    sync_once(&w, loop); // who repeats it hears no better
    assert_int_equal(w.on_disk, 0);
    failing = false;
    journal_heal(w.journal, 5999); // once a second
    assert_non_null(journal_error(w.journal));
    journal_heal(w.journal, 6000);
    assert_null(journal_error(w.journal));
    assert_true(journal_intend(w.journal, &next, SLICE_LIT("image")));
    sync_once(&w, loop);
    assert_int_equal(w.on_disk, 1);
    world_fini(&w);
}

// The kernel drops what it could not write and calls it clean: a sync that succeeds
// later says nothing of it.
static void what_a_failed_sync_lost_is_written_again(void **state)
{
    uv_loop_t *loop = *state;
    struct world w = {0};
    struct stat st;
    char path[sizeof(dir) + 16];
    world_init(&w, loop);
    snprintf(path, sizeof(path), "%s/journal", dir);
    assert_int_equal(stat(path, &st), 0);
    write_one(w.journal, 70);
    failing = true;
    sync_once(&w, loop);
    failing = false;
    int fd = open(path, O_WRONLY);
    static const char zeros[64];
    assert_int_equal(pwrite(fd, zeros, sizeof(zeros), st.st_size), sizeof(zeros));
    close(fd);
    write_one(w.journal, 71);
    sync_once(&w, loop);
    assert_int_equal(w.on_disk, 1);
    world_fini(&w);
    world_init(&w, loop);
    size_t count = journal_count(w.journal);
    assert_int_equal(journal_at(w.journal, count - 2)->change, 70);
    assert_int_equal(journal_at(w.journal, count - 2)->state, JOURNAL_DONE);
    assert_int_equal(journal_at(w.journal, count - 1)->change, 71);
    world_fini(&w);
}

// The files are not exchanged under a sync: what it was told of is in the file that it had.
static void a_sync_that_fails_holds_up_the_next_file(void **state)
{
    enum { LARGE = 9 << 20 };
    struct world w = {0};
    struct buf large = {.len = 0}, image = {.len = 0};
    char path[sizeof(dir) + 16];
    world_init(&w, *state);
    size_t first = journal_count(w.journal);
    buf_reserve(&large, LARGE);
    memset(large.ptr, 'x', LARGE);
    large.len = LARGE;
    const struct journal_entry full = {.epoch = 7, .revision = 80, .change = 80, .previous = 71};
    assert_true(journal_sync_begin(w.journal) >= 0);
    assert_true(journal_intend(w.journal, &full, buf_slice(&large)));
    journal_settle(w.journal, 80, JOURNAL_DONE);
    write_one(w.journal, 81);
    snprintf(path, sizeof(path), "%s/journal.1", dir);
    assert_int_equal(access(path, F_OK), -1);
    assert_false(journal_sync_end(w.journal, EIO));
    write_one(w.journal, 82); // in the next one, when the last one is on disk
    assert_int_equal(access(path, F_OK), 0);
    world_fini(&w);
    world_init(&w, *state);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(journal_at(w.journal, first + i)->change, 80 + i);
        assert_int_equal(journal_at(w.journal, first + i)->state, JOURNAL_DONE);
    }
    assert_true(journal_image(w.journal, first, &image));
    assert_true(slice_equal(buf_slice(&image), buf_slice(&large)));
    world_fini(&w);
    buf_fini(&large);
    buf_fini(&image);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"journal", "journal.1", "lock"};
    char path[sizeof(dir) + 16];
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_who_wait_hear_once_and_share, loop_fixture_setup,
                                        loop_fixture_teardown),
        cmocka_unit_test_setup_teardown(while_the_disk_fails_nothing_more_is_written,
                                        loop_fixture_setup, loop_fixture_teardown),
        cmocka_unit_test_setup_teardown(what_a_failed_sync_lost_is_written_again,
                                        loop_fixture_setup, loop_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_sync_that_fails_holds_up_the_next_file,
                                        loop_fixture_setup, loop_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
