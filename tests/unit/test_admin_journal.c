// SPDX-License-Identifier: Apache-2.0
// The journal on a real disk: what it says after it was closed, cut at every byte,
// flipped, rotated, shared. A full disk is a limit on the size of files, here; the C
// library's renameat is made to fail.
#include "admin/journal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/store/commit_image.h"
#include "tests/support/test.h"

static char dir[] = "/tmp/cm-journal-XXXXXX";
static char path[64];

static int failing_rename; // the so-many-th from now; 0 = none

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    int (*real)(int, const char *, int, const char *);
    *(void **)&real = dlsym(RTLD_NEXT, "renameat");
    if (failing_rename == 0 || --failing_rename > 0)
        return real(from_dir, from, to_dir, to);
    errno = EIO;
    return -1;
}

static void clean(void)
{
    static const char *const names[] = {"journal", "journal.1", "journal.new", "lock"};
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
    int fd = open(path, O_RDONLY);
    ssize_t size = read(fd, bytes, sizeof(bytes));
    close(fd);
    assert_true(size > 200);
    size_t least = 0;
    for (ssize_t cut = 1; cut <= size; cut++) {
        fd = open(path, O_WRONLY | O_TRUNC);
        assert_int_equal(write(fd, bytes, (size_t)cut), cut);
        close(fd);
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
}

// A flipped byte costs the write whose record it is in, and no other: the image of an
// intent that is damaged is gone, and a damaged "done" is known from the next one.
static void a_flipped_byte_costs_one_record(void **state)
{
    enum { WRITES = 4, MAGIC = 13 };
    char bytes[4096];
    struct buf image = {.len = 0}, why = {.len = 0};
    struct stat st;
    off_t ends[2 * WRITES + 1]; // of the intent and the outcome of each; [0] = of "S"
    (void)state;
    clean();
    struct journal *j = reopen(NULL);
    snprintf(path, sizeof(path), "%s/journal", dir);
    for (uint64_t i = 0; i <= 2 * WRITES; i++) {
        if (i % 2 == 1)
            write_one(j, i / 2 + 1, JOURNAL_INTENDED, SLICE_LIT("image"));
        else if (i > 0)
            journal_settle(j, 1000 + i / 2, JOURNAL_DONE);
        assert_int_equal(stat(path, &st), 0);
        ends[i] = st.st_size;
    }
    journal_close(j);
    int fd = open(path, O_RDWR);
    ssize_t size = read(fd, bytes, sizeof(bytes));
    for (ssize_t at = MAGIC; at < size; at++) {
        char flipped = (char)(bytes[at] ^ 0x20);
        uint64_t hit = 0; // the record
        while (at >= ends[hit])
            hit++;
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        for (int again = 0; again < 2; again++) { // it is written on, and read once more
            uint64_t lost = hit % 2 == 1 ? hit / 2 + 1 : 0, expected = 1;
            j = journal_open(dir, "store", &why);
            assert_non_null(j);
            assert_int_equal(journal_count(j), WRITES - (lost > 0) + again);
            for (size_t i = 0; i < journal_count(j); i++, expected++) {
                const struct journal_entry *e = journal_at(j, i);
                expected += expected == lost;
                bool last = hit == 2 * WRITES && expected == WRITES && again == 0;
                assert_int_equal(e->revision, expected);
                assert_int_equal(e->change, 1000 + expected);
                assert_int_equal(e->state, last ? JOURNAL_INTENDED : JOURNAL_DONE);
                assert_true(journal_image(j, i, &image));
                assert_slice(buf_slice(&image), "image");
            }
            if (again == 0)
                write_one(j, WRITES + 1, JOURNAL_DONE, SLICE_LIT("image"));
            journal_close(j);
        }
    }
    close(fd);
    buf_fini(&image);
    buf_fini(&why);
}

static void a_file_without_our_first_line_is_refused(void **state)
{
    (void)state;
    clean();
    struct journal *j = reopen(NULL);
    write_one(j, 1, JOURNAL_DONE, SLICE_LIT("image"));
    journal_close(j);
    snprintf(path, sizeof(path), "%s/journal", dir);
    int fd = open(path, O_RDWR);
    for (off_t at = 0; at < 13; at++) {
        char was, flipped;
        struct buf why = {.len = 0};
        assert_int_equal(pread(fd, &was, 1, at), 1);
        flipped = (char)(was ^ 0x20);
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        assert_null(journal_open(dir, "store", &why));
        assert_slice(buf_slice(&why), "journal is no journal of ours");
        assert_int_equal(pwrite(fd, &was, 1, at), 1);
        buf_fini(&why);
    }
    close(fd);
    j = reopen(NULL);
    assert_int_equal(journal_count(j), 1);
    journal_close(j);
}

// What the disk gives back otherwise while we run is not given out.
static void an_image_that_changed_is_not_read(void **state)
{
    struct buf image = {.len = 0};
    (void)state;
    clean();
    struct journal *j = reopen(NULL);
    write_one(j, 1, JOURNAL_DONE, SLICE_LIT("image"));
    snprintf(path, sizeof(path), "%s/journal", dir);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "I", 1, (off_t)journal_at(j, 0)->at), 1);
    close(fd);
    assert_false(journal_image(j, 0, &image));
    journal_close(j);
    buf_fini(&image);
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

