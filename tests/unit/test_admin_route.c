// SPDX-License-Identifier: Apache-2.0
// Paths to routes, percent escapes, and the strict query string.
#include <string.h>

#include "admin/query.h"
#include "admin/route.h"
#include "tests/support/test.h"

static void handle(struct request *r)
{
    (void)r;
}

static const struct route table[] = {
    {"GET", "/models", 0, "", handle},
    {"GET", "/models/{id...}", 0, "", handle},
    {"PUT", "/models/{id...}", 0, "", handle},
    {"GET", "/keys/{id}", 0, "", handle},
    {"POST", "/keys/{id}/rotate", 0, "", handle},
    {"GET", "/keys/{id}/aliases/{exact|prefix}/{name...}", 0, "", handle},
};

static void finds(const char *method, const char *path, int row, const char *args)
{
    struct route_match match;
    struct buf allow = {.len = 0}, got = {.len = 0};
    assert_int_equal(
        route_find(table, CM_ARRAY_LEN(table), slice_of(method), slice_of(path), &match, &allow),
        ROUTE_FOUND);
    assert_ptr_equal(match.route, &table[row]);
    assert_int_equal(allow.len, 0);
    for (size_t i = 0; i < match.arg_count; i++) {
        buf_append_str(&got, i > 0 ? " " : "");
        buf_append_slice(&got, match.args[i]);
    }
    assert_slice(buf_slice(&got), args);
    buf_fini(&got);
    buf_fini(&allow);
}

static void misses(const char *method, const char *path, enum route_status status,
                   const char *allowed)
{
    struct route_match match = {.route = NULL};
    struct buf allow = {.len = 0};
    assert_int_equal(
        route_find(table, CM_ARRAY_LEN(table), slice_of(method), slice_of(path), &match, &allow),
        status);
    assert_null(match.route);
    assert_slice(buf_slice(&allow), allowed);
    buf_fini(&allow);
}

static void paths(void **state)
{
    (void)state;
    finds("GET", "/models", 0, "");
    finds("HEAD", "/models", 0, "");
    finds("GET", "/models/a/b", 1, "a/b");
    finds("PUT", "/models/a%2Fb/c", 2, "a%2Fb/c");
    finds("GET", "/models/a/", 1, "a/");
    finds("GET", "/keys/k", 3, "k");
    finds("POST", "/keys/k/rotate", 4, "k");
    finds("GET", "/keys/k/aliases/prefix/x/y", 5, "k prefix x/y");
    misses("GET", "/models/", ROUTE_NO_PATH, "");
    misses("GET", "/", ROUTE_NO_PATH, "");
    misses("GET", "", ROUTE_NO_PATH, "");
    misses("GET", "models", ROUTE_NO_PATH, "");
    misses("GET", "/modelsx", ROUTE_NO_PATH, "");
    misses("GET", "/Models", ROUTE_NO_PATH, "");
    misses("GET", "//models", ROUTE_NO_PATH, "");
    misses("GET", "/keys", ROUTE_NO_PATH, "");
    misses("GET", "/keys/", ROUTE_NO_PATH, "");
    misses("GET", "/keys//rotate", ROUTE_NO_PATH, "");
    misses("GET", "/keys/k/", ROUTE_NO_PATH, "");
    misses("GET", "/keys/k/rotate/x", ROUTE_NO_PATH, "");
    misses("GET", "/keys/k/aliases/suffix/x", ROUTE_NO_PATH, "");
    misses("GET", "/keys/k/aliases/exact/", ROUTE_NO_PATH, "");
    misses("GET", "/keys/k/aliases/exact", ROUTE_NO_PATH, "");
    misses("DELETE", "/models/a/b", ROUTE_NO_METHOD, "GET, HEAD, PUT");
    misses("get", "/models", ROUTE_NO_METHOD, "GET, HEAD");
    misses("HEAD", "/keys/k/rotate", ROUTE_NO_METHOD, "POST");
}

