// SPDX-License-Identifier: Apache-2.0
// The state directory against what happens to disks and processes: any byte of any
// file may flip, and the writer may be killed at any moment.
//
//   CM_TEST_LONG=1 for the full counts, CM_TEST_SEED for other bytes and moments.
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/state_dir.h"
#include "tests/support/kept_world.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"

static uint64_t random_state;

static uint32_t below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 32) * n >> 32);
}

static bool is_long(void)
{
    return getenv("CM_TEST_LONG") != NULL;
}

static int start(void **state)
{
    const char *seed = getenv("CM_TEST_SEED");
    random_state = seed != NULL ? strtoull(seed, NULL, 0) | 1 : 0x5eed;
    log_set_level(LOG_LEVEL_ERROR);
    return temp_dir_setup(state);
}

static const struct key_entry *entry_of(unsigned n)
{
    struct secret_digest d = kept_digest(n);
    return key_cache_find(kept.cache, &d, clock_boot_ms());
}

// Key n was refused (odd) or read (even) at that revision.
static void use_keys(uint64_t revision)
{
    for (unsigned n = 0; n < 20; n++) {
        struct secret_digest d = kept_digest(n);
        if (n % 2 == 0)
            kept_read_key(&d, "active", revision);
        else
            key_cache_deny(kept.cache, &d, revision);
    }
}

static void live_once(uint64_t revision)
{
    kept_open(0, KEPT_STORE, NULL);
    kept_live(revision, 30, (int)revision);
    use_keys(revision);
    kept_close();
}

// -- flipped bytes ----------------------------------------------------------

static const char *const files[] = {"catalog", "catalog.1", "keys-0"};

static void read_files(struct buf bytes[3])
{
    struct state_dir d;
    assert_int_equal(state_dir_open(&d, temp_dir), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(state_dir_read(&d, files[i], 1 << 24, &bytes[i]), 0);
    state_dir_close(&d);
}

static void write_file(const char *name, struct slice bytes)
{
    int fd = open(temp_path(name), O_WRONLY | O_TRUNC | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(state_dir_write(fd, bytes), 0);
    close(fd);
}

static void put_back(const struct buf bytes[3])
{
    for (int i = 0; i < 3; i++) {
        char former[64];
        snprintf(former, sizeof(former), "%s.1", files[i]);
        unlink(temp_path(former));
    }
    for (int i = 0; i < 3; i++)
        write_file(files[i], buf_slice(&bytes[i]));
}

// What was loaded is of one generation, and nothing that was refused may pass.
static void expect_sound(uint64_t newest, int damaged, unsigned *fallbacks)
{
    uint64_t revision = feed_position(kept.feed).revision;
    assert_int_equal(feed_state(kept.feed), FEED_AWAY);
    assert_true(revision == newest || (damaged == 0 && revision == newest - 1));
    *fallbacks += revision != newest;
    for (unsigned n = 0; n < 30; n++)
        assert_int_equal(kept_created(n), (int64_t)revision);
    for (unsigned n = 1; n < 20; n += 2) {
        const struct key_entry *e = entry_of(n);
        assert_true(e == NULL || e->kind == KEY_ENTRY_DENIED);
        assert_true(damaged == 2 || e != NULL);
    }
}

static void any_byte_may_flip(void **state)
{
    (void)state;
    unsigned count = is_long() ? 1000 : 200, fallbacks = 0, refused = 0;
    struct buf bytes[3] = {{.ptr = NULL}};
    live_once(5);
    live_once(6);
    read_files(bytes);
    for (unsigned i = 0; i < count; i++) {
        int file = (int)below(3);
        size_t at = below((uint32_t)bytes[file].len);
        char flip = (char)(1 << below(8));
        bytes[file].ptr[at] ^= flip;
        put_back(bytes);
        bytes[file].ptr[at] ^= flip;
        log_capture_start();
        kept_open(0, KEPT_STORE, NULL);
        refused += log_capture_stop("state_file_refused") > 0;
        expect_sound(6, file, &fallbacks);
        kept_close();
    }
    for (int i = 0; i < 3; i++)
        buf_fini(&bytes[i]);
    assert_true(refused > 0 && fallbacks > 0);
    printf(
        "figure: %u flipped bytes: %u files refused, %u times the older catalog, the rest whole\n",
        count, refused, fallbacks);
}

// -- kills ------------------------------------------------------------------

// Goes on from what it finds, and says by the pipe what it has kept for certain.
static void write_for_ever(int tell)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    kept_open(0, KEPT_STORE, NULL);
    uint64_t revision = feed_position(kept.feed).revision;
    for (;;) {
        revision++;
        kept_live(revision, 30, (int)revision);
        use_keys(revision);
        kept_close();
        if (write(tell, &revision, sizeof(revision)) != sizeof(revision))
            _exit(1);
        kept_open(0, KEPT_STORE, NULL);
    }
}

struct writer {
    pid_t pid;
    int says;
};

static struct writer start_writer(void)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        close(pipe_fds[0]);
        write_for_ever(pipe_fds[1]);
    }
    close(pipe_fds[1]);
    return (struct writer){child, pipe_fds[0]};
}

