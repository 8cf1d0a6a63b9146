// SPDX-License-Identifier: Apache-2.0
#include "services/turns.h"

#include "common/base/clock.h"
#include "services/metrics_table.h"
#include "tests/support/test.h"

static void burn(uint64_t us)
{
    for (uint64_t from = clock_thread_us(); clock_thread_us() - from < us;)
        continue;
}

static uint64_t count(const metric_value *values)
{
    uint64_t sum = 0;
    for (size_t row = METRIC_TURNS; row <= METRIC_TURNS_END; row++)
        sum += metric_get(values, row);
    return sum;
}

static void turns_are_counted_by_their_length(void **state)
{
    (void)state;
    metric_value values[METRIC_ROWS] = {0};
    struct turns t = {.values = values};
    burn(3000);
    turns_note(&t); // what came before is nobody's
    assert_int_equal(count(values), 0);
    burn(3000);
    turns_note(&t);
    assert_int_equal(metric_get(values, METRIC_TURNS + 3), 1);
    burn(11000);
    turns_note(&t);
    assert_int_equal(metric_get(values, METRIC_TURNS_END), 1);
    for (int i = 0; i < 100; i++)
        turns_note(&t);
    assert_int_equal(count(values), 102);
    assert_true(metric_get(values, METRIC_TURNS) > 0);
    assert_in_range(metric_get(values, METRIC_TURN_LONGEST), 11000, 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(turns_are_counted_by_their_length)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