// --- a disk that is full

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static uint64_t journal_bytes(void)
{
    struct stat st;
    snprintf(path, sizeof(path), "%s/journal", dir);
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static const struct journal_entry second = {
    .epoch = 7, .revision = 2, .change = 1002, .previous = 1001};

// However much of an intent finds room: none of it is left, and none is taken.
static void a_full_disk_takes_no_intent(void **state)
{
    (void)state;
    clean();
    struct journal *j = reopen(NULL);
    write_one(j, 1, JOURNAL_DONE, SLICE_LIT("image"));
    uint64_t size = journal_bytes();
    enum { INTENT = 5 + 32 + 5 + 16 };
    for (uint64_t room = 0; room < INTENT; room++) {
        limit_files(size + room);
        assert_false(journal_intend(j, &second, SLICE_LIT("image")));
        assert_non_null(journal_error(j));
        journal_heal(j, 1000 * (room + 1));
        assert_non_null(journal_error(j)); // not before there is room for what was refused
        limit_files(RLIM_INFINITY);
        assert_int_equal(journal_bytes(), size);
    }
    journal_heal(j, 1000000);
    assert_null(journal_error(j));
    assert_int_equal(journal_bytes(), size);
    write_one(j, 2, JOURNAL_DONE, SLICE_LIT("image"));
    j = reopen(j);
    assert_int_equal(journal_count(j), 2);
    assert_int_equal(journal_tip(j)->revision, 2);
    journal_close(j);
}

// The script has left when the disk becomes full: no sync says that its outcome is on
// disk before it is, and nothing is written before it.
static void an_outcome_that_finds_no_room_is_owed(void **state)
{
    const enum journal_state outcomes[] = {JOURNAL_DONE, JOURNAL_VOID};
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(outcomes); i++) {
        for (int heal = 0; heal < 2; heal++) {
            clean();
            struct journal *j = reopen(NULL);
            write_one(j, 1, JOURNAL_INTENDED, SLICE_LIT("image"));
            limit_files(journal_bytes() + 7);
            journal_settle(j, 1001, outcomes[i]);
            assert_int_equal(journal_at(j, 0)->state, outcomes[i]);
            assert_non_null(journal_error(j));
            assert_int_equal(journal_sync_begin(j), -1);
            assert_false(journal_intend(j, &second, SLICE_NONE));
            limit_files(RLIM_INFINITY);
            if (heal) { // nobody writes, and it is made good all the same
                journal_heal(j, 1000);
                assert_null(journal_error(j));
            } else {
                assert_true(journal_sync_begin(j) >= 0);
                assert_true(journal_sync_end(j, 0));
            }
            j = reopen(j);
            assert_int_equal(journal_count(j), 1);
            assert_int_equal(journal_at(j, 0)->state, outcomes[i]);
            journal_close(j);
        }
    }
}

// --- the next file

static void fill(struct journal *j, const struct buf *big, uint64_t from, uint64_t to)
{
    for (uint64_t r = from; r <= to; r++)
        write_one(j, r, JOURNAL_DONE, buf_slice(big));
}

static struct journal *begin_big(struct buf *big)
{
    struct head head = {.epoch = 7, .revision = 0, .change = 1000};
    clean();
    for (size_t i = 0; i < 1 << 20; i++)
        buf_append_char(big, 'x');
    struct journal *j = reopen(NULL);
    assert_true(journal_note(j, &head));
    fill(j, big, 1, 8); // it is full
    assert_true(journal_bytes() > 8 << 20);
    return j;
}

