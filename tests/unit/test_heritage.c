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
    char layout[HERITAGE_LAYOUT_MAX];
    heritage_layout(layout);
    const char *argv[] = {role, layout, id, previous, block};
    return heritage_parse(5, (char *const *)(uintptr_t)argv, out) == HERITAGE_FITS;
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
    assert_false(parse("--help", "0123abcd-2-7", "-", "0", &h));
    assert_false(parse("--worker", "0123abc-2-7", "-", "0", &h));
    assert_false(parse("--worker", "0123abcd-999-7", "-", "0", &h));
    assert_false(parse("--worker", "0123abcd-2-", "-", "0", &h));
    assert_false(parse("--worker", "0123abcd-2-x", "-", "0", &h));
    assert_false(parse("--worker", "0123abcd-2-7", "x", "0", &h));
    assert_false(parse("--worker", "0123abcd-2-7", "-", "2", &h));
    assert_false(parse("--worker", "0123abcd-2-7", "-", "", &h));
}

// Words that another build may have written are told apart from nonsense.
static void test_other_builds(void **state)
{
    (void)state;
    struct heritage h = {.slot = 77};
    char layout[HERITAGE_LAYOUT_MAX];
    heritage_layout(layout);
    const char *fits[] = {"--worker", layout, "0123abcd-2-7", "-", "0", "more"};
    const char *older[] = {"--worker", "0123abcd-2-7", "-", "0"};
    const char *other[] = {"--ops", "1-2-3", "0123abcd-2-7", "-", "0"};
    assert_int_equal(heritage_parse(5, (char *const *)(uintptr_t)fits, &h), HERITAGE_FITS);
    h.slot = 77;
    assert_int_equal(heritage_parse(6, (char *const *)(uintptr_t)fits, &h), HERITAGE_OTHER);
    assert_int_equal(heritage_parse(1, (char *const *)(uintptr_t)fits, &h), HERITAGE_OTHER);
    assert_int_equal(heritage_parse(4, (char *const *)(uintptr_t)older, &h), HERITAGE_OTHER);
    assert_int_equal(heritage_parse(5, (char *const *)(uintptr_t)other, &h), HERITAGE_OTHER);
    assert_int_equal(heritage_parse(0, (char *const *)(uintptr_t)other, &h), HERITAGE_NONE);
    assert_int_equal(h.slot, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_other_builds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
