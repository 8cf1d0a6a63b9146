// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "tests/support/test.h"

static void numbers_are_strict(void **state)
{
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "-1",
                                      "01",
                                      "0x1",
                                      "1a",
                                      "18446744073709551616",
                                      "99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++) {
        uint64_t n = 7;
        assert_false(slice_parse_u64(slice_of(bad[i]), UINT64_MAX, &n));
        assert_int_equal(n, 7);
    }
    uint64_t n;
    assert_true(slice_parse_u64(SLICE_LIT("18446744073709551615"), UINT64_MAX, &n));
    assert_true(n == UINT64_MAX);
    assert_true(slice_parse_u64(SLICE_LIT("0"), 0, &n));
    assert_false(slice_parse_u64(SLICE_LIT("11"), 10, &n));
}

static void take_splits(void **state)
{
    (void)state;
    struct slice rest = SLICE_LIT("a,,b");
    assert_slice(slice_take(&rest, ','), "a");
    assert_slice(slice_take(&rest, ','), "");
    assert_slice(slice_take(&rest, ','), "b");
    assert_null(rest.ptr);
}

static void order_is_bytewise(void **state)
{
    (void)state;
    assert_true(slice_compare(SLICE_LIT("a"), SLICE_LIT("ab")) < 0);
    assert_true(slice_compare(SLICE_LIT("\xff"), SLICE_LIT("a")) > 0);
    assert_true(slice_compare(SLICE_NONE, SLICE_LIT("")) == 0);
    assert_true(slice_starts_with(SLICE_LIT("abc"), SLICE_LIT("ab")));
    assert_false(slice_starts_with(SLICE_LIT("a"), SLICE_LIT("ab")));
    assert_true(slice_contains_nocase(SLICE_LIT("Claude Opus"), SLICE_LIT("OPUS")));
    assert_true(slice_equal_nocase(SLICE_LIT("BEARER"), SLICE_LIT("bearer")));
}

static void utf8(void **state)
{
    static const char *const good[] = {
        "", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",         "\xc0\x80",        "\xc3",
                                      "\xe0\x80\x80", "\xed\xa0\x80",    "\xf4\x90\x80\x80",
                                      "a\xff",        "\xf5\x80\x80\x80"};
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(good); i++)
        assert_true(slice_is_utf8(slice_of(good[i])));
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++)
        assert_false(slice_is_utf8(slice_of(bad[i])));
    assert_int_equal(slice_utf8_cut(SLICE_LIT("ab\xe2\x82\xac"), 4), 2);
    assert_int_equal(slice_utf8_cut(SLICE_LIT("ab\xe2\x82\xac"), 5), 5);
    assert_int_equal(slice_utf8_cut(SLICE_LIT("\xff\xff\xff"), 2), 2);
}

static void trim_and_dup(void **state)
{
    (void)state;
    assert_slice(slice_trim(SLICE_LIT(" \t x y \r\n")), "x y");
    assert_slice(slice_trim(SLICE_LIT("   ")), "");
    char *copy = slice_dup(slice_make("abcdef", 3));
    assert_string_equal(copy, "abc");
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_strict), cmocka_unit_test(take_splits),
        cmocka_unit_test(order_is_bytewise),  cmocka_unit_test(utf8),
        cmocka_unit_test(trim_and_dup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
