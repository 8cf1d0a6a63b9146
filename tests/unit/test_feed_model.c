// SPDX-License-Identifier: Apache-2.0
// The feed through random histories; tests/support/feed_model.h says of what.
//
//   CM_FEED_HISTORIES  how many (60,000; with CM_TEST_LONG=1 2,000,000)
//   CM_FEED_FIRST      the first one, to split a long run among processors
//   CM_TEST_SEED       another set of them
//   CM_FEED_ONLY       this one alone, with its trace
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/feed_model.h"
#include "tests/support/test.h"

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t n = otherwise;
    if (text != NULL && !slice_parse_u64(slice_of(text), UINT64_MAX, &n))
        fail_msg("%s is no number: %s", name, text);
    return n;
}

static void say_where(int signal_number)
{
    (void)signal_number;
    fprintf(stderr, "died in seed %llu history %llu\n", (unsigned long long)sim.seed,
            (unsigned long long)sim.history);
}

static void run(uint64_t seed, uint64_t history, bool tracing)
{
    if (feed_model_run(seed, history, tracing))
        return;
    if (!tracing)
        (void)feed_model_run(seed, history, true);
    fail_msg("seed %llu history %llu: %s\nagain: CM_TEST_SEED=%llu CM_FEED_ONLY=%llu",
             (unsigned long long)seed, (unsigned long long)history, sim.why,
             (unsigned long long)seed, (unsigned long long)history);
}

static void histories(void **state)
{
    (void)state;
    uint64_t seed = number_from("CM_TEST_SEED", 1);
    uint64_t count =
        number_from("CM_FEED_HISTORIES", getenv("CM_TEST_LONG") != NULL ? 2000000 : 60000);
    uint64_t first = number_from("CM_FEED_FIRST", 0);
    feed_model_prepare();
    signal(SIGABRT, say_where);
    if (getenv("CM_FEED_ONLY") != NULL) {
        run(seed, number_from("CM_FEED_ONLY", 0), true);
        return;
    }
    for (uint64_t done = 0; done < count; done++)
        run(seed, first + done, false);
    printf("figure: %llu histories, %llu events: %llu bells, %llu gaps, %llu reloads, %llu "
           "aborted, %llu "
           "mismatches, %llu falls, %llu suspects, %llu starts from disk, %llu heads not believed, "
           "%llu stores accepted, %llu drafts, %llu dropped, %llu reads within a revision; keys "
           "passed %llu, refused %llu; 0 "
           "violations\n",
           (unsigned long long)count, (unsigned long long)sim.steps,
           (unsigned long long)sim.totals.bells, (unsigned long long)sim.totals.gaps,
           (unsigned long long)sim.totals.reloads, (unsigned long long)sim.totals.reload_aborts,
           (unsigned long long)sim.totals.digest_mismatches, (unsigned long long)sim.totals.falls,
           (unsigned long long)sim.totals.suspects, (unsigned long long)sim.restored,
           (unsigned long long)sim.distrusted, (unsigned long long)sim.accepted,
           (unsigned long long)sim.drafts, (unsigned long long)sim.drafts_dropped,
           (unsigned long long)sim.torn, (unsigned long long)sim.passed,
           (unsigned long long)sim.refused);
    if (count < 1000)
        return;
    // A world in which nothing happens proves nothing.
    assert_true(sim.totals.gaps > 0 && sim.totals.reload_aborts > 0);
    assert_true(sim.totals.falls > 0 && sim.totals.digest_mismatches > 0);
    assert_true(sim.drafts > 0 && sim.drafts_dropped > 0 && sim.torn > 0);
    assert_true(sim.restored > 0 && sim.distrusted > 0 && sim.accepted > 0);
    assert_true(sim.passed > count && sim.refused > count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
