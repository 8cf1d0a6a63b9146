// SPDX-License-Identifier: Apache-2.0
// What goes back: problems, pages, diffs, audit entries.
#include <string.h>

#include "admin/audit.h"
#include "admin/json_diff.h"
#include "admin/paging.h"
#include "admin/problem.h"
#include "common/model/doc.h"
#include "tests/support/test.h"

static json_t *json(const char *text)
{
    struct doc_error error;
    json_t *doc = doc_parse(slice_of(text), &error);
    assert_non_null(doc);
    return doc;
}

static void problems(void **state)
{
    (void)state;
    struct problem p = {.code = PROBLEM_NONE};
    struct mistakes m;
    struct buf text = {.len = 0};
    mistakes_init(&m);
    mistakes_add(&m, "#/a~1b", "invalid", "say \"%s\"", "x");
    problem_set_mistakes(&p, &m);
    buf_append_str(&p.members, ",\"line\":3");
    problem_write(&text, &p, SLICE_LIT("req_1"));
    assert_slice(
        buf_slice(&text),
        "{\"type\":\"urn:crossmodel:problem:validation_failed\",\"title\":\"The request is not "
        "valid\",\"status\":422,\"detail\":\"1 field needs attention.\","
        "\"code\":\"validation_failed\",\"request_id\":\"req_1\",\"errors\":[{\"pointer\":"
        "\"#/a~1b\",\"code\":\"invalid\",\"detail\":\"say \\\"x\\\"\"}],\"line\":3}");
    for (int i = 0; i < 100; i++)
        mistakes_add(&m, "#", "invalid", "again");
    problem_set_mistakes(&p, &m);
    buf_clear(&text);
    problem_write(&text, &p, SLICE_LIT("r"));
    json_t *doc = json(buf_cstr(&text));
    assert_int_equal(json_array_size(json_object_get(doc, "errors")), MISTAKES_MAX);
    json_decref(doc);
    buf_fini(&text);
    problem_fini(&p);
}

// Every code has its row; libh2o's own statuses find theirs.
static void the_table_is_whole(void **state)
{
    (void)state;
    for (int code = 0; code < PROBLEM_COUNT; code++) {
        assert_in_range(problem_status((enum problem_code)code), 400, 599);
        assert_int_equal(problem_retry_after((enum problem_code)code) > 0,
                         problem_status((enum problem_code)code) == 429 ||
                             problem_status((enum problem_code)code) == 503);
    }
    assert_int_equal(problem_of_status(400), PROBLEM_BAD_REQUEST);
    assert_int_equal(problem_of_status(413), PROBLEM_BODY_TOO_LARGE);
    assert_int_equal(problem_of_status(431), PROBLEM_HEAD_TOO_LARGE);
    assert_int_equal(problem_status(PROBLEM_HEAD_TOO_LARGE), 431);
    assert_int_equal(problem_of_status(417), PROBLEM_EXPECTATION_FAILED);
    assert_int_equal(problem_of_status(499), PROBLEM_BAD_REQUEST);
}

static void page(const char *query, const char *items, const char *wanted)
{
    struct query q;
    struct problem problem = {.code = PROBLEM_NONE};
    struct paging p;
    struct paging_list list = {.count = 0};
    struct buf text = {.len = 0};
    assert_true(query_parse(&q, slice_of(query), PAGING_PARAMETERS, &problem));
    assert_true(paging_take(&p, &q, &problem));
    for (; *items != '\0' && !paging_is_full(&p, &list); items++)
        buf_printf(paging_add(&list, slice_make(items, 1)), "\"%c\"", *items);
    paging_write(&text, &p, &list);
    assert_slice(buf_slice(&text), wanted);
    paging_list_fini(&list);
    query_fini(&q);
    buf_fini(&text);
}

static void pages(void **state)
{
    (void)state;
    page("", "",
         "{\"object\":\"list\",\"data\":[],\"has_more\":false,\"first_id\":null,"
         "\"last_id\":null}");
    page("limit=3", "abc",
         "{\"object\":\"list\",\"data\":[\"a\",\"b\",\"c\"],\"has_more\":false,\"first_id\":\"a\","
         "\"last_id\":\"c\"}");
    page("limit=2", "abc",
         "{\"object\":\"list\",\"data\":[\"a\",\"b\"],\"has_more\":true,\"first_id\":\"a\","
         "\"last_id\":\"b\"}");
    // Read backwards from d: c b a.
    page("limit=2&before_id=d", "cba",
         "{\"object\":\"list\",\"data\":[\"b\",\"c\"],\"has_more\":true,\"first_id\":\"b\","
         "\"last_id\":\"c\"}");
}

static void differs(const char *base, const char *before, const char *after, const char *wanted)
{
    json_t *one = before == NULL ? NULL : json(before), *two = after == NULL ? NULL : json(after);
    json_t *list = json_array();
    struct buf text = {.len = 0};
    json_diff_objects(list, base, one, two, "revision");
    doc_write(&text, list);
    assert_slice(buf_slice(&text), wanted);
    buf_fini(&text);
    json_decref(list);
    json_decref(one);
    json_decref(two);
}

static void diffs(void **state)
{
    (void)state;
    differs("", "{\"a\":1,\"revision\":1}", "{\"a\":1,\"revision\":2}", "[]");
    differs("", "{\"a\":1,\"b\":[1],\"c\":{\"d\":1,\"revision\":1}}",
            "{\"b\":[1,2],\"c\":{\"d\":2,\"revision\":2},\"e/~\":null}",
            "[{\"op\":\"remove\",\"path\":\"/a\",\"old\":1},"
            "{\"op\":\"replace\",\"path\":\"/b\",\"old\":[1],\"value\":[1,2]},"
            "{\"op\":\"replace\",\"path\":\"/c/d\",\"old\":1,\"value\":2},"
            "{\"op\":\"replace\",\"path\":\"/c/revision\",\"old\":1,\"value\":2},"
            "{\"op\":\"add\",\"path\":\"/e~1~0\",\"value\":null}]");
    differs("/x", NULL, "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/x/a\",\"value\":1}]");
    differs("/x", "{\"a\":1}", NULL, "[{\"op\":\"remove\",\"path\":\"/x/a\",\"old\":1}]");
}

static void audit_entries_are_bounded(void **state)
{
    (void)state;
    json_t *diff = json_array();
    struct buf text = {.len = 0};
    for (int i = 0; i < AUDIT_DIFF_MAX + 3; i++)
        json_array_append_new(diff, json_integer(i));
    audit_write(&text, &(struct audit){.actor = "ci",
                                       .action = "key.revoke",
                                       .resource = "/keys/x",
                                       .at_s = 0,
                                       .address = "::1",
                                       .request_id = "r",
                                       .revision = 9,
                                       .diff = diff});
    json_t *entry = json(buf_cstr(&text));
    assert_int_equal(json_array_size(json_object_get(entry, "diff")), AUDIT_DIFF_MAX);
    assert_int_equal(json_integer_value(json_object_get(entry, "diff_left_out")), 3);
    assert_string_equal(json_string_value(json_object_get(entry, "at")), "1970-01-01T00:00:00Z");
    json_decref(entry);
    json_decref(diff);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problems), cmocka_unit_test(the_table_is_whole), cmocka_unit_test(pages),
        cmocka_unit_test(diffs), cmocka_unit_test(audit_entries_are_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
