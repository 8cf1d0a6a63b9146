// SPDX-License-Identifier: Apache-2.0
#include "common/model/bell.h"

#include <string.h>

#include "tests/support/test.h"

#define EPOCH "00000000000000e1"
#define CHANGE "00000000000000c7"
#define PREVIOUS "00000000000000c6"
#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static bool parse(const char *text, struct bell *out)
{
    struct bell before;
    memset(out, 0x5a, sizeof(*out));
    memcpy(&before, out, sizeof(before));
    bool ok = bell_parse(slice_of(text), out);
    if (!ok)
        assert_memory_equal(out, &before, sizeof(before));
    return ok;
}

static void goes_both_ways(void **state)
{
    static const char text[] = EPOCH " 42 " CHANGE " " PREVIOUS " K " HEX64 " D " HEX64;
    (void)state;
    struct bell b;
    struct buf out = {NULL, 0, 0};
    assert_true(parse(text, &b));
    assert_int_equal(b.epoch, 0xe1);
    assert_int_equal(b.revision, 42);
    assert_int_equal(b.change, 0xc7);
    assert_int_equal(b.previous, 0xc6);
    assert_int_equal(b.key_count, 2);
    assert_false(b.keys[0].deny);
    assert_true(b.keys[1].deny);
    bell_write(&out, &b);
    assert_slice(buf_slice(&out), text);
    buf_fini(&out);
}

static void first_revision_has_nothing_before_it(void **state)
{
    (void)state;
    struct bell b;
    struct buf out = {NULL, 0, 0};
    assert_true(parse(EPOCH " 0 " CHANGE " 0000000000000000", &b));
    assert_int_equal(b.previous, 0);
    bell_write(&out, &b);
    assert_slice(buf_slice(&out), EPOCH " 0 " CHANGE " 0000000000000000");
    buf_fini(&out);
    assert_false(parse(EPOCH " 0 " CHANGE " " PREVIOUS, &b));
    assert_false(parse(EPOCH " 1 " CHANGE " 0000000000000000", &b));
}

static void as_many_keys_as_fit(void **state)
{
    (void)state;
    struct bell b;
    struct buf text = {NULL, 0, 0};
    buf_append_str(&text, EPOCH " 42 " CHANGE " " PREVIOUS);
    for (int i = 0; i < BELL_KEYS_MAX; i++)
        buf_append_str(&text, " D " HEX64);
    assert_true(parse(buf_cstr(&text), &b));
    assert_int_equal(b.key_count, BELL_KEYS_MAX);
    buf_append_str(&text, " D " HEX64);
    assert_false(parse(buf_cstr(&text), &b));
    buf_fini(&text);
}

static void anything_else_is_no_bell(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        EPOCH,
        EPOCH " 42",
        EPOCH " 42 " CHANGE,
        EPOCH " 42 " CHANGE " ",
        " " EPOCH " 42 " CHANGE " " PREVIOUS,
        EPOCH "  42 " CHANGE " " PREVIOUS,
        EPOCH " -1 " CHANGE " " PREVIOUS,
        EPOCH " 042 " CHANGE " " PREVIOUS,
        EPOCH " 9007199254740992 " CHANGE " " PREVIOUS,
        "0000000000000000 42 " CHANGE " " PREVIOUS,
        EPOCH " 42 0000000000000000 " PREVIOUS,
        EPOCH " 42 " CHANGE " " PREVIOUS " K",
        EPOCH " 42 " CHANGE " " PREVIOUS " K ",
        EPOCH " 42 " CHANGE " " PREVIOUS " X " HEX64,
        EPOCH " 42 " CHANGE " " PREVIOUS " K " HEX64 "0",
        EPOCH " 42 " CHANGE " " PREVIOUS " K " HEX64 " K",
        EPOCH " 42 " CHANGE " " PREVIOUS " KD " HEX64,
        EPOCH " 42 " CHANGE " " PREVIOUS "\n",
        EPOCH " 42 " CHANGE " " PREVIOUS " ",
        EPOCH " 42 " CHANGE " " PREVIOUS " K " HEX64 " ",
    };
    (void)state;
    struct bell b;
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++)
        if (parse(bad[i], &b))
            fail_msg("'%s' is a bell", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_both_ways),
        cmocka_unit_test(first_revision_has_nothing_before_it),
        cmocka_unit_test(as_many_keys_as_fit),
        cmocka_unit_test(anything_else_is_no_bell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
