// SPDX-License-Identifier: Apache-2.0
#include "common/model/public_error.h"

#include <jansson.h>
#include <string.h>

#include "common/model/doc.h"
#include "tests/support/test.h"

#define REQUEST_ID "req_cm_00000000000000000000000000000001"

static const struct error_subject subject = {
    .model = {"foo/bar", 7}, .method = {"GET", 3}, .path = {"/v2/x", 5}};

static void assert_body(enum public_error error, enum dialect dialect,
                        const struct error_subject *about, const char *want)
{
    struct buf out = {0};
    public_error_write(&out, error, dialect, about, SLICE_LIT(REQUEST_ID));
    assert_slice(buf_slice(&out), want);
    buf_fini(&out);
    struct slice fixed = public_error_fixed(error, dialect);
    if (fixed.len > 0)
        assert_slice(fixed, want);
}

#define OPENAI(message, type, code)                                                                \
    "{\"error\":{\"message\":\"" message "\",\"type\":\"" type                                     \
    "\",\"param\":null,\"code\":\"" code "\"}}"
#define ANTHROPIC(type, message)                                                                   \
    "{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" message                  \
    "\"},\"request_id\":\"" REQUEST_ID "\"}"

static void whole_table(void **state)
{
    static const struct {
        enum public_error error;
        int status;
        const char *openai, *anthropic;
    } rows[] = {
        {PUBLIC_MISSING_KEY, 401,
         OPENAI("Missing Bearer token in Authorization header.", "authentication_error",
                "missing_api_key"),
         ANTHROPIC("authentication_error", "Missing Bearer token in Authorization header.")},
        {PUBLIC_INVALID_KEY, 401,
         OPENAI("Invalid API key.", "authentication_error", "invalid_api_key"),
         ANTHROPIC("authentication_error", "Invalid API key.")},
        {PUBLIC_MODEL_NOT_FOUND, 404,
         OPENAI("Model 'foo/bar' was not found or is unavailable.", "invalid_request_error",
                "model_not_found"),
         ANTHROPIC("not_found_error", "Model 'foo/bar' was not found or is unavailable.")},
        {PUBLIC_UNKNOWN_URL, 404,
         OPENAI("Unknown request URL: GET /v2/x.", "invalid_request_error", "unknown_url"),
         ANTHROPIC("not_found_error", "Unknown request URL: GET /v2/x.")},
        {PUBLIC_METHOD_NOT_ALLOWED, 405,
         OPENAI("Method GET is not allowed for /v2/x.", "invalid_request_error",
                "method_not_allowed"),
         ANTHROPIC("invalid_request_error", "Method GET is not allowed for /v2/x.")},
        {PUBLIC_BAD_REQUEST, 400,
         OPENAI("The request could not be understood.", "invalid_request_error", "bad_request"),
         ANTHROPIC("invalid_request_error", "The request could not be understood.")},
        {PUBLIC_TOO_LARGE, 413,
         OPENAI("The request is too large.", "invalid_request_error", "request_too_large"),
         ANTHROPIC("request_too_large", "The request is too large.")},
        {PUBLIC_HEAD_TOO_LARGE, 431,
         OPENAI("The request's head is too large.", "invalid_request_error",
                "request_header_too_large"),
         ANTHROPIC("request_too_large", "The request's head is too large.")},
        {PUBLIC_INTERNAL, 500, OPENAI("Internal error.", "api_error", "internal_error"),
         ANTHROPIC("api_error", "Internal error.")},
    };
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(rows); i++) {
        assert_int_equal(public_error_status(rows[i].error), rows[i].status);
        assert_body(rows[i].error, DIALECT_OPENAI, &subject, rows[i].openai);
        assert_body(rows[i].error, DIALECT_ANTHROPIC, &subject, rows[i].anthropic);
    }
}

static void assert_name(struct slice name, const char *shown)
{
    char want[2048];
    snprintf(want, sizeof(want),
             OPENAI("Model '%s' was not found or is unavailable.", "invalid_request_error",
                    "model_not_found"),
             shown);
    assert_body(PUBLIC_MODEL_NOT_FOUND, DIALECT_OPENAI, &(struct error_subject){.model = name},
                want);
}

