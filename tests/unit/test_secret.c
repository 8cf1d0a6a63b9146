// SPDX-License-Identifier: Apache-2.0
#include "common/model/secret.h"

#include <stdio.h>
#include <string.h>

#include "common/model/names.h"
#include "common/model/sha256.h"
#include "tests/support/test.h"

// Checksums computed with Python's zlib: all zeros, 2^256 - 1, and some digits.
static const char zero[] = "cm-00000000000000000000000000000000000000000001b0JFy";
static const char largest[] = "cm-yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp14cxmOI";
static const char sample[] = "cm-7QdThisIsNotARandomNumberButFortyThreeDigit1t6NC1";

static int value_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' ? c - 'a' + 36 : c - 'A' + 10;
}

// Reads 43 digits into 32 bytes; false when the number needs more.
static bool read_number(const char *digits, unsigned char out[32])
{
    memset(out, 0, 32);
    for (int i = 0; i < 43; i++) {
        unsigned carry = (unsigned)value_of(digits[i]);
        for (int byte = 31; byte >= 0; byte--) {
            carry += out[byte] * 62U;
            out[byte] = (unsigned char)carry;
            carry >>= 8;
        }
        if (carry > 0)
            return false;
    }
    return true;
}

static void known_checksums(void **state)
{
    (void)state;
    assert_true(secret_checksum_ok(slice_of(zero)));
    assert_true(secret_checksum_ok(slice_of(largest)));
    assert_true(secret_checksum_ok(slice_of(sample)));
    unsigned char number[32];
    assert_true(read_number(largest + 3, number));
    assert_int_equal(number[0], 0xff);
    assert_int_equal(number[31], 0xff);
}

static void any_changed_character_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < SECRET_LEN; i++) {
        char wrong[sizeof(sample)];
        memcpy(wrong, sample, sizeof(wrong));
        wrong[i] = wrong[i] == 'a' ? 'b' : 'a';
        assert_false(secret_checksum_ok(slice_of(wrong)));
        wrong[i] = '\0';
        assert_false(secret_checksum_ok(slice_make(wrong, SECRET_LEN)));
        wrong[i] = '-';
        if (i != 2)
            assert_false(secret_checksum_ok(slice_make(wrong, SECRET_LEN)));
    }
    assert_false(secret_checksum_ok(slice_make(sample, SECRET_LEN - 1)));
    assert_false(secret_checksum_ok(slice_make(sample, SECRET_LEN + 1)));
    assert_false(secret_checksum_ok(SLICE_NONE));
}

// Each of the 256 bits must turn up about half of the time, and all numbers
// must fit in 256 bits: so the digits are most significant first and no entropy
// is lost on the way.
static void generated_secrets_hold_256_bits(void **state)
{
    (void)state;
    enum { ROUNDS = 4000 };
    static unsigned set[256];
    for (int round = 0; round < ROUNDS; round++) {
        char secret[SECRET_LEN + 1];
        unsigned char number[32];
        secret_generate(secret);
        assert_int_equal(strlen(secret), SECRET_LEN);
        assert_true(secret_checksum_ok(slice_of(secret)));
        assert_true(read_number(secret + 3, number));
        for (size_t bit = 0; bit < 256; bit++)
            set[bit] += (unsigned)number[bit / 8] >> (bit % 8) & 1U;
    }
    for (size_t bit = 0; bit < 256; bit++) // 8 standard deviations are 253
        assert_in_range(set[bit], ROUNDS / 2 - 253, ROUNDS / 2 + 253);
}

static void digests(void **state)
{
    (void)state;
    struct secret_digest digest, again;
    char hex[SECRET_HEX_LEN + 1];
    secret_hash(slice_of("abc"), &digest);
    secret_digest_hex(&digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    secret_hash(SLICE_NONE, &again); // the context is reused
    assert_false(secret_digest_equal(&digest, &again));
    secret_digest_hex(&again, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const struct slice parts[] = {SLICE_LIT("a"), SLICE_NONE, SLICE_LIT("bc")};
    sha256_parts(parts, CM_ARRAY_LEN(parts), again.bytes);
    assert_true(secret_digest_equal(&digest, &again));
    again.bytes[31] ^= 1;
    assert_false(secret_digest_equal(&digest, &again));
}

static void digests_from_hex(void **state)
{
    (void)state;
    static const char hex[] = "BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    struct secret_digest want, got, before;
    secret_hash(slice_of("abc"), &want);
    assert_true(secret_digest_parse(slice_of(hex), &got));
    assert_true(secret_digest_equal(&want, &got));
    before = got;
    char wrong[sizeof(hex)];
    memcpy(wrong, hex, sizeof(wrong));
    wrong[0] = '0';
    wrong[63] = 'g';
    assert_false(secret_digest_parse(slice_of(wrong), &got));
    assert_false(secret_digest_parse(slice_make(hex, 63), &got));
    assert_false(secret_digest_parse(SLICE_NONE, &got));
    assert_true(secret_digest_equal(&before, &got));
}

static void hints(void **state)
{
    (void)state;
    char hint[SECRET_HINT_LEN + 1];
    secret_hint(slice_of(sample), hint);
    assert_string_equal(hint, "cm-7Qd...6NC1");
}

static void ulids(void **state)
{
    (void)state;
    char id[SECRET_ULID_LEN + 1], prefixed[40];
    secret_ulid(1469918176385, id); // the example of the ULID specification
    assert_int_equal(strlen(id), SECRET_ULID_LEN);
    assert_memory_equal(id, "01ARYZ6S41", 10);
    secret_ulid(0, id);
    assert_memory_equal(id, "0000000000", 10);
    secret_ulid(((int64_t)1 << 48) - 1, id);
    assert_memory_equal(id, "7ZZZZZZZZZ", 10);
    snprintf(prefixed, sizeof(prefixed), "key_%s", id);
    assert_true(names_is_key_id(slice_of(prefixed)));
}

static void ulids_of_one_millisecond_rise_by_one(void **state)
{
    (void)state;
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char last[SECRET_ULID_LEN + 1], id[SECRET_ULID_LEN + 1];
    secret_ulid(1700000000000, last);
    for (int i = 0; i < 100000; i++) {
        secret_ulid(1700000000000, id);
        assert_true(strcmp(last, id) < 0);
        size_t at = SECRET_ULID_LEN - 1; // add one to last, as a reader would
        while (last[at] == 'Z')
            last[at--] = '0';
        last[at] = *(strchr(digits, last[at]) + 1);
        assert_string_equal(last, id);
    }
    secret_ulid(1699999999999, id); // the clock went back: fresh
    assert_true(strcmp(id, last) < 0);
    assert_memory_not_equal(id + 10, last + 10, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_checksums),
        cmocka_unit_test(any_changed_character_is_noticed),
        cmocka_unit_test(generated_secrets_hold_256_bits),
        cmocka_unit_test(digests),
        cmocka_unit_test(digests_from_hex),
        cmocka_unit_test(hints),
        cmocka_unit_test(ulids),
        cmocka_unit_test(ulids_of_one_millisecond_rise_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
