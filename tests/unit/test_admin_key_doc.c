// SPDX-License-Identifier: Apache-2.0
// The key document: stored and back, rotation, what workers are told, bodies.
#include <stdio.h>
#include <string.h>

#include "admin/key_aliases.h"
#include "admin/key_body.h"
#include "admin/key_doc.h"
#include "admin/key_view.h"
#include "tests/support/test.h"

static const char id[] = "key_01ARZ3NDEKTSV4RRFFQ69G5FAV";

static json_t *json(const char *text)
{
    struct doc_error error;
    json_t *doc = doc_parse(slice_of(text), &error);
    if (doc == NULL)
        fail_msg("test's own JSON: %s", error.text);
    return doc;
}

static struct secret_digest digest_of(const char *secret)
{
    struct secret_digest digest;
    secret_hash(slice_of(secret), &digest);
    return digest;
}

static struct key_doc *make(const char *secret)
{
    struct key_doc *k = key_doc_create(id, 1000);
    struct secret_digest digest = digest_of(secret);
    assert_true(key_doc_rotate(k, &digest, "cm-abc...wxyz", 0, 1000));
    return k;
}

static void stored_and_back(void **state)
{
    (void)state;
    struct key_doc *k = make("one");
    struct secret_digest second = digest_of("two");
    struct buf text = {.len = 0}, again = {.len = 0};
    json_decref(k->tags);
    k->tags = json("[\"a\",\"b\"]");
    k->expires_at = 5000;
    k->revision = 77;
    assert_true(key_doc_rotate(k, &second, "", 60, 1000));
    key_aliases_put(k->aliases, SLICE_LIT("exact"), SLICE_LIT("n"), SLICE_LIT("a/b"));
    key_doc_write(&text, k);
    struct key_doc *back = key_doc_parse(buf_slice(&text));
    assert_non_null(back);
    assert_true(key_doc_same(k, back));
    assert_int_equal(back->revision, 77);
    assert_int_equal(back->secrets[1].until, 1060);
    assert_string_equal(back->secrets[1].hint, "cm-abc...wxyz");
    key_doc_write(&again, back);
    assert_slice(buf_slice(&again), buf_cstr(&text));
    static const char *const bad[] = {"", "{}", "[]", "{\"id\":\"key_x\"}", "nonsense"};
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++)
        assert_null(key_doc_parse(slice_of(bad[i])));
    assert_null(key_doc_parse(SLICE_NONE));
    key_doc_destroy(k);
    key_doc_destroy(back);
    buf_fini(&text);
    buf_fini(&again);
}

static void a_copy_is_its_own(void **state)
{
    (void)state;
    struct key_doc *k = make("one");
    struct key_doc *copy = key_doc_copy(k);
    assert_true(key_doc_same(k, copy));
    key_aliases_put(copy->aliases, SLICE_LIT("exact"), SLICE_LIT("n"), SLICE_LIT("a/b"));
    assert_false(key_doc_same(k, copy));
    assert_int_equal(json_array_size(k->aliases), 0);
    key_doc_destroy(copy);
    key_doc_destroy(k);
}

static void statuses(void **state)
{
    (void)state;
    struct key_doc *k = make("one");
    assert_string_equal(key_doc_status(k, 2000), "active");
    k->expires_at = 2000;
    assert_string_equal(key_doc_status(k, 1999), "active");
    assert_string_equal(key_doc_status(k, 2000), "expired");
    k->enabled = false;
    assert_string_equal(key_doc_status(k, 2000), "disabled");
    k->revoked_at = 1;
    assert_string_equal(key_doc_status(k, 2000), "revoked");
    key_doc_destroy(k);
}

