// SPDX-License-Identifier: Apache-2.0
#include "common/model/mistakes.h"

#include <string.h>

#include "tests/support/test.h"

static const char *const known[] = {"tags", "name", "display_name", "created"};

static void texts_are_copied_and_cut_on_characters(void **state)
{
    (void)state;
    struct mistakes m;
    mistakes_init(&m);
    char long_text[400];
    memset(long_text, 'x', sizeof(long_text));
    memcpy(long_text + MISTAKE_DETAIL_MAX - 2, "\xc3\xa9", 3);
    mistakes_add(&m, "#/a", "invalid", "%s", long_text);
    assert_int_equal(m.count, 1);
    assert_string_equal(m.items[0].pointer, "#/a");
    assert_string_equal(m.items[0].code, "invalid");
    assert_int_equal(strlen(m.items[0].detail), MISTAKE_DETAIL_MAX - 2);
    long_text[200] = '\0';
    mistakes_add(&m, long_text, "invalid", "%d", 7);
    assert_int_equal(strlen(m.items[1].pointer), MISTAKE_POINTER_MAX - 1);
    assert_string_equal(m.items[1].detail, "7");
}

static void too_many_are_only_counted(void **state)
{
    (void)state;
    struct mistakes m;
    mistakes_init(&m);
    for (int i = 0; i < MISTAKES_MAX + 9; i++)
        mistakes_add(&m, "#", "invalid", "%d", i);
    assert_int_equal(m.count, MISTAKES_MAX + 9);
    assert_string_equal(m.items[MISTAKES_MAX - 1].detail, "31");
    mistakes_prefix(&m, MISTAKES_MAX - 1, "#/p");
    assert_string_equal(m.items[MISTAKES_MAX - 2].pointer, "#");
    assert_string_equal(m.items[MISTAKES_MAX - 1].pointer, "#/p");
    mistakes_add(NULL, "#", "invalid", "nobody asks");
}

static void assert_unknown(const char *member, const char *pointer, const char *detail)
{
    struct mistakes m;
    mistakes_init(&m);
    mistakes_add_unknown(&m, "#/x", slice_of(member), known, CM_ARRAY_LEN(known));
    assert_int_equal(m.count, 1);
    assert_string_equal(m.items[0].code, "unknown_field");
    assert_string_equal(m.items[0].pointer, pointer);
    assert_string_equal(m.items[0].detail, detail);
}

static void unknown_fields_name_the_nearest(void **state)
{
    (void)state;
    assert_unknown("tag", "#/x/tag", "unknown field; did you mean \"tags\"?");
    assert_unknown("displayname", "#/x/displayname",
                   "unknown field; did you mean \"display_name\"?");
    assert_unknown("craeted", "#/x/craeted", "unknown field; did you mean \"created\"?");
    assert_unknown("creation", "#/x/creation", "unknown field");
    assert_unknown("", "#/x/", "unknown field");
}

static void pointers_are_escaped(void **state)
{
    (void)state;
    char out[MISTAKE_POINTER_MAX];
    mistake_pointer(out, "#", slice_of("a/b~c"));
    assert_string_equal(out, "#/a~1b~0c");
    mistake_pointer(out, "#/capabilities", slice_of("a \"%\xc3\xa9#"));
    assert_string_equal(out, "#/capabilities/a%20%22%25%C3%A9%23");
    mistake_pointer(out, "#", slice_of("-._!$&'()*+,;=:@?"));
    assert_string_equal(out, "#/-._!$&'()*+,;=:@?");
    mistake_pointer(out, "#", SLICE_NONE);
    assert_string_equal(out, "#/");
    mistake_pointer_index(out, "#/aliases", 12);
    assert_string_equal(out, "#/aliases/12");
}

static void pointers_are_cut_between_escapes(void **state)
{
    (void)state;
    char out[MISTAKE_POINTER_MAX];
    for (size_t pad = 0; pad < 3; pad++) {
        char member[200];
        memset(member, ' ', sizeof(member));
        memset(member, 'x', pad);
        mistake_pointer(out, "#", slice_make(member, sizeof(member)));
        size_t len = strlen(out);
        assert_true(len < MISTAKE_POINTER_MAX && len + 3 >= MISTAKE_POINTER_MAX);
        assert_string_equal(out + len - 3, "%20");
    }
    char base[MISTAKE_POINTER_MAX];
    memset(base, 'b', sizeof(base));
    base[sizeof(base) - 1] = '\0';
    mistake_pointer(out, base, slice_of("more"));
    assert_string_equal(out, base);
}

static void a_part_is_put_in_its_place(void **state)
{
    (void)state;
    struct mistakes m;
    mistakes_init(&m);
    mistakes_add(&m, "#/kept", "invalid", "x");
    mistakes_add(&m, "#", "invalid", "x");
    mistakes_add(&m, "#/name", "invalid", "x");
    mistakes_prefix(&m, 1, "#/models/3");
    assert_string_equal(m.items[0].pointer, "#/kept");
    assert_string_equal(m.items[1].pointer, "#/models/3");
    assert_string_equal(m.items[2].pointer, "#/models/3/name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_copied_and_cut_on_characters),
        cmocka_unit_test(too_many_are_only_counted),
        cmocka_unit_test(unknown_fields_name_the_nearest),
        cmocka_unit_test(pointers_are_escaped),
        cmocka_unit_test(pointers_are_cut_between_escapes),
        cmocka_unit_test(a_part_is_put_in_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
