// SPDX-License-Identifier: Apache-2.0
#include "common/model/head.h"

#include <string.h>

#include "tests/support/test.h"

struct text_head {
    const char *fields[HEAD_FIELD_COUNT]; // NULL = missing
};

static const struct text_head good = {{"1", "00000000000000e2", "00000000000000e1 00000000000000e0",
                                       "42", "00000000000000c7", "0123456789abcdef000000000000000f",
                                       "3"}};

static enum head_status parse(const struct text_head *text, struct head *out)
{
    struct slice fields[HEAD_FIELD_COUNT];
    for (size_t i = 0; i < HEAD_FIELD_COUNT; i++)
        fields[i] = slice_of(text->fields[i]);
    return head_parse(fields, out);
}

static enum head_status parse_with(enum head_field field, const char *value)
{
    struct text_head text = good;
    struct head h, before;
    memset(&h, 0x5a, sizeof(h));
    memcpy(&before, &h, sizeof(h));
    text.fields[field] = value;
    enum head_status status = parse(&text, &h);
    if (status != HEAD_OK)
        assert_memory_equal(&h, &before, sizeof(h));
    return status;
}

static void whole_head(void **state)
{
    (void)state;
    struct head h;
    assert_int_equal(parse(&good, &h), HEAD_OK);
    assert_int_equal(h.format, HEAD_FORMAT);
    assert_int_equal(h.epoch, 0xe2);
    assert_int_equal(h.parent_count, 2);
    assert_int_equal(h.parents[0], 0xe1);
    assert_int_equal(h.parents[1], 0xe0);
    assert_int_equal(h.revision, 42);
    assert_int_equal(h.change, 0xc7);
    assert_int_equal(h.digest.low, 0xf);
    assert_int_equal(h.models, 3);
}

static void absent_only_without_any_field(void **state)
{
    (void)state;
    struct text_head none = {{NULL}};
    struct head h;
    assert_int_equal(parse(&none, &h), HEAD_ABSENT);
    for (size_t i = 0; i < HEAD_FIELD_COUNT; i++) {
        assert_int_equal(parse_with((enum head_field)i, NULL), HEAD_GARBLED);
        if (i != HEAD_FIELD_PARENTS) {
            assert_int_equal(parse_with((enum head_field)i, ""), HEAD_GARBLED);
            assert_int_equal(parse_with((enum head_field)i, "x"), HEAD_GARBLED);
        }
    }
}

static void newer_format_may_change_the_rest(void **state)
{
    (void)state;
    struct text_head newer = {{"2", NULL, "?", "-1", NULL, "", NULL}};
    struct head h;
    assert_int_equal(parse(&newer, &h), HEAD_NEWER);
    assert_int_equal(parse_with(HEAD_FIELD_FORMAT, "18446744073709551615"), HEAD_NEWER);
    assert_int_equal(parse_with(HEAD_FIELD_FORMAT, "0"), HEAD_GARBLED);
    assert_int_equal(parse_with(HEAD_FIELD_FORMAT, "01"), HEAD_GARBLED);
}

static void bounds(void **state)
{
    (void)state;
    assert_int_equal(parse_with(HEAD_FIELD_REVISION, "0"), HEAD_OK);
    assert_int_equal(parse_with(HEAD_FIELD_REVISION, "9007199254740991"), HEAD_OK);
    assert_int_equal(parse_with(HEAD_FIELD_REVISION, "9007199254740992"), HEAD_GARBLED);
    assert_int_equal(parse_with(HEAD_FIELD_EPOCH, "0000000000000000"), HEAD_GARBLED);
    assert_int_equal(parse_with(HEAD_FIELD_CHANGE, "0000000000000000"), HEAD_GARBLED);
    assert_int_equal(parse_with(HEAD_FIELD_PARENTS, ""), HEAD_OK);
    assert_int_equal(parse_with(HEAD_FIELD_PARENTS, " "), HEAD_GARBLED);
    assert_int_equal(parse_with(HEAD_FIELD_PARENTS, "00000000000000e1  00000000000000e0"),
                     HEAD_GARBLED);
    char parents[9 * 17 + 1] = "";
    for (int i = 0; i < 9; i++) {
        assert_int_equal(parse_with(HEAD_FIELD_PARENTS, parents), HEAD_OK);
        strcat(parents, i > 0 ? " 00000000000000e1" : "00000000000000e1");
    }
    assert_int_equal(parse_with(HEAD_FIELD_PARENTS, parents), HEAD_GARBLED);
}

static void descent(void **state)
{
    (void)state;
    struct head h;
    assert_int_equal(parse(&good, &h), HEAD_OK);
    assert_true(head_descends_from(&h, 0xe1));
    assert_true(head_descends_from(&h, 0xe0));
    assert_false(head_descends_from(&h, 0xe2)); // it is that one
    assert_false(head_descends_from(&h, 0));
}

static void ids(void **state)
{
    (void)state;
    char hex[HEAD_ID_HEX_LEN + 1];
    uint64_t id = 7;
    head_id_hex(UINT64_C(0x0123456789abcdef), hex);
    assert_string_equal(hex, "0123456789abcdef");
    assert_true(head_id_parse(slice_of(hex), &id));
    assert_true(id == UINT64_C(0x0123456789abcdef));
    assert_false(head_id_parse(SLICE_LIT("0123456789abcde"), &id));
    assert_false(head_id_parse(SLICE_LIT("0123456789abcdef0"), &id));
    assert_false(head_id_parse(SLICE_LIT("0123456789abcdeg"), &id));
    assert_false(head_id_parse(SLICE_NONE, &id));
    assert_true(id == UINT64_C(0x0123456789abcdef));
    assert_true(head_new_id() != head_new_id());
}

static void field_names(void **state)
{
    (void)state;
    assert_string_equal(head_field_names[HEAD_FIELD_FORMAT], "format");
    assert_string_equal(head_field_names[HEAD_FIELD_EPOCH], "epoch");
    assert_string_equal(head_field_names[HEAD_FIELD_PARENTS], "parents");
    assert_string_equal(head_field_names[HEAD_FIELD_REVISION], "rev");
    assert_string_equal(head_field_names[HEAD_FIELD_CHANGE], "change");
    assert_string_equal(head_field_names[HEAD_FIELD_DIGEST], "digest");
    assert_string_equal(head_field_names[HEAD_FIELD_MODELS], "models");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_head),
        cmocka_unit_test(absent_only_without_any_field),
        cmocka_unit_test(newer_format_may_change_the_rest),
        cmocka_unit_test(bounds),
        cmocka_unit_test(descent),
        cmocka_unit_test(ids),
        cmocka_unit_test(field_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
