// SPDX-License-Identifier: Apache-2.0
#include "common/model/doc.h"

#include <string.h>

#include "tests/support/test.h"

static struct slice written(const json_t *doc)
{
    static struct buf out;
    buf_clear(&out);
    doc_write(&out, doc);
    return slice_of(buf_cstr(&out));
}

static void assert_round_trip(const char *text, const char *want)
{
    struct doc_error error;
    json_t *doc = doc_parse(slice_of(text), &error);
    if (doc == NULL)
        fail_msg("%s: %s at %d:%d", text, error.text, error.line, error.column);
    assert_slice(written(doc), want);
    json_decref(doc);
}

static void assert_refused(struct slice text, int line, int column, const char *want)
{
    struct doc_error error = {0, 0, ""};
    json_t *doc = doc_parse(text, &error);
    if (doc != NULL)
        fail_msg("accepted: %.*s", SLICE_FMT(text));
    if (error.line != line || error.column != column || strcmp(error.text, want) != 0)
        fail_msg("%.*s: got %d:%d '%s', want %d:%d '%s'", SLICE_FMT(text), error.line, error.column,
                 error.text, line, column, want);
}

static void any_value(void **state)
{
    (void)state;
    assert_round_trip(" null ", "null");
    assert_round_trip("true", "true");
    assert_round_trip("false", "false");
    assert_round_trip("\"x\"", "\"x\"");
    assert_round_trip("-9223372036854775808", "-9223372036854775808");
    assert_round_trip("[ ]", "[]");
    assert_round_trip("{ }", "{}");
    assert_round_trip("{\"a\" : [ {}, [], {\"b\":{}} ,1] , \"c\":{}}",
                      "{\"a\":[{},[],{\"b\":{}},1],\"c\":{}}");
}

static void insertion_order_is_kept(void **state)
{
    (void)state;
    // Many members, so that the hash table grows and is laid out anew.
    struct buf text = {0};
    for (int i = 0; i < 200; i++)
        buf_printf(&text, "%s\"k%d\":%d", i == 0 ? "{" : ",", i * 7919 % 200, i);
    buf_append_char(&text, '}');
    struct doc_error error;
    json_t *doc = doc_parse(buf_slice(&text), &error);
    assert_non_null(doc);
    assert_slice(written(doc), buf_cstr(&text));
    // A replaced value keeps its place; a removed and added one goes last.
    json_t *small = json_pack("{s:i,s:i,s:i}", "z", 1, "y", 2, "x", 3);
    json_object_set_new(small, "z", json_integer(9));
    assert_slice(written(small), "{\"z\":9,\"y\":2,\"x\":3}");
    json_object_del(small, "z");
    json_object_set_new(small, "z", json_integer(1));
    assert_slice(written(small), "{\"y\":2,\"x\":3,\"z\":1}");
    json_decref(small);
    json_decref(doc);
    buf_fini(&text);
}

static void strings_are_escaped_as_little_as_possible(void **state)
{
    (void)state;
    assert_round_trip("\"\"", "\"\"");
    assert_round_trip("\"a\\/b\"", "\"a/b\"");
    assert_round_trip("\"\\\"\\\\\\b\\f\\n\\r\\t\\u001f\"", "\"\\\"\\\\\\b\\f\\n\\r\\t\\u001f\"");
    assert_round_trip("\"\\u00e9 \\ud83d\\ude00\"", "\"\xc3\xa9 \xf0\x9f\x98\x80\"");
    assert_round_trip("\"\x7f\"", "\"\x7f\"");
    assert_round_trip("{\"\\\"k\":1}", "{\"\\\"k\":1}");
}

