// SPDX-License-Identifier: Apache-2.0
#include "common/model/etag.h"

#include "tests/support/test.h"

static const struct digest sample = {0x0123456789abcdefu, 0xfedcba9876543210u};

static struct slice text(const struct etag *tag)
{
    return slice_make(tag->text, tag->len);
}

static void one_per_representation(void **state)
{
    (void)state;
    struct etag plain = etag_make(sample, false);
    struct etag gzip = etag_make(sample, true);
    assert_slice(text(&plain), "\"0123456789abcdeffedcba9876543210\"");
    assert_slice(text(&gzip), "\"0123456789abcdeffedcba9876543210-g\"");
    assert_false(etag_matches(text(&plain), text(&gzip)));
    assert_false(etag_matches(text(&gzip), text(&plain)));
    assert_true(etag_matches(text(&gzip), text(&gzip)));
}

static void matching(void **state)
{
    static const struct {
        const char *header;
        bool matches;
    } rows[] = {
        {"\"abc\"", true},
        {"W/\"abc\"", true},
        {"*", true},
        {" * ", true},
        {"\"x\", \"abc\"", true},
        {"\"x\",\"abc\"", true},
        {"\"x\" ,\t W/\"abc\" , \"y\"", true},
        {"\"a,b\", \"abc\"", true},
        {", ,\"abc\"", true},
        {"junk, \"abc\"", true},
        {"\"\", \"abc\"", true},
        {NULL, false},
        {"", false},
        {"abc", false},
        {"\"abc", false},
        {"abc\"", false},
        {"\"", false},
        {"\"ABC\"", false},
        {"\"abcd\"", false},
        {"\"ab\", \"c\"", false},
        {"\"x,abc\"", false},
        {"\"x\",abc,\"y\"", false}, // not quoted: between two tags
        {"\"*\"", false},
        {"\"x\", *", false},
    };
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(rows); i++)
        if (etag_matches(slice_of(rows[i].header), SLICE_LIT("\"abc\"")) != rows[i].matches)
            fail_msg("'%s': want %d", rows[i].header, rows[i].matches);
}

static void commas_belong_to_tags(void **state)
{
    (void)state;
    assert_true(etag_matches(SLICE_LIT("\"x\", \"a,b\""), SLICE_LIT("\"a,b\"")));
    assert_true(etag_matches(SLICE_LIT("\"a,b\""), SLICE_LIT("W/\"a,b\"")));
    assert_false(etag_matches(SLICE_LIT("\"a,b\""), SLICE_LIT("\"a\"")));
    assert_false(etag_matches(SLICE_LIT("\"a\",\"b\""), SLICE_LIT("\",\"")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_per_representation),
                                       cmocka_unit_test(matching),
                                       cmocka_unit_test(commas_belong_to_tags)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