static void rotation(void **state)
{
    (void)state;
    struct key_doc *k = make("one");
    struct secret_digest one = digest_of("one"), two = digest_of("two"), three = digest_of("three");
    assert_true(key_doc_rotate(k, &two, "", 100, 1000));
    assert_int_equal(k->secret_count, 2);
    assert_true(secret_digest_equal(&k->secrets[0].digest, &two));
    assert_int_equal(k->secrets[0].until, 0);
    assert_int_equal(k->secrets[1].until, 1100);
    // A later, shorter grace shortens the earlier one; a longer does not lengthen it.
    assert_true(key_doc_rotate(k, &three, "", 500, 1010));
    assert_int_equal(k->secrets[1].until, 1510);
    assert_int_equal(k->secrets[2].until, 1100);
    key_doc_drop_lapsed(k, 1099);
    assert_int_equal(k->secret_count, 3);
    key_doc_drop_lapsed(k, 1100);
    assert_int_equal(k->secret_count, 2);
    assert_false(key_doc_has(k, &one));
    struct secret_digest four = digest_of("four");
    assert_true(key_doc_rotate(k, &four, "", 0, 1200));
    assert_int_equal(k->secret_count, 1);
    assert_true(key_doc_has(k, &four));
    for (int i = 1; i < KEY_SECRETS_MAX; i++) {
        char secret[16];
        snprintf(secret, sizeof(secret), "s%d", i);
        struct secret_digest digest = digest_of(secret);
        assert_true(key_doc_rotate(k, &digest, "", 1000, 1200));
    }
    assert_false(key_doc_rotate(k, &one, "", 1000, 1200));
    assert_int_equal(k->secret_count, KEY_SECRETS_MAX);
    assert_true(key_doc_rotate(k, &one, "", 0, 1200));
    assert_int_equal(k->secret_count, 1);
    key_doc_destroy(k);
}

static void projects(const struct key_doc *k, size_t i, bool deny, uint64_t ttl_s,
                     const char *record)
{
    struct buf text = {.len = 0};
    struct key_projection p = key_doc_project(k, i, 9, 1000, &text);
    assert_int_equal(p.deny, deny);
    assert_int_equal(p.ttl_s, ttl_s);
    assert_slice(buf_slice(&text), record);
    struct key *key = key_parse(buf_slice(&text));
    assert_non_null(key);
    key_destroy(key);
    buf_fini(&text);
}

static void what_workers_read(void **state)
{
    (void)state;
    struct key_doc *k = make("one");
    struct secret_digest two = digest_of("two");
    assert_true(key_doc_rotate(k, &two, "", 100, 1000));
    projects(k, 0, false, 0,
             "{\"rev\":9,\"id\":\"key_01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"state\":\"active\","
             "\"aliases\":[]}");
    projects(k, 1, false, 100 + KEY_GRACE_SLACK_S,
             "{\"rev\":9,\"id\":\"key_01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"state\":\"active\","
             "\"expires_at\":1100,\"aliases\":[]}");
    k->expires_at = 1050; // before the end of the grace
    k->enabled = false;
    projects(k, 1, true, 100 + KEY_GRACE_SLACK_S,
             "{\"rev\":9,\"id\":\"key_01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"state\":\"disabled\","
             "\"expires_at\":1050,\"aliases\":[]}");
    key_doc_destroy(k);
}

static void what_clients_see(void **state)
{
    (void)state;
    struct key_doc *k = make("one");
    struct buf text = {.len = 0};
    k->revision = 3;
    key_view_write(&text, k, 1000, KEY_VIEW_SECRET, "cm-x");
    assert_slice(buf_slice(&text),
                 "{\"id\":\"key_01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"name\":\"\",\"status\":\"active\","
                 "\"enabled\":true,\"hint\":\"cm-abc...wxyz\",\"tags\":[],\"aliases\":[],"
                 "\"created_at\":\"1970-01-01T00:16:40Z\",\"expires_at\":null,\"revision\":3,"
                 "\"secret\":\"cm-x\"}");
    buf_clear(&text);
    key_view_write(&text, k, 1000, KEY_VIEW_SECRET_HIDDEN, NULL);
    assert_non_null(strstr(buf_cstr(&text), ",\"secret\":null}"));
    buf_clear(&text);
    key_view_write(&text, k, 1000, KEY_VIEW_PLAIN, NULL);
    assert_null(strstr(buf_cstr(&text), "secret"));
    key_doc_destroy(k);
    buf_fini(&text);
}

// body, and what is wrong with it: "pointer code, ..." or "" when it is good.
static void judges(bool (*judge)(const json_t *body, struct mistakes *m), const char *body,
                   const char *wanted)
{
    struct mistakes m;
    struct buf got = {.len = 0};
    json_t *doc = json(body);
    mistakes_init(&m);
    bool good = judge(doc, &m);
    assert_int_equal(good, m.count == 0);
    for (size_t i = 0; i < m.count; i++)
        buf_printf(&got, "%s%s %s", i > 0 ? ", " : "", m.items[i].pointer, m.items[i].code);
    assert_slice(buf_slice(&got), wanted);
    json_decref(doc);
    buf_fini(&got);
}

