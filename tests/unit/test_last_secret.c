// SPDX-License-Identifier: Apache-2.0
#include "services/last_secret.h"

#include <string.h>

#include "tests/support/test.h"

static bool is_digest_of(struct last_secret *last, struct slice secret)
{
    struct secret_digest wanted, got;
    secret_hash(secret, &wanted);
    last_secret_digest(last, secret, &got);
    return secret_digest_equal(&wanted, &got);
}

static void the_same_secret_is_known_again(void **state)
{
    (void)state;
    struct last_secret last = {0};
    struct slice secret = SLICE_LIT("cm-0123456789012345678901234567890123456789abcdefghi");
    assert_true(is_digest_of(&last, secret));
    // Only what is remembered can say this.
    memset(last.digest.bytes, 'r', sizeof(last.digest.bytes));
    struct secret_digest got;
    last_secret_digest(&last, secret, &got);
    assert_memory_equal(got.bytes, last.digest.bytes, sizeof(got.bytes));
}

static void the_secret_itself_is_not_kept(void **state)
{
    (void)state;
    struct last_secret last = {0};
    struct slice secret = SLICE_LIT("abcdefgh");
    assert_true(is_digest_of(&last, secret));
    assert_null(memmem(&last, sizeof(last), secret.ptr, secret.len));
}

// One bit, a length, a zero byte at the end: each makes another secret.
static void another_secret_is_never_taken_for_it(void **state)
{
    (void)state;
    struct last_secret last = {0};
    char text[64] = {0};
    for (size_t len = 1; len <= sizeof(text); len++) {
        for (size_t at = 0; at < len; at++) {
            text[at] ^= 0x40;
            assert_true(is_digest_of(&last, slice_make(text, len)));
        }
        assert_true(is_digest_of(&last, slice_make(text, len)));
        assert_true(is_digest_of(&last, slice_make(text, len - 1)));
    }
}

static void any_length_and_no_memory(void **state)
{
    (void)state;
    struct last_secret last = {0};
    char text[SECRET_MAX];
    memset(text, 'x', sizeof(text));
    for (size_t len = 0; len <= sizeof(text); len++) {
        assert_true(is_digest_of(&last, slice_make(text, len)));
        assert_true(is_digest_of(NULL, slice_make(text, len)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_secret_is_known_again),
        cmocka_unit_test(the_secret_itself_is_not_kept),
        cmocka_unit_test(another_secret_is_never_taken_for_it),
        cmocka_unit_test(any_length_and_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
