// SPDX-License-Identifier: Apache-2.0
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "tests/support/test.h"

static void known_dates(void **state)
{
    (void)state;
    char text[CLOCK_RFC3339_MAX];
    clock_format_rfc3339(1716239400, "+00:00", text);
    assert_string_equal(text, "2024-05-20T21:10:00+00:00");
    clock_format_rfc3339(253402300799, "Z", text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
}

// gmtime_r is the oracle, over days that include every kind of leap year.
static void agrees_with_libc_and_round_trips(void **state)
{
    (void)state;
    for (int64_t t = -2208988800; t < 253402300799; t += 86400 * 37 + 12345) {
        char ours[CLOCK_RFC3339_MAX], theirs[CLOCK_RFC3339_MAX];
        time_t when = (time_t)t;
        struct tm parts;
        int64_t back = 0;
        clock_format_rfc3339(t, "Z", ours);
        gmtime_r(&when, &parts);
        strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%SZ", &parts);
        assert_string_equal(ours, theirs);
        assert_true(clock_parse_rfc3339(ours, strlen(ours), &back));
        assert_true(back == t);
    }
}

static void parse_is_strict(void **state)
{
    static const char *const bad[] = {"",
                                      "2024-05-20",
                                      "2024-05-20T21:10:00",
                                      "2024-02-30T00:00:00Z",
                                      "2023-02-29T00:00:00Z",
                                      "2024-13-01T00:00:00Z",
                                      "2024-05-20T24:00:00Z",
                                      "2024-05-20T21:10:00.Z",
                                      "2024-05-20T21:10:00+25:00",
                                      "2024-05-20T21:10:00Zx",
                                      "2024-05-20 21:10:00Z"};
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++) {
        int64_t t = 5;
        assert_false(clock_parse_rfc3339(bad[i], strlen(bad[i]), &t));
        assert_true(t == 5);
    }
    int64_t t;
    const char *text = "2024-05-20t23:10:00.25+02:00";
    assert_true(clock_parse_rfc3339(text, strlen(text), &t));
    assert_true(t == 1716239400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_dates),
        cmocka_unit_test(agrees_with_libc_and_round_trips),
        cmocka_unit_test(parse_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