static void bad_bytes_become_replacement_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {{"a\xff"
                 "b",
                 "\"a\xef\xbf\xbd"
                 "b\""},
                {"\xc3", "\"\xef\xbf\xbd\""},
                {"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
                {"\xe2\x82\xac", "\"\xe2\x82\xac\""},
                {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
                {"\xc3\"", "\"\xef\xbf\xbd\\\"\""}};
    for (size_t i = 0; i < CM_ARRAY_LEN(rows); i++) {
        struct buf out = {0};
        doc_write_string(&out, slice_of(rows[i].text));
        assert_slice(buf_slice(&out), rows[i].want);
        buf_fini(&out);
    }
    struct buf out = {0};
    doc_write_string(&out, slice_make("a\0b", 3));
    assert_slice(buf_slice(&out), "\"a\\u0000b\"");
    buf_fini(&out);
}

static void reals_stay_reals(void **state)
{
    (void)state;
    assert_round_trip("0.1", "0.1");
    assert_round_trip("2000000.0", "2000000.0");
    assert_round_trip("1e300", "1e+300");
    assert_round_trip("0.30000000000000004", "0.30000000000000004");
    assert_round_trip("-0.0", "-0.0");
}

static void positions_and_reasons(void **state)
{
    (void)state;
    assert_refused(slice_of(""), 1, 1, "unexpected token near end of file");
    assert_refused(slice_of("{\"a\": x}"), 1, 7, "invalid token");
    assert_refused(slice_of("{\"a\": 1\n \"b\": 2}"), 2, 4, "'}' expected");
    assert_refused(slice_of("[1,\n2,\n\n  tru]"), 4, 5, "invalid token");
    assert_refused(slice_of("[\"\xc3\xa9\", x]"), 1, 7, "invalid token"); // characters, not bytes
    assert_refused(slice_of("[1,"), 1, 3, "']' expected near end of file");
    assert_refused(slice_of("[1,\n"), 2, 1, "']' expected near end of file");
    assert_refused(slice_of("[1]\n x"), 2, 2, "end of file expected");
    assert_refused(slice_make("[1]\0", 4), 1, 4, "end of file expected near end of file");
    assert_refused(slice_of("\"abc"), 1, 4, "premature end of input");
    assert_refused(slice_of("[1,]"), 1, 4, "unexpected token");
    assert_refused(slice_of("\xef\xbb\xbf{}"), 1, 1, "invalid token"); // byte order mark
    assert_refused(slice_of("[1e999]"), 1, 6, "real number overflow");
    assert_refused(slice_of("99999999999999999999"), 1, 20, "too big integer");
}

static void characters_that_json_or_we_forbid(void **state)
{
    (void)state;
    assert_refused(slice_of("[\"\xff\"]"), 1, 3, "invalid UTF-8");
    assert_refused(slice_of("[\"\xc3\xa9\",\"\xc3\xa9\xff\"]"), 1, 8, "invalid UTF-8");
    assert_refused(slice_of("[\n\"\xe2\x82"), 2, 2, "invalid UTF-8");
    assert_refused(slice_of("\"\xc0\xaf\""), 1, 2, "invalid UTF-8");
    assert_refused(slice_of("\"\xed\xa0\x80\""), 1, 2, "invalid UTF-8");
    assert_refused(slice_of("\"\xf4\x90\x80\x80\""), 1, 2, "invalid UTF-8");
    assert_refused(slice_of("\"\\u0000\""), 1, 8, "NUL characters are not allowed");
    assert_refused(slice_of("{\"a\\u0000\":1}"), 1, 10, "NUL characters are not allowed");
    assert_refused(slice_make("[\"a\0b\"]", 7), 1, 3, "control character 0x0");
    assert_refused(slice_of("\"a\nb\""), 1, 2, "unexpected newline");
    assert_refused(slice_of("\"\\ud800\""), 1, 8, "invalid Unicode escape");
    assert_refused(slice_of("\"\\ud83d\\u0041\""), 1, 14, "invalid Unicode escape");
}

static void duplicate_keys_at_any_depth(void **state)
{
    (void)state;
    assert_refused(slice_of("{\"a\":1,\n\"a\":2}"), 2, 3, "duplicate object key");
    assert_refused(slice_of("[{\"b\":{\"a\":1,\"\\u0061\":2}}]"), 1, 21, "duplicate object key");
    assert_round_trip("{\"a\":{\"a\":1},\"b\":{\"a\":1}}", "{\"a\":{\"a\":1},\"b\":{\"a\":1}}");
}

static void reasons_quote_nothing(void **state)
{
    (void)state;
    struct doc_error error;
    assert_null(doc_parse(slice_of("{\"secret\":cmsecret}"), &error));
    assert_null(strstr(error.text, "secret"));
    assert_null(doc_parse(slice_of("{\"secret\":1,\"secret\":2}"), &error));
    assert_null(strstr(error.text, "secret"));
    assert_null(doc_parse(slice_of("\"\\usecr\""), &error));
    assert_null(strstr(error.text, "secr"));
}

static struct slice nested(char open, char close, size_t depth)
{
    static struct buf text;
    buf_clear(&text);
    for (size_t i = 0; i < depth; i++)
        buf_append_str(&text, open == '[' ? "[" : i == depth - 1 ? "{" : "{\"k\":");
    for (size_t i = 0; i < depth; i++)
        buf_append_char(&text, close);
    return buf_slice(&text);
}

static void depth_is_limited(void **state)
{
    (void)state;
    struct doc_error error;
    json_t *doc = doc_parse(nested('[', ']', DOC_DEPTH_MAX), &error);
    assert_non_null(doc);
    json_decref(doc);
    doc = doc_parse(nested('{', '}', DOC_DEPTH_MAX), &error);
    assert_non_null(doc);
    json_decref(doc);
    assert_refused(nested('[', ']', DOC_DEPTH_MAX + 1), 1, 65, "nesting is deeper than 64");
    assert_refused(nested('{', '}', DOC_DEPTH_MAX + 1), 1, 5 * 64 + 1, "nesting is deeper than 64");
    assert_refused(nested('[', ']', 1000000), 1, 65, "nesting is deeper than 64");
    // Neighbours do not nest.
    struct buf row = {0};
    for (int i = 0; i < 100; i++)
        buf_append_str(&row, i == 0 ? "[[{}]" : ",[{}]");
    buf_append_char(&row, ']');
    doc = doc_parse(buf_slice(&row), &error);
    assert_non_null(doc);
    json_decref(doc);
    buf_fini(&row);
    // Brackets in strings do not nest, also after an escaped quote.
    char text[300] = "[\"\\\"";
    memset(text + strlen(text), '[', 200);
    strcat(text, "\\\\\"]");
    doc = doc_parse(slice_of(text), &error);
    assert_non_null(doc);
    json_decref(doc);
}

static void strings_as_slices(void **state)
{
    (void)state;
    json_t *text = json_string("x\xc3\xa9"), *number = json_integer(1);
    assert_slice(doc_string(text), "x\xc3\xa9");
    assert_null(doc_string(number).ptr);
    assert_null(doc_string(NULL).ptr);
    json_decref(text);
    json_decref(number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_value),
        cmocka_unit_test(insertion_order_is_kept),
        cmocka_unit_test(strings_are_escaped_as_little_as_possible),
        cmocka_unit_test(bad_bytes_become_replacement_characters),
        cmocka_unit_test(reals_stay_reals),
        cmocka_unit_test(positions_and_reasons),
        cmocka_unit_test(characters_that_json_or_we_forbid),
        cmocka_unit_test(duplicate_keys_at_any_depth),
        cmocka_unit_test(reasons_quote_nothing),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(strings_as_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