static void assert_writes(struct journal *j, uint64_t from, uint64_t to)
{
    assert_int_equal(journal_count(j), to - from + 1);
    for (uint64_t r = from; r <= to; r++) {
        struct buf image = {.len = 0};
        assert_int_equal(journal_at(j, r - from)->revision, r);
        assert_int_equal(journal_at(j, r - from)->state, JOURNAL_DONE);
        assert_true(journal_image(j, r - from, &image));
        buf_fini(&image);
    }
    assert_true(journal_position(j).epoch == 7 && journal_position(j).revision == to);
}

// No descriptor for the next file: the old one is written on, and the next one begun
// as soon as there is one.
static void without_descriptors_it_is_written_on(void **state)
{
    struct buf big = {.len = 0};
    struct rlimit limit, none;
    (void)state;
    struct journal *j = begin_big(&big);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    fill(j, &big, 9, 11);
    assert_null(journal_error(j));
    assert_true(journal_sync_begin(j) >= 0); // nor does a sync need one
    assert_true(journal_sync_end(j, 0));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(journal_bytes() > 11 << 20);
    fill(j, &big, 12, 13);
    assert_true(journal_bytes() < 4 << 20);
    j = reopen(j);
    assert_writes(j, 1, 13);
    journal_close(j);
    buf_fini(&big);
}

// The next file cannot take its name, whichever of the two steps fails. It can be started
// again in this state, and goes on when it is over.
static void a_name_that_cannot_be_had_loses_nothing(void **state)
{
    (void)state;
    for (int step = 1; step <= 2; step++) {
        for (int restart = 0; restart < 2; restart++) {
            struct buf big = {.len = 0};
            struct journal *j = begin_big(&big);
            failing_rename = step;
            fill(j, &big, 9, 9);
            assert_int_equal(failing_rename, 0);
            if (restart)
                j = reopen(j);
            fill(j, &big, 10, 12);
            assert_true(journal_bytes() < 5 << 20); // of the next one
            j = reopen(j);
            assert_writes(j, 1, 12);
            journal_close(j);
            buf_fini(&big);
        }
    }
}

// A crash between the two steps, and one in the middle of the first.
static void a_crash_while_the_next_file_is_begun_loses_nothing(void **state)
{
    char other[64];
    (void)state;
    for (int renamed = 0; renamed < 2; renamed++) {
        struct buf big = {.len = 0};
        struct journal *j = begin_big(&big);
        journal_close(j);
        snprintf(other, sizeof(other), "%s/journal.new", dir);
        int fd = open(other, O_CREAT | O_WRONLY, 0600);
        assert_int_equal(write(fd, "cm-jour", 7), 7);
        close(fd);
        snprintf(path, sizeof(path), "%s/journal", dir);
        snprintf(other, sizeof(other), "%s/journal.1", dir);
        assert_true(!renamed || rename(path, other) == 0);
        j = reopen(NULL);
        assert_writes(j, 1, 8);
        fill(j, &big, 9, 10);
        j = reopen(j);
        assert_writes(j, 1, 10);
        journal_close(j);
        buf_fini(&big);
    }
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
        cmocka_unit_test(a_flipped_byte_costs_one_record),
        cmocka_unit_test(a_file_without_our_first_line_is_refused),
        cmocka_unit_test(an_image_that_changed_is_not_read),
        cmocka_unit_test(it_keeps_the_newest_writes),
        cmocka_unit_test(a_full_disk_takes_no_intent),
        cmocka_unit_test(an_outcome_that_finds_no_room_is_owed),
        cmocka_unit_test(without_descriptors_it_is_written_on),
        cmocka_unit_test(a_name_that_cannot_be_had_loses_nothing),
        cmocka_unit_test(a_crash_while_the_next_file_is_begun_loses_nothing),
        cmocka_unit_test(two_processes_never_share_it),
        cmocka_unit_test(the_journal_of_another_store_is_refused),
        cmocka_unit_test(a_directory_that_others_may_write_to_is_refused),
    };
    assert_non_null(mkdtemp(dir));
    signal(SIGXFSZ, SIG_IGN);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    clean();
    rmdir(dir);
    return failed;
}