static void names_are_escaped(void **state)
{
    (void)state;
    assert_name(SLICE_NONE, "");
    assert_name(SLICE_LIT("a\"b\\c/d'e"), "a\\\"b\\\\c/d'e");
    assert_name(SLICE_LIT("</script>\x7f"), "</script>\x7f");
    assert_name(SLICE_LIT("\xc3\xa9\xf0\x9f\x98\x80"), "\xc3\xa9\xf0\x9f\x98\x80");
    assert_name(SLICE_LIT("a\xff"
                          "b"),
                "a\xef\xbf\xbd"
                "b");
    assert_name(SLICE_LIT("x\xc3"), "x\xef\xbf\xbd");
}

// What control characters look like is doc's business; here, that they are escaped.
static void control_characters(void **state)
{
    static const char raw[] = "a\0b\nc\x1f";
    struct buf out = {0};
    (void)state;
    public_error_write(&out, PUBLIC_MODEL_NOT_FOUND, DIALECT_ANTHROPIC,
                       &(struct error_subject){.model = SLICE_LIT(raw)}, SLICE_LIT(REQUEST_ID));
    json_error_t error;
    json_t *doc = json_loadb(out.ptr, out.len, JSON_ALLOW_NUL, &error);
    assert_non_null(doc);
    json_t *message = json_object_get(json_object_get(doc, "error"), "message");
    static const char want[] = "Model 'a\0b\nc\x1f' was not found or is unavailable.";
    assert_int_equal(json_string_length(message), sizeof(want) - 1);
    assert_memory_equal(json_string_value(message), want, sizeof(want) - 1);
    json_decref(doc);
    buf_fini(&out);
}

static void names_are_cut(void **state)
{
    char name[600];
    char shown[600];
    (void)state;
    memset(name, 'n', sizeof(name));
    memset(shown, 'n', sizeof(shown));
    shown[256] = '\0';
    assert_name(slice_make(name, 256), shown);
    assert_name(slice_make(name, 257), shown);
    // A character of two bytes that ends at 257 goes as a whole.
    memcpy(name + 255, "\xc3\xa9", 2);
    shown[255] = '\0';
    assert_name(slice_make(name, sizeof(name)), shown);
    memcpy(name + 254, "\xc3\xa9n", 3);
    memcpy(shown + 254, "\xc3\xa9", 3);
    assert_name(slice_make(name, sizeof(name)), shown);
}

static void methods_and_paths_are_cut(void **state)
{
    char path[5000];
    struct buf want = {0};
    (void)state;
    memset(path, 'p', sizeof(path));
    buf_append_str(&want, "{\"error\":{\"message\":\"Unknown request URL: GET ");
    buf_append(&want, path, 256);
    buf_append_str(&want, ".\",\"type\":\"invalid_request_error\",\"param\":null,"
                          "\"code\":\"unknown_url\"}}");
    const struct error_subject about = {.method = {"GET", 3}, .path = {path, sizeof(path)}};
    assert_body(PUBLIC_UNKNOWN_URL, DIALECT_OPENAI, &about, buf_cstr(&want));

    buf_clear(&want);
    buf_append_str(&want, "{\"error\":{\"message\":\"Method ");
    buf_append(&want, path, 256);
    buf_append_str(&want, " is not allowed for /\\\".\",\"type\":\"invalid_request_error\","
                          "\"param\":null,\"code\":\"method_not_allowed\"}}");
    const struct error_subject odd = {.method = {path, sizeof(path)}, .path = {"/\"", 2}};
    assert_body(PUBLIC_METHOD_NOT_ALLOWED, DIALECT_OPENAI, &odd, buf_cstr(&want));
    buf_fini(&want);
}

// The same to everybody: no name, no id of a request.
static void fixed_ones(void **state)
{
    (void)state;
    const enum public_error named[] = {PUBLIC_MODEL_NOT_FOUND, PUBLIC_UNKNOWN_URL,
                                       PUBLIC_METHOD_NOT_ALLOWED};
    struct slice first = public_error_fixed(PUBLIC_INVALID_KEY, DIALECT_OPENAI);
    assert_true(first.len > 0);
    assert_ptr_equal(public_error_fixed(PUBLIC_INVALID_KEY, DIALECT_OPENAI).ptr, first.ptr);
    assert_int_equal(public_error_fixed(PUBLIC_INVALID_KEY, DIALECT_ANTHROPIC).len, 0);
    for (size_t i = 0; i < CM_ARRAY_LEN(named); i++)
        assert_int_equal(public_error_fixed(named[i], DIALECT_OPENAI).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_table),       cmocka_unit_test(fixed_ones),
        cmocka_unit_test(names_are_escaped), cmocka_unit_test(control_characters),
        cmocka_unit_test(names_are_cut),     cmocka_unit_test(methods_and_paths_are_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