static void decodes(const char *raw, bool plus, const char *wanted)
{
    char out[64];
    size_t len = 99;
    bool ok = route_decode(slice_of(raw), plus, out, &len);
    assert_int_equal(ok, wanted != NULL);
    if (wanted == NULL)
        assert_int_equal(len, 99);
    else
        assert_slice(slice_make(out, len), wanted);
}

static void escapes(void **state)
{
    (void)state;
    decodes("a%2Fb%2fc", false, "a/b/c");
    decodes("a+b", false, "a+b");
    decodes("a+b%2B", true, "a b+");
    decodes("%25%32%35", false, "%25");
    decodes("%E2%82%AC", false, "\xE2\x82\xAC");
    decodes("", false, "");
    decodes("%", false, NULL);
    decodes("a%2", false, NULL);
    decodes("%zz", false, NULL);
    decodes("%00", false, NULL);
    decodes("%ff", false, NULL);
}

static void takes(const char *text, const char *name, const char *value)
{
    struct query q;
    struct problem problem = {.code = PROBLEM_NONE};
    assert_true(query_parse(&q, slice_of(text), "limit q dry_run status", &problem));
    if (value == NULL)
        assert_null(query_get(&q, name).ptr);
    else
        assert_slice(query_get(&q, name), value);
    query_fini(&q);
}

static void refuses(const char *text, enum problem_code code)
{
    struct query q;
    struct problem problem = {.code = PROBLEM_NONE};
    assert_false(query_parse(&q, slice_of(text), "limit q dry_run status", &problem));
    assert_int_equal(problem.code, code);
    assert_true(problem.detail.len > 0);
    assert_int_equal(q.count, 0);
    problem_fini(&problem);
}

static void queries(void **state)
{
    (void)state;
    takes("", "q", NULL);
    takes("q=", "q", "");
    takes("q", "q", "");
    takes("&&q=a&", "q", "a");
    takes("limit=5&q=a%26b+c%2B", "q", "a&b c+");
    takes("%71=x", "q", "x");
    takes("q=a=b", "q", "a=b");
    refuses("x=1", PROBLEM_UNKNOWN_PARAMETER);
    refuses("=1", PROBLEM_UNKNOWN_PARAMETER);
    refuses("Q=1", PROBLEM_UNKNOWN_PARAMETER);
    refuses("limit q=1", PROBLEM_UNKNOWN_PARAMETER);
    refuses("q=1&q=1", PROBLEM_INVALID_PARAMETER);
    refuses("q=%zz", PROBLEM_INVALID_PARAMETER);
    refuses("q=%00", PROBLEM_INVALID_PARAMETER);
}

static void values(void **state)
{
    (void)state;
    struct query q;
    struct problem problem = {.code = PROBLEM_NONE};
    uint64_t n = 7;
    bool yes = false;
    int word = 9;
    assert_true(query_parse(&q, SLICE_LIT("limit=20&dry_run=true&status=disabled&q=x"),
                            "limit q dry_run status", &problem));
    assert_true(query_uint(&q, "limit", 1, 20, &n, &problem));
    assert_int_equal(n, 20);
    assert_false(query_uint(&q, "limit", 1, 19, &n, &problem));
    assert_false(query_uint(&q, "limit", 21, 30, &n, &problem));
    assert_false(query_uint(&q, "q", 0, 30, &n, &problem));
    assert_int_equal(n, 20);
    assert_int_equal(problem.code, PROBLEM_INVALID_PARAMETER);
    assert_true(query_uint(&q, "absent", 1, 2, &n, &problem));
    assert_int_equal(n, 20);
    assert_true(query_bool(&q, "dry_run", &yes, &problem));
    assert_true(yes);
    assert_false(query_bool(&q, "limit", &yes, &problem));
    assert_true(query_word(&q, "status", "active|disabled", &word, &problem));
    assert_int_equal(word, 1);
    assert_false(query_word(&q, "status", "active|disable", &word, &problem));
    query_fini(&q);
    problem_fini(&problem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(paths), cmocka_unit_test(escapes),
                                       cmocka_unit_test(queries), cmocka_unit_test(values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
