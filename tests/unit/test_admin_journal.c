// SPDX-License-Identifier: Apache-2.0
// The journal on a real disk: what it says after it was closed, cut at every byte,
// flipped, rotated, shared.
#include "admin/journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/store/commit_image.h"
#include "tests/support/test.h"

static char dir[] = "/tmp/cm-journal-XXXXXX";
static char path[64];

static void clean(void)
{
    static const char *const names[] = {"journal", "journal.1", "lock"};
    for (size_t i = 0; i < CM_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
}

static struct journal *reopen(struct journal *j)
{
    struct buf why = {.len = 0};
    journal_close(j);
    j = journal_open(dir, "store", &why);
    assert_non_null(j);
    buf_fini(&why);
    return j;
}

static void write_one(struct journal *j, uint64_t revision, enum journal_state state,
                      struct slice image)
{
    struct journal_entry e = {
        .epoch = 7, .revision = revision, .change = 1000 + revision, .previous = 999 + revision};
    assert_true(journal_intend(j, &e, image));
    if (state != JOURNAL_INTENDED)
        journal_settle(j, e.change, state);
}

static void what_was_written_is_there_after_a_restart(void **state)
{
    struct head head = {
        .epoch = 7, .revision = 2, .change = 1002, .parent_count = 1, .parents = {5}};
    struct buf image = {.len = 0};
    (void)state;
    clean();
    struct journal *j = reopen(NULL);
    assert_true(journal_is_empty(j));
    assert_null(journal_tip(j));
    assert_true(journal_note(j, &head));
    write_one(j, 3, JOURNAL_DONE, SLICE_LIT("three"));
    write_one(j, 4, JOURNAL_VOID, SLICE_LIT("four"));
    write_one(j, 5, JOURNAL_INTENDED, SLICE_LIT("five"));
    j = reopen(j);
    assert_false(journal_is_empty(j));
    assert_int_equal(journal_count(j), 3);
    assert_int_equal(journal_tip(j)->revision, 3);
    assert_int_equal(journal_at(j, 1)->state, JOURNAL_VOID);
    assert_int_equal(journal_at(j, 2)->state, JOURNAL_INTENDED);
    assert_int_equal(journal_highest(j), 5);
    struct head position = journal_position(j);
    assert_true(position.epoch == 7 && position.revision == 3 && position.change == 1003);
    assert_true(position.parent_count == 1 && position.parents[0] == 5);
    assert_true(journal_image(j, 0, &image));
    assert_slice(buf_slice(&image), "three");
    buf_fini(&image);
    journal_close(j);
    struct stat st;
    snprintf(path, sizeof(path), "%s/journal", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

// Cut anywhere, the whole writes before the cut are there, and it can be written on.
static void a_cut_tail_costs_the_cut_write_only(void **state)
{
    char bytes[4096];
    (void)state;
    clean();
    struct journal *j = reopen(NULL);
    for (uint64_t r = 1; r <= 4; r++)
        write_one(j, r, JOURNAL_DONE, SLICE_LIT("image"));
    journal_close(j);
    snprintf(path, sizeof(path), "%s/journal", dir);
    int fd = open(path, O_RDWR);
    ssize_t size = read(fd, bytes, sizeof(bytes));
    assert_true(size > 200);
    size_t least = 0;
    for (ssize_t cut = 1; cut <= size; cut++) {
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, bytes, (size_t)cut, 0), cut);
        j = reopen(NULL);
        size_t count = journal_count(j);
        assert_true(count >= least && count <= 4); // a longer file never says less
        least = count;
        write_one(j, 9, JOURNAL_DONE, SLICE_LIT("on"));
        j = reopen(j);
        assert_int_equal(journal_count(j), count + 1);
        assert_int_equal(journal_tip(j)->revision, 9);
        journal_close(j);
    }
    assert_int_equal(least, 4);
    close(fd);
}

// A flipped byte never gives a write that was not made.
static void a_flipped_byte_is_seen(void **state)
{
    char bytes[4096];
    struct buf image = {.len = 0}, why = {.len = 0};
    (void)state;
    clean();
    struct journal *j = reopen(NULL);
    for (uint64_t r = 1; r <= 3; r++)
        write_one(j, r, JOURNAL_DONE, SLICE_LIT("image"));
    journal_close(j);
    snprintf(path, sizeof(path), "%s/journal", dir);
    int fd = open(path, O_RDWR);
    ssize_t size = read(fd, bytes, sizeof(bytes));
    for (ssize_t at = 0; at < size; at++) {
        char flipped = (char)(bytes[at] ^ 0x20);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        buf_clear(&why);
        j = journal_open(dir, "store", &why);
        if (j == NULL) { // no journal of ours
            assert_true(at < 13);
            continue;
        }
        for (size_t i = 0; i < journal_count(j); i++) {
            assert_int_equal(journal_at(j, i)->change, 1000 + journal_at(j, i)->revision);
            assert_true(journal_image(j, i, &image));
            assert_slice(buf_slice(&image), "image");
        }
        journal_close(j);
    }
    close(fd);
    buf_fini(&image);
    buf_fini(&why);
}

static void it_keeps_the_newest_writes(void **state)
{
    struct buf big = {.len = 0}, image = {.len = 0};
    struct head head = {.epoch = 7, .revision = 0, .change = 1000};
    (void)state;
    clean();
    struct journal *j = reopen(NULL);
    assert_true(journal_note(j, &head));
    for (size_t i = 0; i < 1 << 20; i++)
        buf_append_char(&big, 'x');
    for (uint64_t r = 1; r <= 40; r++)
        write_one(j, r, JOURNAL_DONE, buf_slice(&big));
    for (int again = 0; again < 2; again++) {
        size_t count = journal_count(j);
        assert_in_range(count, 9, 19);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(journal_at(j, i)->revision, 40 - count + 1 + i);
            assert_int_equal(journal_at(j, i)->state, JOURNAL_DONE);
            assert_true(journal_image(j, i, &image));
            assert_true(slice_equal(buf_slice(&image), buf_slice(&big)));
        }
        assert_true(journal_position(j).epoch == 7 && journal_position(j).revision == 40);
        j = reopen(j);
    }
    journal_close(j);
    buf_fini(&big);
    buf_fini(&image);
}

