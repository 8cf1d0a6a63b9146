// SPDX-License-Identifier: Apache-2.0
#include "services/credential.h"

#include <string.h>

#include "common/model/secret.h"
#include "tests/support/test.h"

static struct credential read_headers(const char *x_api_key, const char *authorization)
{
    return credential_read(slice_of(x_api_key), slice_of(authorization), false);
}

#define assert_credential(c_, status_, dialect_, secret_)                                          \
    do {                                                                                           \
        struct credential c__ = (c_);                                                              \
        assert_int_equal(c__.status, (status_));                                                   \
        assert_int_equal(c__.dialect, (dialect_));                                                 \
        assert_slice(c__.secret, (secret_));                                                       \
    } while (0)

static void bearer(void **state)
{
    (void)state;
    static const char *const good[] = {"Bearer abc",   "bearer abc",    "BEARER abc",
                                       "bEaReR   abc", "Bearer\tabc",   "  Bearer abc  ",
                                       "Bearer abc\t", "Bearer \t abc "};
    for (size_t i = 0; i < CM_ARRAY_LEN(good); i++)
        assert_credential(read_headers(NULL, good[i]), CREDENTIAL_PRESENT, DIALECT_OPENAI, "abc");
    assert_credential(read_headers(NULL, "Bearer a b"), CREDENTIAL_PRESENT, DIALECT_OPENAI, "a b");
}

static void nothing_that_is_a_key(void **state)
{
    (void)state;
    static const char *const bad[] = {
        NULL,        "",          " ",   "Bearer",      "Bearer ",   "Bearer\t",
        "Bearerabc", "Basic abc", "abc", "Bear er abc", "Bearer,abc"};
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++) {
        assert_credential(read_headers(NULL, bad[i]), CREDENTIAL_MISSING, DIALECT_OPENAI, "");
        assert_credential(read_headers("", bad[i]), CREDENTIAL_MISSING, DIALECT_OPENAI, "");
    }
}

static void x_api_key_decides_when_it_says_anything(void **state)
{
    (void)state;
    assert_credential(read_headers("k", NULL), CREDENTIAL_PRESENT, DIALECT_ANTHROPIC, "k");
    assert_credential(read_headers(" k ", "Bearer abc"), CREDENTIAL_PRESENT, DIALECT_ANTHROPIC,
                      "k");
    assert_credential(read_headers("", "Bearer abc"), CREDENTIAL_PRESENT, DIALECT_OPENAI, "abc");
    assert_credential(read_headers(" \t ", "Bearer abc"), CREDENTIAL_PRESENT, DIALECT_OPENAI,
                      "abc");
    // The form of x-api-key is the key itself.
    assert_credential(read_headers("Bearer k", NULL), CREDENTIAL_PRESENT, DIALECT_ANTHROPIC,
                      "Bearer k");
}

static void length(void **state)
{
    (void)state;
    char key[SECRET_MAX + 2];
    memset(key, 'k', sizeof(key));
    assert_int_equal(credential_read(slice_make(key, SECRET_MAX), SLICE_NONE, false).status,
                     CREDENTIAL_PRESENT);
    struct credential c = credential_read(slice_make(key, SECRET_MAX + 1), SLICE_NONE, false);
    assert_int_equal(c.status, CREDENTIAL_REFUSED);
    assert_int_equal(c.dialect, DIALECT_ANTHROPIC);
    char bearer_key[7 + SECRET_MAX + 1] = "Bearer ";
    memset(bearer_key + 7, 'k', SECRET_MAX + 1);
    c = credential_read(SLICE_NONE, slice_make(bearer_key, sizeof(bearer_key)), false);
    assert_int_equal(c.status, CREDENTIAL_REFUSED);
    assert_int_equal(c.dialect, DIALECT_OPENAI);
}

static void checksum(void **state)
{
    (void)state;
    char secret[SECRET_LEN + 1];
    secret_generate(secret);
    assert_int_equal(credential_read(slice_of(secret), SLICE_NONE, true).status,
                     CREDENTIAL_PRESENT);
    secret[10] = secret[10] == 'x' ? 'y' : 'x';
    assert_int_equal(credential_read(slice_of(secret), SLICE_NONE, true).status,
                     CREDENTIAL_REFUSED);
    assert_int_equal(credential_read(slice_of(secret), SLICE_NONE, false).status,
                     CREDENTIAL_PRESENT);
    assert_int_equal(credential_read(SLICE_NONE, SLICE_LIT("Bearer imported"), true).status,
                     CREDENTIAL_REFUSED);
    assert_int_equal(credential_read(SLICE_NONE, SLICE_NONE, true).status, CREDENTIAL_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bearer),
        cmocka_unit_test(nothing_that_is_a_key),
        cmocka_unit_test(x_api_key_decides_when_it_says_anything),
        cmocka_unit_test(length),
        cmocka_unit_test(checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
