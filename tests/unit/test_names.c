// SPDX-License-Identifier: Apache-2.0
#include "common/model/names.h"

#include <string.h>

#include "tests/support/test.h"

// n bytes of 'a' with head before them and tail after them.
static struct slice stretched(const char *head, size_t n, const char *tail)
{
    static char text[600];
    size_t len = strlen(head);
    memcpy(text, head, len);
    memset(text + len, 'a', n);
    memcpy(text + len + n, tail, strlen(tail));
    return slice_make(text, len + n + strlen(tail));
}

static void model_ids(void **state)
{
    (void)state;
    static const char *const good[] = {"a/b",
                                       "deepseek/deepseek-v4-pro",
                                       "~moonshotai/kimi-latest",
                                       "meta-llama/llama-3:free",
                                       "0.x_y-z/A",
                                       "fireworks_ai/accounts/fireworks/models/X*",
                                       "a//b",
                                       "a/../b",
                                       "a/.",
                                       "a/!$&'()*+,;=:@[]^`{|}<>~"};
    static const char *const bad[] = {
        "",      "a",      "/",     "a/",         "/b",         "A/b",   "-a/b", ".a/b",
        "_a/b",  "a~/b",   "a b/c", "a/b c",      "a/\"",       "a/\\",  "a/?",  "a/#",
        "a/%2F", "a/\x7f", "a/\t",  "a/\xc3\xa9", "\xc3\xa9/a", "a:b/c", "a+b/c"};
    for (size_t i = 0; i < CM_ARRAY_LEN(good); i++)
        if (!names_is_model_id(slice_of(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++)
        if (names_is_model_id(slice_of(bad[i])))
            fail_msg("accepted: %s", bad[i]);
    assert_false(names_is_model_id(slice_make("a/b\0c", 5)));
    assert_false(names_is_model_id(SLICE_NONE));
}

static void model_id_lengths(void **state)
{
    (void)state;
    assert_true(names_is_model_id(stretched("", NAMES_VENDOR_MAX, "/b")));
    assert_false(names_is_model_id(stretched("", NAMES_VENDOR_MAX + 1, "/b")));
    assert_true(names_is_model_id(stretched("v/", NAMES_MODEL_NAME_MAX, "")));
    assert_false(names_is_model_id(stretched("v/", NAMES_MODEL_NAME_MAX + 1, "")));
    // A slash of the name counts as one of its bytes.
    assert_true(names_is_model_id(stretched("v/x/", NAMES_MODEL_NAME_MAX - 2, "")));
    assert_false(names_is_model_id(stretched("v/x/", NAMES_MODEL_NAME_MAX - 1, "")));
}

static void aliases(void **state)
{
    (void)state;
    assert_true(names_is_alias(slice_of("x"), false));
    assert_false(names_is_alias(slice_of("x"), true));
    assert_true(names_is_alias(slice_of("xy"), true));
    assert_true(names_is_alias(slice_of("/"), false));
    assert_true(names_is_alias(slice_of("Claude-Opus/4.8:beta"), true));
    assert_true(names_is_alias(stretched("", NAMES_ALIAS_MAX, ""), true));
    assert_false(names_is_alias(stretched("", NAMES_ALIAS_MAX + 1, ""), false));
    assert_false(names_is_alias(SLICE_NONE, false));
    assert_false(names_is_alias(slice_of("a b"), false));
    assert_false(names_is_alias(slice_of("a\xc3\xa9"), false));
}

// The character rule, byte for byte.
static void every_byte(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool want = c > 0x20 && c < 0x7f && strchr("\"\\?#%", c) == NULL;
        assert_int_equal(names_is_alias(slice_make(&byte, 1), false), want);
    }
}

static void vendors(void **state)
{
    (void)state;
    assert_slice(names_vendor(slice_of("openai/gpt/5")), "openai");
    assert_slice(names_vendor(slice_of("/x")), "");
    assert_slice(names_vendor(slice_of("gpt")), "");
    assert_slice(names_vendor(SLICE_NONE), "");
}

static void key_ids(void **state)
{
    (void)state;
    assert_true(names_is_key_id(slice_of("key_01ARYZ6S41TSV4RRFFQ69G5FAV")));
    assert_true(names_is_key_id(slice_of("key_01aryz6s41tsv4rrffq69g5fav")));
    assert_false(names_is_key_id(slice_of("key_01ARYZ6S41TSV4RRFFQ69G5FA")));
    assert_false(names_is_key_id(slice_of("key_01ARYZ6S41TSV4RRFFQ69G5FAVV")));
    assert_false(names_is_key_id(slice_of("kex_01ARYZ6S41TSV4RRFFQ69G5FAV")));
    for (const char *c = "ILOUilou-/_{@[`:"; *c != '\0'; c++) {
        char id[] = "key_01ARYZ6S41TSV4RRFFQ69G5FAV";
        id[20] = *c;
        assert_false(names_is_key_id(slice_of(id)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_ids), cmocka_unit_test(model_id_lengths),
        cmocka_unit_test(aliases),   cmocka_unit_test(every_byte),
        cmocka_unit_test(vendors),   cmocka_unit_test(key_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
