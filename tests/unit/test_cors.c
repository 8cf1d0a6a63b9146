// SPDX-License-Identifier: Apache-2.0
#include "services/cors.h"

#include "tests/support/test.h"

static void everybody(void **state)
{
    (void)state;
    struct cors c;
    cors_init(&c, SLICE_LIT(" * "));
    assert_false(cors_varies(&c));
    assert_slice(cors_allow(&c, SLICE_LIT("https://a.example")), "*");
    assert_slice(cors_allow(&c, SLICE_NONE), "*");
}

static void a_list(void **state)
{
    (void)state;
    struct cors c;
    cors_init(&c, SLICE_LIT("https://a.example, https://b.example:8443,null"));
    assert_true(cors_varies(&c));
    assert_slice(cors_allow(&c, SLICE_LIT("https://a.example")), "https://a.example");
    assert_slice(cors_allow(&c, SLICE_LIT("https://b.example:8443")), "https://b.example:8443");
    assert_slice(cors_allow(&c, SLICE_LIT("null")), "null");
    static const char *const others[] = {"",
                                         "https://a.example.evil.example",
                                         "https://A.example",
                                         "http://a.example",
                                         "https://b.example",
                                         "https://a.example,",
                                         "https://a.example, https://b.example:8443",
                                         "*"};
    for (size_t i = 0; i < CM_ARRAY_LEN(others); i++)
        assert_slice(cors_allow(&c, slice_of(others[i])), "");
}

static void nobody(void **state)
{
    (void)state;
    struct cors c;
    cors_init(&c, SLICE_NONE);
    assert_true(cors_varies(&c));
    assert_slice(cors_allow(&c, SLICE_LIT("https://a.example")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody),
        cmocka_unit_test(a_list),
        cmocka_unit_test(nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
