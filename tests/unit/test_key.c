// SPDX-License-Identifier: Apache-2.0
#include "common/model/key.h"

#include <string.h>

#include "common/model/doc.h"
#include "tests/support/test.h"

#define ID "key_01ARYZ6S41TSV4RRFFQ69G5FAV"
#define ALIASES "[{\"match\":\"prefix\",\"name\":\"gpt\",\"target\":\"openai/gpt-5\"}]"

static void assert_invalid(const char *record)
{
    if (key_parse(slice_of(record)) != NULL)
        fail_msg("accepted: %s", record);
}

static void whole_record(void **state)
{
    (void)state;
    struct key *k = key_parse(slice_of("{\"rev\":42,\"id\":\"" ID "\",\"state\":\"active\","
                                       "\"expires_at\":1800000000,\"aliases\":" ALIASES "}"));
    assert_non_null(k);
    assert_int_equal(k->state, KEY_ACTIVE);
    assert_int_equal(k->revision, 42);
    assert_int_equal(k->expires_at, 1800000000);
    assert_string_equal(k->id, ID);
    assert_int_equal(k->aliases->count, 1);
    assert_slice(k->aliases->items[0].target, "openai/gpt-5");
    assert_int_equal(k->bytes, sizeof(*k) + k->aliases->bytes);
    key_destroy(k);
    key_destroy(NULL);
}

static void tombstone(void **state)
{
    (void)state;
    struct key *k = key_parse(slice_of("{\"rev\":1,\"id\":\"" ID "\",\"state\":\"revoked\"}"));
    assert_non_null(k);
    assert_int_equal(k->state, KEY_REVOKED);
    assert_int_equal(k->expires_at, 0);
    assert_int_equal(k->aliases->count, 0);
    key_destroy(k);
}

static void newer_members_are_ignored(void **state)
{
    (void)state;
    struct key *k = key_parse(slice_of("{\"rev\":1,\"id\":\"" ID "\",\"state\":\"disabled\","
                                       "\"quota\":{\"rpm\":5}}"));
    assert_non_null(k);
    assert_int_equal(k->state, KEY_DISABLED);
    key_destroy(k);
}

static void known_members_are_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"rev\":1,\"id\":\"" ID "\",\"state\":\"active\"",
        "{\"id\":\"" ID "\",\"state\":\"active\"}",
        "{\"rev\":1,\"state\":\"active\"}",
        "{\"rev\":1,\"id\":\"" ID "\"}",
        "{\"rev\":-1,\"id\":\"" ID "\",\"state\":\"active\"}",
        "{\"rev\":1.0,\"id\":\"" ID "\",\"state\":\"active\"}",
        "{\"rev\":\"1\",\"id\":\"" ID "\",\"state\":\"active\"}",
        "{\"rev\":1,\"id\":\"key_1\",\"state\":\"active\"}",
        "{\"rev\":1,\"id\":7,\"state\":\"active\"}",
        "{\"rev\":1,\"id\":\"" ID "\",\"state\":\"Active\"}",
        "{\"rev\":1,\"id\":\"" ID "\",\"state\":\"\"}",
        "{\"rev\":1,\"id\":\"" ID "\",\"state\":true}",
        "{\"rev\":1,\"rev\":1,\"id\":\"" ID "\",\"state\":\"active\"}",
        "{\"rev\":1,\"id\":\"" ID "\",\"state\":\"active\",\"expires_at\":null}",
        "{\"rev\":1,\"id\":\"" ID "\",\"state\":\"active\",\"expires_at\":-1}",
        "{\"rev\":1,\"id\":\"" ID "\",\"state\":\"active\",\"expires_at\":253402300800}",
        "{\"rev\":1,\"id\":\"" ID "\",\"state\":\"active\",\"expires_at\":\"2026\"}",
        "{\"rev\":1,\"id\":\"" ID "\",\"state\":\"active\",\"aliases\":null}",
        "{\"rev\":1,\"id\":\"" ID "\",\"state\":\"active\",\"aliases\":{}}",
        "{\"rev\":1,\"id\":\"" ID "\",\"state\":\"active\",\"aliases\":[{}]}",
    };
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++)
        assert_invalid(bad[i]);
}

static void written_records_read_back(void **state)
{
    (void)state;
    struct buf out = {0};
    key_write_record(&out, 7, ID, KEY_REVOKED, 0, NULL);
    assert_slice(buf_slice(&out), "{\"rev\":7,\"id\":\"" ID "\",\"state\":\"revoked\"}");
    struct doc_error error;
    json_t *aliases = doc_parse(slice_of(ALIASES), &error);
    buf_clear(&out);
    key_write_record(&out, 9007199254740993, ID, KEY_ACTIVE, 253402300799, aliases);
    assert_slice(buf_slice(&out),
                 "{\"rev\":9007199254740993,\"id\":\"" ID "\",\"state\":\"active\","
                 "\"expires_at\":253402300799,\"aliases\":" ALIASES "}");
    struct key *k = key_parse(buf_slice(&out));
    assert_non_null(k);
    assert_int_equal(k->revision, 9007199254740993);
    assert_int_equal(k->expires_at, 253402300799);
    key_destroy(k);
    json_decref(aliases);
    buf_fini(&out);
}

static void passing(void **state)
{
    (void)state;
    struct key k = {.state = KEY_ACTIVE, .expires_at = 1000};
    assert_true(key_passes(&k, 999));
    assert_false(key_passes(&k, 1000)); // at the second that was named
    assert_false(key_passes(&k, 1001));
    k.expires_at = 0;
    assert_true(key_passes(&k, INT64_MAX));
    k.state = KEY_DISABLED;
    assert_false(key_passes(&k, 0));
    k.state = KEY_REVOKED;
    assert_false(key_passes(&k, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_record),
        cmocka_unit_test(tombstone),
        cmocka_unit_test(newer_members_are_ignored),
        cmocka_unit_test(known_members_are_strict),
        cmocka_unit_test(written_records_read_back),
        cmocka_unit_test(passing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
