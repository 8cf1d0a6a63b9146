// SPDX-License-Identifier: Apache-2.0
#include "services/public_path.h"

#include <string.h>

#include "tests/support/test.h"

static void assert_route(const char *method, const char *path, enum public_route route)
{
    struct public_path p = public_path_read(slice_of(method), slice_of(path));
    if (p.route != route)
        fail_msg("%s %s: route %d, want %d", method, path, (int)p.route, (int)route);
}

static void routes(void **state)
{
    (void)state;
    assert_route("GET", "/v1/models", PUBLIC_ROUTE_LIST);
    assert_route("HEAD", "/v1/models", PUBLIC_ROUTE_LIST);
    assert_route("GET", "/v1/models/", PUBLIC_ROUTE_MODEL);
    assert_route("HEAD", "/v1/models/a/b", PUBLIC_ROUTE_MODEL);
    assert_route("OPTIONS", "/v1/models", PUBLIC_ROUTE_PREFLIGHT);
    assert_route("OPTIONS", "/v1/models/a/b", PUBLIC_ROUTE_PREFLIGHT);
    assert_route("POST", "/v1/models", PUBLIC_ROUTE_WRONG_METHOD);
    assert_route("DELETE", "/v1/models/a", PUBLIC_ROUTE_WRONG_METHOD);
    assert_route("get", "/v1/models", PUBLIC_ROUTE_WRONG_METHOD);
    assert_route("GETT", "/v1/models", PUBLIC_ROUTE_WRONG_METHOD);
}

static void the_whole_url_will_do(void **state)
{
    (void)state;
    assert_route("GET", "http://x/v1/models", PUBLIC_ROUTE_LIST);
    assert_route("GET", "HTTPS://x:8080/v1/models/a/b", PUBLIC_ROUTE_MODEL);
    assert_route("OPTIONS", "http://x/v1/models", PUBLIC_ROUTE_PREFLIGHT);
    assert_route("GET", "http:///v1/models", PUBLIC_ROUTE_LIST);
    assert_route("GET", "http://", PUBLIC_ROUTE_UNKNOWN);
    assert_route("GET", "http://x", PUBLIC_ROUTE_UNKNOWN);
    assert_route("GET", "http://v1/models", PUBLIC_ROUTE_UNKNOWN);
    assert_route("GET", "ftp://x/v1/models", PUBLIC_ROUTE_UNKNOWN);
    struct public_path p =
        public_path_read(SLICE_LIT("GET"), SLICE_LIT("http://x/v1/models/http://y/z"));
    assert_slice(p.name, "http://y/z");
}

static void nothing_else_is_known(void **state)
{
    (void)state;
    static const char *const paths[] = {"",
                                        "/",
                                        "*",
                                        "/v1",
                                        "/v1/",
                                        "/v1/model",
                                        "/v1/modelsx",
                                        "/V1/models",
                                        "//v1/models",
                                        "/v1//models",
                                        "/v1/Models",
                                        "/v1/models%2Fa",
                                        "/v1/%6dodels",
                                        "/v1/./models",
                                        "/x/../v1/models",
                                        "v1/models",
                                        "/v1/models;a"};
    static const char *const methods[] = {"GET", "OPTIONS", "POST"};
    for (size_t i = 0; i < CM_ARRAY_LEN(paths); i++)
        for (size_t j = 0; j < CM_ARRAY_LEN(methods); j++)
            assert_route(methods[j], paths[i], PUBLIC_ROUTE_UNKNOWN);
}

static void the_name_is_all_that_follows(void **state)
{
    (void)state;
    static const char *const names[] = {"",     "a",   "a/b", "a%2Fb",   "/a",
                                        "a//b", "a/",  "./a", "../a",    "a/../b",
                                        "a+b",  "%zz", "a&b", "a@!$'()", ";a=b"};
    for (size_t i = 0; i < CM_ARRAY_LEN(names); i++) {
        char path[64] = "/v1/models/";
        strcat(path, names[i]);
        struct public_path p = public_path_read(SLICE_LIT("GET"), slice_of(path));
        assert_int_equal(p.route, PUBLIC_ROUTE_MODEL);
        assert_slice(p.name, names[i]);
    }
}

static void assert_decodes(const char *name, const char *want, bool names_a_model)
{
    char out[128];
    struct slice decoded;
    bool ok = public_path_decode(slice_of(name), out, &decoded);
    if (ok != names_a_model)
        fail_msg("'%s' %s a name", name, ok ? "is" : "is not");
    assert_slice(decoded, want);
}

static void decoding(void **state)
{
    (void)state;
    assert_decodes("", "", true);
    assert_decodes("a/b", "a/b", true);
    assert_decodes("a%2Fb", "a/b", true);
    assert_decodes("a%2fb", "a/b", true);
    assert_decodes("a+b%2B", "a+b+", true);
    assert_decodes("%5B1m%5D", "[1m]", true);
    assert_decodes("a%252Fb", "a%2Fb", true); // once
    assert_decodes("%25", "%", true);
    assert_decodes("%E2%82%AC", "\xE2\x82\xAC", true);
    assert_decodes("\xE2\x82\xAC", "\xE2\x82\xAC", true);
}

static void names_of_nobody(void **state)
{
    (void)state;
    assert_decodes("%", "%", false);
    assert_decodes("a%", "a%", false);
    assert_decodes("a%2", "a%2", false);
    assert_decodes("%zz", "%zz", false);
    assert_decodes("%2", "%2", false);
    assert_decodes("%%41", "%A", false);
    assert_decodes("% 1", "% 1", false);
    assert_decodes("%FF", "\xFF", false);
    assert_decodes("a\x80", "a\x80", false);
    assert_decodes("%C0%AF", "\xC0\xAF", false);        // overlong
    assert_decodes("%ED%A0%80", "\xED\xA0\x80", false); // surrogate
    char out[8];
    struct slice decoded;
    assert_false(public_path_decode(SLICE_LIT("a%00b"), out, &decoded));
    assert_true(slice_equal(decoded, slice_make("a\0b", 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes),
        cmocka_unit_test(the_whole_url_will_do),
        cmocka_unit_test(nothing_else_is_known),
        cmocka_unit_test(the_name_is_all_that_follows),
        cmocka_unit_test(decoding),
        cmocka_unit_test(names_of_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
