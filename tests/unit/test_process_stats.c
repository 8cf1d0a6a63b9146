// SPDX-License-Identifier: Apache-2.0
// Is a process stuck, or is it only not given a processor?
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "services/process_stats.h"
#include "tests/support/test.h"

enum { WAIT_MS = 30000 };

static pid_t child(bool spins)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    while (pid == 0)
        if (!spins)
            pause();
    return pid;
}

// Waits until it is seen to be runnable or not, with at least that much processor time.
static struct process_look await(pid_t pid, bool runnable, uint64_t cpu_ms)
{
    struct process_look look = {0};
    for (uint64_t end = clock_boot_ms() + WAIT_MS; clock_boot_ms() < end; usleep(2000)) {
        assert_true(process_look(pid, &look));
        if (look.runnable == runnable && look.cpu_ms >= cpu_ms)
            return look;
    }
    fail_msg("it is %srunnable and has had %u ms", look.runnable ? "" : "not ",
             (unsigned)look.cpu_ms);
    return look;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_who_spins_uses_what_it_gets(void **state)
{
    (void)state;
    pid_t pid = child(true);
    uint64_t before = clock_boot_ms();
    struct process_look first = await(pid, true, 0);
    struct process_look later = await(pid, true, first.cpu_ms + 100);
    // Not more than there was: the units are right. A clock's tick is a few milliseconds.
    assert_true(later.cpu_ms <= clock_boot_ms() - before + 20);
    // Stopped, it is not waiting for a processor.
    kill(pid, SIGSTOP);
    struct process_look stopped = await(pid, false, 0);
    usleep(50000);
    assert_true(await(pid, false, 0).cpu_ms == stopped.cpu_ms);
    end(pid);
}

static void test_who_sleeps_is_not_runnable(void **state)
{
    (void)state;
    pid_t pid = child(false);
    (void)await(pid, false, 0);
    end(pid);
    struct process_look look = {.cpu_ms = 7};
    assert_false(process_look(pid, &look));
    assert_int_equal(look.cpu_ms, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_spins_uses_what_it_gets),
        cmocka_unit_test(test_who_sleeps_is_not_runnable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
