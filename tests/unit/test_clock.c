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

static void a_stamp_of_this_boot_is_exact(void **state)
{
    (void)state;
    struct clock_stamp s;
    uint64_t now = clock_boot_ms();
    clock_stamp_make(&s, now - 5000);
    assert_in_range(clock_wall_ms() - s.wall_ms, 5000, 6000 + (clock_boot_ms() - now));
    assert_int_equal(clock_stamp_read(&s, INT64_MAX), now - 5000); // whatever the wall says
    s.wall_ms += 3600 * 1000;
    assert_int_equal(clock_stamp_read(&s, 0), now - 5000);
    s.boot_ms = now + 3600 * 1000; // not of this machine after all
    assert_int_equal(clock_stamp_read(&s, 0), 0);
}

static void a_stamp_of_another_boot_goes_by_the_wall(void **state)
{
    (void)state;
    struct timespec up;
    clock_gettime(CLOCK_BOOTTIME, &up);
    uint64_t up_ms = (uint64_t)up.tv_sec * 1000, start = clock_boot_ms();
    int64_t wall = clock_wall_ms(), long_ago = (int64_t)up_ms + 3600 * 1000;
    struct clock_stamp s = {.boot_id = "another", .boot_ms = 1, .wall_ms = wall - long_ago};
    uint64_t read = clock_stamp_read(&s, wall);
    assert_in_range(clock_boot_ms() - read, (uint64_t)long_ago,
                    (uint64_t)long_ago + 2000 + (clock_boot_ms() - start));
    s.wall_ms = wall - 10; // at least as old as this boot
    read = clock_stamp_read(&s, wall);
    assert_in_range(clock_boot_ms() - read, up_ms, up_ms + 3000 + (clock_boot_ms() - start));
}

// A lease must not grow because somebody set the clock.
static void a_wall_that_was_set_back_proves_nothing(void **state)
{
    (void)state;
    int64_t wall = clock_wall_ms();
    struct clock_stamp s = {.boot_id = "another", .boot_ms = 1, .wall_ms = wall + 5000};
    assert_int_equal(clock_stamp_read(&s, 0), 0);
    s.wall_ms = wall - 1000;
    assert_int_equal(clock_stamp_read(&s, wall + 5000), 0); // somebody has seen a later time
    s = (struct clock_stamp){.boot_id = ""};                // a moment that was not known
    assert_int_equal(clock_stamp_read(&s, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_dates),
        cmocka_unit_test(agrees_with_libc_and_round_trips),
        cmocka_unit_test(parse_is_strict),
        cmocka_unit_test(a_stamp_of_this_boot_is_exact),
        cmocka_unit_test(a_stamp_of_another_boot_goes_by_the_wall),
        cmocka_unit_test(a_wall_that_was_set_back_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
