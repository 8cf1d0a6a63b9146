// SPDX-License-Identifier: Apache-2.0
// What a child is told on its command line, both ways.
#include <string.h>

#include "services/heritage.h"
#include "tests/support/test.h"

static void test_ids(void **state)
{
    (void)state;
    char id[HERITAGE_ID_MAX + 1];
    struct heritage h = {.instance = "0123abcd", .slot = 2, .incarnation = 7};
    heritage_id(&h, 7, id);
    assert_string_equal(id, "0123abcd-2-7");
    heritage_id(&h, 0, id);
    assert_string_equal(id, "");
    h.slot = 255;
    heritage_id(&h, UINT64_MAX, id);
    assert_string_equal(id, "0123abcd-255-18446744073709551615");
}

static bool parse(const char *role, const char *id, const char *previous, const char *block,
                  struct heritage *out)
{
    const char *argv[] = {role, id, previous, block};
    return heritage_parse(4, (char *const *)(uintptr_t)argv, out);
}

static void test_parse(void **state)
{
    (void)state;
    struct heritage h;
    assert_true(parse("--worker", "0123abcd-2-7", "0123abcd-2-6", "1", &h));
    assert_int_equal(h.role, HERITAGE_WORKER);
    assert_string_equal(h.instance, "0123abcd");
    assert_int_equal(h.slot, 2);
    assert_int_equal(h.incarnation, 7);
    assert_int_equal(h.previous, 6);
    assert_int_equal(h.block, 1);
    assert_true(parse("--ops", "0123abcd-2-1", "-", "0", &h));
    assert_int_equal(h.role, HERITAGE_OPS);
    assert_int_equal(h.previous, 0);
}

static void test_parse_refuses(void **state)
{
    (void)state;
    struct heritage h;
    const char *two[] = {"--worker", "0123abcd-2-7"};
    assert_false(heritage_parse(2, (char *const *)(uintptr_t)two, &h));
    assert_false(parse("--help", "0123abcd-2-7", "-", "0", &h));
    assert_false(parse("--worker", "0123abc-2-7", "-", "0", &h));
    assert_false(parse("--worker", "0123abcd-999-7", "-", "0", &h));
    assert_false(parse("--worker", "0123abcd-2-", "-", "0", &h));
    assert_false(parse("--worker", "0123abcd-2-x", "-", "0", &h));
    assert_false(parse("--worker", "0123abcd-2-7", "x", "0", &h));
    assert_false(parse("--worker", "0123abcd-2-7", "-", "2", &h));
    assert_false(parse("--worker", "0123abcd-2-7", "-", "", &h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