static void two_processes_never_share_it(void **state)
{
    struct buf why = {.len = 0};
    (void)state;
    clean();
    struct journal *j = reopen(NULL);
    assert_null(journal_open(dir, "store", &why));
    assert_true(slice_contains_nocase(buf_slice(&why), SLICE_LIT("another process")));
    journal_close(j);
    buf_fini(&why);
}

static bool is_refused(const char *where, const char *store, const char *reason)
{
    struct buf why = {.len = 0};
    struct journal *j = journal_open(where, store, &why);
    bool refused = j == NULL && slice_contains_nocase(buf_slice(&why), slice_of(reason));
    if (!refused)
        print_error("%s: %.*s\n", where, SLICE_FMT(buf_slice(&why)));
    journal_close(j);
    buf_fini(&why);
    return refused;
}

// It would be held against a store that it says nothing about.
static void the_journal_of_another_store_is_refused(void **state)
{
    struct buf big = {.len = 0};
    (void)state;
    clean();
    struct journal *j = reopen(NULL);
    write_one(j, 1, JOURNAL_DONE, SLICE_LIT("one"));
    journal_close(j);
    assert_true(is_refused(dir, "other", "another prefix or database"));
    j = reopen(NULL);
    assert_int_equal(journal_count(j), 1);
    for (size_t i = 0; i < 9 << 20; i++)
        buf_append_char(&big, 'x');
    for (uint64_t r = 2; r <= 4; r++) // the file that named it first is gone
        write_one(j, r, JOURNAL_DONE, buf_slice(&big));
    journal_close(j);
    assert_true(is_refused(dir, "other", "another prefix or database"));
    journal_close(reopen(NULL));
    buf_fini(&big);
}

static void a_directory_that_others_may_write_to_is_refused(void **state)
{
    char link[64];
    (void)state;
    clean();
    journal_close(reopen(NULL));
    assert_int_equal(chmod(dir, 0777), 0);
    assert_true(is_refused(dir, "store", "no other user may write to it"));
    assert_int_equal(chmod(dir, 0700), 0);
    snprintf(link, sizeof(link), "%s-link", dir);
    assert_int_equal(symlink(dir, link), 0);
    assert_true(is_refused(link, "store", "no directory"));
    assert_int_equal(unlink(link), 0);
    snprintf(path, sizeof(path), "%s/journal", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_true(is_refused(dir, "store", ""));
    clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_there_after_a_restart),
        cmocka_unit_test(a_cut_tail_costs_the_cut_write_only),
        cmocka_unit_test(a_flipped_byte_is_seen),
        cmocka_unit_test(it_keeps_the_newest_writes),
        cmocka_unit_test(two_processes_never_share_it),
        cmocka_unit_test(the_journal_of_another_store_is_refused),
        cmocka_unit_test(a_directory_that_others_may_write_to_is_refused),
    };
    assert_non_null(mkdtemp(dir));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    clean();
    rmdir(dir);
    return failed;
}
