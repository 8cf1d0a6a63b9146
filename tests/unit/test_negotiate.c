// SPDX-License-Identifier: Apache-2.0
#include "common/model/negotiate.h"

#include "tests/support/test.h"

static void assert_all(bool wanted, const char *const *headers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (accepts_gzip(slice_of(headers[i])) != wanted)
            fail_msg("'%s': want %d", headers[i], wanted);
}

static void accepted(void **state)
{
    static const char *const headers[] = {
        "gzip",
        "GZip",
        "x-gzip",
        "*",
        "gzip, deflate, br, zstd",
        "br;q=1.0, gzip;q=0.8, *;q=0.1",
        "  deflate ,\tgzip ;  q = 0.001 ",
        "gzip;q=1.000",
        "gzip;Q=0.5",
        "gzip;q=0.5",                 // identity has no weight of its own
        "identity;q=0.5, gzip;q=0.5", // a tie
        "identity;q=0.499, gzip;q=.5, gzip;q=0.5",
        "identity;q=0, *;q=0.3",
        "gzip, identity, *;q=0",
        "gzip;q=0, x-gzip", // the higher weight of both spellings
        ",,gzip,,",
        "gzip;level=9;q=0.2",
    };
    (void)state;
    assert_all(true, headers, CM_ARRAY_LEN(headers));
}

static void refused(void **state)
{
    static const char *const headers[] = {
        NULL,
        "",
        " ",
        "identity",
        "br, deflate",
        "gzip;q=0",
        "gzip;q=0.000",
        "*;q=0",
        "*, gzip;q=0",
        "gzip;q=0.5, identity",
        "gzip;q=0.5, identity;q=0.501",
        "*;q=0.5, gzip;q=0.2", // "*" is identity's weight
        "gzip;q=",
        "gzip;q=2",
        "gzip;q=1.001",
        "gzip;q=0.1234",
        "gzip;q=-1",
        "gzip;q=0,5",
        "gzip;q=1x",
        "gzipped",
        "gzi",
        "deflate;gzip",
        "q=1",
        ";q=1",
    };
    (void)state;
    assert_all(false, headers, CM_ARRAY_LEN(headers));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(accepted), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
