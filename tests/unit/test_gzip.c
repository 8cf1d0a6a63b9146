// SPDX-License-Identifier: Apache-2.0
#include "common/model/gzip.h"

#include <stdlib.h>

#include "tests/support/inflate.h"
#include "tests/support/test.h"

// Text that compresses somewhat, or not at all.
static void append_random(struct buf *out, size_t len, bool noise)
{
    for (size_t i = 0; i < len; i++)
        buf_append_char(out, (char)(noise ? random() : "abcdefgh"[random() % 8]));
}

static void pieces_make_one_member(void **state)
{
    (void)state;
    srandom(1);
    for (int round = 0; round < 300; round++) {
        struct buf member = {0};
        struct buf text = {0};
        uint32_t crc = gzip_crc(SLICE_NONE);
        gzip_append_header(&member);
        for (long pieces = random() % 6; pieces > 0; pieces--) {
            size_t from = text.len;
            append_random(&text, (size_t)(random() % 3 == 0 ? 0 : random() % 30000),
                          random() % 4 == 0);
            struct slice piece = slice_skip(buf_slice(&text), from);
            if (random() % 2)
                gzip_append_deflated(&member, piece, (enum gzip_for)(random() % 2));
            else
                gzip_append_stored(&member, piece);
            crc = gzip_crc_join(crc, gzip_crc(piece), piece.len);
        }
        struct slice end = SLICE_LIT("]}");
        buf_append_slice(&text, end);
        crc = gzip_crc_join(crc, gzip_crc(end), end.len);
        assert_int_equal(crc, gzip_crc(buf_slice(&text)));
        gzip_append_end(&member, end, crc, text.len);

        struct buf got = {0};
        inflate_member(buf_slice(&member), &got);
        assert_true(slice_equal(buf_slice(&got), buf_slice(&text)));
        buf_fini(&got);
        buf_fini(&text);
        buf_fini(&member);
    }
}

// A piece may be dropped, doubled or moved: it must refer to nothing outside it,
// and its bytes must not depend on what was compressed before.
static void pieces_are_independent(void **state)
{
    struct slice text = SLICE_LIT("the same words the same words the same words");
    struct buf first = {0};
    struct buf second = {0};
    struct buf noise = {0};
    (void)state;
    gzip_append_deflated(&first, text, GZIP_FOR_ALL);
    append_random(&noise, 100000, true);
    struct buf scrap = {0};
    gzip_append_deflated(&scrap, buf_slice(&noise), GZIP_FOR_ONE);
    gzip_append_deflated(&second, text, GZIP_FOR_ALL);
    assert_true(slice_equal(buf_slice(&first), buf_slice(&second)));
    assert_true(first.len < text.len);
    buf_fini(&first);
    buf_fini(&second);
    buf_fini(&noise);
    buf_fini(&scrap);
}

static void largest_stored_block(void **state)
{
    struct buf text = {0};
    struct buf member = {0};
    struct buf got = {0};
    (void)state;
    append_random(&text, GZIP_STORED_MAX, true);
    gzip_append_header(&member);
    gzip_append_stored(&member, buf_slice(&text));
    gzip_append_end(&member, SLICE_NONE, gzip_crc(buf_slice(&text)), text.len);
    inflate_member(buf_slice(&member), &got);
    assert_true(slice_equal(buf_slice(&got), buf_slice(&text)));
    buf_fini(&got);
    buf_fini(&text);
    buf_fini(&member);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pieces_make_one_member),
                                       cmocka_unit_test(pieces_are_independent),
                                       cmocka_unit_test(largest_stored_block)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
