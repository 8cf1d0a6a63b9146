// SPDX-License-Identifier: Apache-2.0
#include "common/model/digest.h"

#include "tests/support/test.h"

static void record_is_sha256_of_id_zero_record(void **state)
{
    (void)state;
    char hex[DIGEST_HEX_LEN + 1];
    // printf 'a/b\0{"x":1}' | sha256sum | cut -c 1-32
    digest_hex(digest_record(SLICE_LIT("a/b"), SLICE_LIT("{\"x\":1}")), hex);
    assert_string_equal(hex, "52be4cead23f71fbb85c3183ac0792de");
    digest_hex(digest_record(SLICE_NONE, SLICE_NONE), hex);
    assert_string_equal(hex, "6e340b9cffb37a989ca544e6bb780a2c");
}

static void sum_has_no_order(void **state)
{
    (void)state;
    struct digest a = digest_record(SLICE_LIT("a"), SLICE_LIT("1"));
    struct digest b = digest_record(SLICE_LIT("b"), SLICE_LIT("2"));
    struct digest c = digest_record(SLICE_LIT("c"), SLICE_LIT("3"));
    struct digest abc = digest_add(digest_add(a, b), c);
    assert_true(digest_equal(abc, digest_add(digest_add(c, b), a)));
    assert_true(digest_equal(digest_subtract(abc, b), digest_add(a, c)));
    assert_false(digest_equal(abc, digest_add(a, c)));
}

static void carry_and_borrow_cross_the_halves(void **state)
{
    (void)state;
    struct digest one = {0, 1}, low_full = {0, UINT64_MAX}, full = {UINT64_MAX, UINT64_MAX};
    assert_true(digest_equal(digest_add(low_full, one), (struct digest){1, 0}));
    assert_true(digest_equal(digest_add(full, one), (struct digest){0, 0}));
    assert_true(digest_equal(digest_subtract((struct digest){1, 0}, one), low_full));
    assert_true(digest_equal(digest_subtract((struct digest){0, 0}, one), full));
}

static void hex_goes_both_ways(void **state)
{
    (void)state;
    char hex[DIGEST_HEX_LEN + 1];
    struct digest d = {UINT64_C(0x0123456789abcdef), 0xf}, back = {1, 2};
    digest_hex(d, hex);
    assert_string_equal(hex, "0123456789abcdef000000000000000f");
    assert_true(digest_parse(slice_of(hex), &back));
    assert_true(digest_equal(d, back));
    static const char *const bad[] = {"", "0123456789abcdef000000000000000",
                                      "0123456789abcdef000000000000000g",
                                      "0123456789abcdef000000000000000f0"};
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++) {
        assert_false(digest_parse(slice_of(bad[i]), &back));
        assert_true(digest_equal(d, back));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_is_sha256_of_id_zero_record),
        cmocka_unit_test(sum_has_no_order),
        cmocka_unit_test(carry_and_borrow_cross_the_halves),
        cmocka_unit_test(hex_goes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