static bool judge_create(const json_t *body, struct mistakes *m)
{
    struct key_doc *k = key_doc_create(id, 1);
    struct secret_digest digest;
    bool has_digest;
    bool ok = key_body_create(body, k, &has_digest, &digest, m);
    key_doc_destroy(k);
    return ok;
}

static bool judge_patch(const json_t *body, struct mistakes *m)
{
    struct key_doc *k = make("one");
    bool ok = key_body_patch(body, k, 1000, m);
    key_doc_destroy(k);
    return ok;
}

static bool judge_rotate(const json_t *body, struct mistakes *m)
{
    int64_t grace_s;
    return key_body_rotate(body, &grace_s, m);
}

static void bodies(void **state)
{
    (void)state;
    judges(judge_create, "{\"name\":\"x\"}", "");
    judges(judge_create, "{\"name\":\"x\",\"tags\":null,\"enabled\":null,\"expires_at\":null}", "");
    judges(judge_create, "[]", "# invalid");
    judges(judge_create, "{}", "#/name required");
    judges(judge_create, "{\"name\":\"a\\u0007\"}", "#/name invalid");
    judges(judge_create, "{\"name\":\"x\",\"nam\":1,\"tags\":[1]}",
           "#/nam unknown_field, #/tags/0 invalid");
    judges(judge_create, "{\"name\":\"x\",\"expires_at\":5}", "#/expires_at invalid");
    judges(judge_create, "{\"name\":\"x\",\"expires_at\":\"1969-01-01T00:00:00Z\"}",
           "#/expires_at invalid");
    judges(judge_create, "{\"name\":\"x\",\"secret_sha256\":\"zz\"}", "#/secret_sha256 invalid");
    judges(judge_patch, "{}", "");
    judges(judge_patch, "{\"status\":\"active\",\"aliases\":[],\"revision\":5,\"hint\":null}", "");
    judges(judge_patch, "{\"status\":\"disabled\"}", "#/status read_only");
    judges(judge_patch, "{\"aliases\":[1]}", "#/aliases read_only");
    judges(judge_patch, "{\"id\":\"other\"}", "#/id invalid");
    judges(judge_patch, "{\"secret_sha256\":\"x\"}", "#/secret_sha256 unknown_field");
    judges(judge_rotate, "{\"grace_seconds\":60}", "");
    judges(judge_rotate, "{\"grace_seconds\":60.0}", "");
    judges(judge_rotate, "{\"grace_seconds\":60.5}", "#/grace_seconds out_of_range");
    judges(judge_rotate, "{\"grace_seconds\":-1}", "#/grace_seconds out_of_range");
    judges(judge_rotate, "{\"grace_seconds\":1e300}", "#/grace_seconds out_of_range");
    judges(judge_rotate, "{\"grace\":1}", "#/grace unknown_field");
}

static void aliases(void **state)
{
    (void)state;
    json_t *set = json("[{\"match\":\"exact\",\"name\":\"a\",\"target\":\"m/1\"},"
                       "{\"match\":\"prefix\",\"name\":\"aa\",\"target\":\"m/2\"}]");
    assert_non_null(key_aliases_find(set, SLICE_LIT("exact"), SLICE_LIT("a")));
    assert_null(key_aliases_find(set, SLICE_LIT("prefix"), SLICE_LIT("a")));
    key_aliases_put(set, SLICE_LIT("exact"), SLICE_LIT("a"), SLICE_LIT("m/3"));
    key_aliases_put(set, SLICE_LIT("exact"), SLICE_LIT("aa"), SLICE_LIT("m/4"));
    assert_false(key_aliases_targets(set, SLICE_LIT("m/1")));
    assert_true(key_aliases_remove(set, SLICE_LIT("prefix"), SLICE_LIT("aa")));
    assert_false(key_aliases_remove(set, SLICE_LIT("prefix"), SLICE_LIT("aa")));
    struct buf text = {.len = 0};
    doc_write(&text, set);
    assert_slice(buf_slice(&text), "[{\"match\":\"exact\",\"name\":\"a\",\"target\":\"m/3\"},"
                                   "{\"match\":\"exact\",\"name\":\"aa\",\"target\":\"m/4\"}]");
    buf_fini(&text);
    json_decref(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stored_and_back),
                                       cmocka_unit_test(a_copy_is_its_own),
                                       cmocka_unit_test(statuses),
                                       cmocka_unit_test(rotation),
                                       cmocka_unit_test(what_workers_read),
                                       cmocka_unit_test(what_clients_see),
                                       cmocka_unit_test(bodies),
                                       cmocka_unit_test(aliases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
