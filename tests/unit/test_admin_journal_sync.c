// SPDX-License-Identifier: Apache-2.0
// Syncs on a real disk and a real loop: each waiter hears once, in a later turn, and
// those who come during a sync share the next one. The C library's fdatasync is
// counted, and made to fail.
#include "admin/journal_sync.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
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
static atomic_bool failing, failing_aside; // all of them; those on other threads
static pthread_t loop_thread;

int fdatasync(int fd)
{
    int (*real)(int);
    *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    syncs++;
    if (!failing && (!failing_aside || pthread_equal(pthread_self(), loop_thread)))
        return real(fd);
    errno = EIO;
    return -1;
}

struct world {
    struct journal *journal;
    struct journal_sync *sync;
    size_t heard, more;
};

static void on_synced(void *ctx)
{
    struct world *w = ctx;
    w->heard++;
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
    // The first waiter's, that of all others, and those of the ten who came again:
    // one in the first one's call, the rest together or one by one.
    assert_in_range(syncs - before, 2, 2 + 10);
    world_fini(&w);
}

static void while_the_disk_fails_nothing_more_is_written(void **state)
{
    uv_loop_t *loop = *state;
    struct world w = {0};
    const struct journal_entry next = {.epoch = 7, .revision = 61, .change = 61, .previous = 60};
    world_init(&w, loop);
    write_one(w.journal, 60);
    failing = true;
    journal_sync_wait(w.sync, on_synced, &w);
    assert_true(loop_try_count(loop, &w.heard, 1, 10000));
    assert_false(journal_intend(w.journal, &next, SLICE_LIT("image")));
    failing = false;
    assert_true(journal_intend(w.journal, &next, SLICE_LIT("image")));
    world_fini(&w);
}

static ino_t inode_of(const char *name)
{
    char path[sizeof(dir) + 16];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

// The sync that fails is of a file that is the one before by then: that the new one
// can be synced proves nothing for it.
static void a_sync_that_fails_behind_a_rotation_counts(void **state)
{
    enum { LARGE = 9 << 20 };
    uv_loop_t *loop = *state;
    struct world w = {0};
    struct buf large = {.len = 0}, image = {.len = 0};
    world_init(&w, loop);
    buf_reserve(&large, LARGE);
    memset(large.ptr, 'x', LARGE);
    large.len = LARGE;
    const struct journal_entry full = {.epoch = 7, .revision = 70, .change = 70, .previous = 61};
    assert_true(journal_intend(w.journal, &full, buf_slice(&large)));
    journal_settle(w.journal, 70, JOURNAL_DONE);
    failing_aside = true;
    int fd = journal_sync_begin(w.journal); // as the sync that runs has it
    assert_true(fd >= 0);
    write_one(w.journal, 71); // in a new file
    close(fd);
    journal_sync_wait(w.sync, on_synced, &w);
    assert_true(loop_try_count(loop, &w.heard, 1, 10000));
    failing_aside = false;
    ino_t before = inode_of("journal.1"), current = inode_of("journal");
    write_one(w.journal, 72);
    assert_true(inode_of("journal.1") != before && inode_of("journal") != current);
    world_fini(&w);
    world_init(&w, loop);
    size_t last = journal_count(w.journal) - 1;
    assert_int_equal(journal_at(w.journal, last)->change, 72);
    assert_int_equal(journal_at(w.journal, last - 2)->change, 70);
    assert_true(journal_image(w.journal, last - 2, &image));
    assert_true(slice_equal(buf_slice(&image), buf_slice(&large)));
    world_fini(&w);
    buf_fini(&large);
    buf_fini(&image);
}

static int make_dir(void **state)
{
    (void)state;
    loop_thread = pthread_self();
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    char path[sizeof(dir) + 16];
    (void)state;
    static const char *const names[] = {"journal", "journal.1", "lock"};
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
        cmocka_unit_test_setup_teardown(a_sync_that_fails_behind_a_rotation_counts,
                                        loop_fixture_setup, loop_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