// Returns the last revision that it said, or the given one.
static uint64_t kill_writer(struct writer w, uint64_t kept_revision)
{
    uint64_t revision;
    kill(w.pid, SIGKILL);
    assert_int_equal(waitpid(w.pid, NULL, 0), w.pid);
    while (read(w.says, &revision, sizeof(revision)) == sizeof(revision))
        kept_revision = revision;
    close(w.says);
    return kept_revision;
}

static uint64_t kill_one(uint32_t after_us, uint64_t kept_revision)
{
    struct writer w = start_writer();
    usleep(after_us);
    return kill_writer(w, kept_revision);
}

// The first revision takes so long on this machine and its disk.
static uint32_t time_one(uint64_t *kept_revision)
{
    uint64_t start_us = clock_boot_us();
    struct writer w = start_writer();
    assert_int_equal(read(w.says, kept_revision, sizeof(*kept_revision)), sizeof(*kept_revision));
    uint64_t took_us = clock_boot_us() - start_us;
    *kept_revision = kill_writer(w, *kept_revision);
    return (uint32_t)(took_us < 1000000 ? took_us : 1000000);
}

static void the_writer_may_be_killed_at_any_moment(void **state)
{
    (void)state;
    unsigned count = is_long() ? 200 : 60;
    uint64_t said = 0, certain = 0, found = 0;
    unsigned ahead = 0;
    uint32_t longest_us = 40000 + 2 * time_one(&said);
    for (unsigned i = 0; i < count; i++) {
        said = kill_one(500 + below(longest_us), said);
        certain = said > certain ? said : certain;
        log_capture_start();
        kept_open(0, KEPT_STORE, NULL);
        assert_int_equal(log_capture_stop("state_file_refused"), 0);
        found = feed_position(kept.feed).revision;
        assert_true(found >= certain);
        ahead += found > certain;
        for (unsigned n = 0; n < 30 && found > 0; n++)
            assert_int_equal(kept_created(n), (int64_t)found);
        for (unsigned n = 1; n < 20 && said > 0; n += 2) {
            assert_int_equal(entry_of(n)->kind, KEY_ENTRY_DENIED);
            assert_true(entry_of(n)->deny_revision >= said);
        }
        certain = found; // of its refusals only what was said is
        kept_close();
    }
    assert_true(certain > 0);
    printf("figure: %u kills while writing: whole each time, %" PRIu64
           " revisions kept, none lost; %u times it was further than it had said\n",
           count, certain, ahead);
}

#define CASE(function_) cmocka_unit_test_setup_teardown(function_, start, temp_dir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(any_byte_may_flip),
        CASE(the_writer_may_be_killed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
