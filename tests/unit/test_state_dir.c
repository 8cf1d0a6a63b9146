// SPDX-License-Identifier: Apache-2.0
#include "common/base/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

static struct state_dir dir;

static int start(void **state)
{
    temp_dir_setup(state);
    return state_dir_open(&dir, temp_dir);
}

static int stop(void **state)
{
    state_dir_close(&dir);
    return temp_dir_teardown(state);
}

static void expect_file(const char *name, const char *text)
{
    struct buf bytes = {.ptr = NULL};
    assert_int_equal(state_dir_read(&dir, name, 100, &bytes), 0);
    assert_string_equal(buf_cstr(&bytes), text);
    buf_fini(&bytes);
}

static void replacing_keeps_the_former_generation(void **state)
{
    (void)state;
    struct buf none = {.ptr = NULL};
    struct stat st;
    assert_int_equal(state_dir_read(&dir, "a", 100, &none), -ENOENT);
    assert_int_equal(state_dir_replace(&dir, "a", SLICE_LIT("one")), 0);
    expect_file("a", "one");
    assert_int_equal(state_dir_read(&dir, "a.1", 100, &none), -ENOENT);
    assert_int_equal(state_dir_replace(&dir, "a", SLICE_LIT("two")), 0);
    assert_int_equal(state_dir_replace(&dir, "a", SLICE_LIT("three")), 0);
    expect_file("a", "three");
    expect_file("a.1", "two");
    assert_int_equal(stat(temp_path("a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_not_equal(access(temp_path("a.new"), F_OK), 0);
    buf_fini(&none);
}

static void too_large_is_not_read(void **state)
{
    (void)state;
    struct buf bytes = {.ptr = NULL};
    assert_int_equal(state_dir_replace(&dir, "a", SLICE_LIT("12345")), 0);
    assert_int_equal(state_dir_read(&dir, "a", 4, &bytes), -EFBIG);
    buf_fini(&bytes);
}

// Whoever may write beside us must not make us read or write elsewhere.
static void links_and_devices_are_not_followed(void **state)
{
    (void)state;
    struct buf bytes = {.ptr = NULL};
    assert_int_equal(state_dir_replace(&dir, "victim", SLICE_LIT("precious")), 0);
    assert_int_equal(symlink("victim", temp_path("a")), 0);
    assert_int_equal(symlink("victim", temp_path("b.new")), 0);
    assert_int_equal(mkfifo(temp_path("fifo"), 0600), 0);
    assert_int_equal(state_dir_read(&dir, "a", 100, &bytes), -ELOOP);
    assert_int_equal(state_dir_read(&dir, "fifo", 100, &bytes), -EPERM);
    assert_int_equal(state_dir_append_to(&dir, "a", false), -ELOOP);
    assert_int_equal(state_dir_replace(&dir, "b", SLICE_LIT("x")), -ELOOP);
    assert_int_equal(state_dir_lock(&dir, "a"), -ELOOP);
    expect_file("victim", "precious");
    buf_fini(&bytes);
}

static void only_a_directory_of_our_own_will_do(void **state)
{
    (void)state;
    struct state_dir other;
    assert_int_equal(state_dir_replace(&dir, "file", SLICE_LIT("x")), 0);
    assert_int_equal(state_dir_open(&other, temp_path("file")), -ELOOP);
    assert_int_equal(state_dir_open(&other, temp_path("no/such")), -ENOENT);
    assert_int_equal(symlink(temp_dir, temp_path("link")), 0);
    assert_int_equal(state_dir_open(&other, temp_path("link")), -ELOOP);
    assert_int_equal(mkdir(temp_path("open"), 0777), 0);
    assert_int_equal(chmod(temp_path("open"), 0777), 0);
    assert_int_equal(state_dir_open(&other, temp_path("open")), -EPERM);
    assert_int_equal(other.fd, -1);
    assert_int_equal(state_dir_open(&other, temp_path("new")), 0);
    struct stat st;
    assert_int_equal(fstat(other.fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    state_dir_close(&other);
}

static void one_process_has_a_lock(void **state)
{
    (void)state;
    int first = state_dir_lock(&dir, "lock");
    assert_true(first >= 0);
    assert_int_equal(state_dir_lock(&dir, "lock"), -EWOULDBLOCK);
    close(first);
    int second = state_dir_lock(&dir, "lock");
    assert_true(second >= 0);
    close(second);
}

static void appending_and_cutting(void **state)
{
    (void)state;
    int fd = state_dir_append_to(&dir, "log", false);
    assert_int_equal(state_dir_write(fd, SLICE_LIT("one\ntw")), 0);
    assert_int_equal(state_dir_cut(&dir, "log", 4), 0);
    assert_int_equal(state_dir_write(fd, SLICE_LIT("three\n")), 0);
    close(fd);
    expect_file("log", "one\nthree\n");
    fd = state_dir_append_to(&dir, "log", true);
    close(fd);
    expect_file("log", "");
    assert_int_equal(state_dir_cut(&dir, "none", 0), -ENOENT);
    assert_int_equal(state_dir_edit(&dir, "none", false), -ENOENT);
}

static void a_full_disk_leaves_what_was_there(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY);
    assert_int_equal(state_dir_write(full, SLICE_LIT("x")), -ENOSPC);
    close(full);
    assert_int_equal(state_dir_replace(&dir, "a", SLICE_LIT("one")), 0);
    assert_int_equal(mkdir(temp_path("a.new"), 0700), 0); // it cannot be written aside
    assert_true(state_dir_replace(&dir, "a", SLICE_LIT("two")) < 0);
    expect_file("a", "one");
}

static void count_name(void *ctx, const char *name)
{
    *(int *)ctx += strcmp(name, "keys-1") == 0 ? 1 : 10;
}

static void files_are_listed_by_their_start(void **state)
{
    (void)state;
    int sum = 0;
    assert_int_equal(state_dir_replace(&dir, "keys-1", SLICE_LIT("x")), 0);
    assert_int_equal(state_dir_replace(&dir, "keys-22", SLICE_LIT("x")), 0);
    assert_int_equal(state_dir_replace(&dir, "other", SLICE_LIT("x")), 0);
    state_dir_list(&dir, "keys-", count_name, &sum);
    assert_int_equal(sum, 11);
}

#define CASE(function_) cmocka_unit_test_setup_teardown(function_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(replacing_keeps_the_former_generation),
        CASE(too_large_is_not_read),
        CASE(links_and_devices_are_not_followed),
        CASE(only_a_directory_of_our_own_will_do),
        CASE(one_process_has_a_lock),
        CASE(appending_and_cutting),
        CASE(a_full_disk_leaves_what_was_there),
        CASE(files_are_listed_by_their_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
