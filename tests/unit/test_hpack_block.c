// SPDX-License-Identifier: Apache-2.0
// What is spelled out is what libh2o's own encoder would make the same bytes of; all
// else is left as it is.
#include "common/http/hpack_block.h"

#include <string.h>

#include "tests/support/test.h"

enum { FIELDS = 100, BLOCK_HEAD = 2 };

// libh2o's, which its headers do not declare.
size_t h2o_hpack_encode_string(uint8_t *dst, const char *s, size_t len);

static uint8_t out[HPACK_BLOCK_ROOM];
static size_t out_len;

static unsigned read_block(const void *block, size_t len)
{
    return hpack_block_read(block, len, FIELDS, out, &out_len);
}

// A field with the static name 23 (authorization) that is never indexed.
static size_t make_field(uint8_t *block, struct slice value)
{
    block[0] = 0x1F;
    block[1] = 8;
    return BLOCK_HEAD + h2o_hpack_encode_string(block + BLOCK_HEAD, value.ptr, value.len);
}

static void assert_left_alone(const void *block, size_t len)
{
    (void)read_block(block, len);
    assert_int_equal(out_len, len);
    assert_memory_equal(out, block, len);
}

static void assert_spelled(struct slice value)
{
    uint8_t block[256];
    size_t len = make_field(block, value);
    assert_true((block[BLOCK_HEAD] & 0x80) != 0); // it was coded
    assert_int_equal(read_block(block, len), 1);
    assert_int_equal(out_len, BLOCK_HEAD + 1 + value.len);
    assert_memory_equal(out, block, BLOCK_HEAD);
    assert_int_equal(out[BLOCK_HEAD], value.len);
    assert_memory_equal(out + BLOCK_HEAD + 1, value.ptr, value.len);
}

static void keys_and_paths_are_spelled_out(void **state)
{
    (void)state;
    assert_spelled(SLICE_LIT("Bearer cm-0123456789012345678901234567890123456789abcdefghi"));
    assert_spelled(SLICE_LIT("/v1/models/anthropic%2Fclaude-sonnet-4.5"));
    assert_spelled(SLICE_LIT("aaaaABCDEFGHIJKLMNOPQRSTUVWXYZaaaaaaaaaaaa"));
    assert_spelled(SLICE_LIT("aaaaaaaaaaaaaaaaaaaaabcdefghijklmnopqrstuvwxyz &*,;:=._-/%"));
}

static void every_length_up_to_the_longest(void **state)
{
    (void)state;
    char text[200];
    memset(text, 'a', sizeof(text));
    for (size_t len = 3; len <= 124; len++)
        assert_spelled(slice_make(text, len));
    uint8_t block[256];
    assert_left_alone(block, make_field(block, slice_make(text, 126)));
    assert_left_alone(block, make_field(block, slice_make(text, 200)));
}

static void rare_letters_are_left_to_the_library(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        text[20] = (char)c;
        bool plain = c != 0 && strchr("012aceiost %-./3456789=A_bdfghlmnpru:BCDEFGHIJKLMNOPQRSTUVW"
                                      "Yjkqvwxyz&*,;XZ",
                                      (int)c) != NULL;
        uint8_t block[256];
        if (plain)
            assert_spelled(slice_of(text));
        else
            assert_left_alone(block, make_field(block, slice_make(text, sizeof(text) - 1)));
    }
}

// Whatever the bytes are: either they stay, or they are what the encoder makes of the
// text that they became. The zeros in front (eight letters) make it code every text.
static void check_bytes(const uint8_t *coded, size_t len)
{
    uint8_t block[128] = {0x1F, 8, (uint8_t)(0x80 | (5 + len))}, again[256];
    memcpy(block + 8, coded, len);
    assert_int_equal(read_block(block, 8 + len), 1);
    if (out[BLOCK_HEAD] >= 0x80) {
        assert_left_alone(block, 8 + len);
        return;
    }
    size_t text_len = out[BLOCK_HEAD];
    assert_int_equal(out_len, BLOCK_HEAD + 1 + text_len);
    struct slice text = slice_make(out + BLOCK_HEAD + 1, text_len);
    assert_int_equal(make_field(again, text), 8 + len);
    assert_memory_equal(again, block, 8 + len);
}

static void no_text_is_made_of_other_bytes(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 1U << 16; n++)
        check_bytes((const uint8_t[]){(uint8_t)(n >> 8), (uint8_t)n}, 2);
    uint8_t bytes[73];
    uint64_t random = 1;
    for (unsigned n = 0; n < 200000; n++) {
        size_t len = n % sizeof(bytes) + 1;
        for (size_t i = 0; i < len; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (uint8_t)(random >> 56) & (n % 2 == 0 ? 0x7F : 0xFF);
        }
        check_bytes(bytes, len);
    }
}

static void broken_blocks_stay_as_they_are(void **state)
{
    (void)state;
    uint8_t block[256];
    size_t len = make_field(block, SLICE_LIT("Bearer cm-0123456789"));
    for (size_t cut = 0; cut < len; cut++)
        assert_left_alone(block, cut);
    assert_left_alone((const uint8_t[]){0x1F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 6);
    assert_left_alone((const uint8_t[]){0x10, 0x80, 0x80}, 3);
}

static void names_and_plain_values_stay_as_they_are(void **state)
{
    (void)state;
    uint8_t block[256] = {0x40};
    size_t len = 1 + h2o_hpack_encode_string(block + 1, "x-request-name", 14);
    len += h2o_hpack_encode_string(block + len, "~~~~", 4);
    assert_left_alone(block, len);
}

static void fields_are_counted(void **state)
{
    (void)state;
    uint8_t block[FIELDS + 2];
    memset(block, 0x82, sizeof(block));
    assert_int_equal(read_block(block, FIELDS), FIELDS);
    assert_int_equal(out_len, FIELDS);
    assert_int_equal(read_block(block, FIELDS + 2), FIELDS + 1);
    block[0] = 0x3F; // a change of the table's size is no field
    block[1] = 0x00;
    assert_int_equal(read_block(block, FIELDS + 2), FIELDS);
}

static void many_values_find_room(void **state)
{
    (void)state;
    static uint8_t block[HPACK_BLOCK_MAX];
    char text[124];
    size_t len = 0;
    unsigned fields = 0;
    memset(text, 'e', sizeof(text));
    while (len + 128 <= sizeof(block)) {
        len += make_field(block + len, slice_make(text, sizeof(text)));
        fields++;
    }
    assert_int_equal(hpack_block_read(block, len, fields, out, &out_len), fields);
    assert_int_equal(out_len, fields * (BLOCK_HEAD + 1 + sizeof(text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_paths_are_spelled_out),
        cmocka_unit_test(every_length_up_to_the_longest),
        cmocka_unit_test(rare_letters_are_left_to_the_library),
        cmocka_unit_test(no_text_is_made_of_other_bytes),
        cmocka_unit_test(broken_blocks_stay_as_they_are),
        cmocka_unit_test(names_and_plain_values_stay_as_they_are),
        cmocka_unit_test(fields_are_counted),
        cmocka_unit_test(many_values_find_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
