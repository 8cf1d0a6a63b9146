// SPDX-License-Identifier: Apache-2.0
#include "common/store/keyspace.h"

#include <string.h>

#include "tests/support/test.h"

static void names_are_spelled(void **state)
{
    struct keyspace k;
    char name[KEYSPACE_NAME_MAX];
    struct secret_digest digest;
    size_t len;
    (void)state;
    assert_true(keyspace_init(&k, SLICE_LIT("cm"), 3));
    assert_string_equal(k.head, "{cm}:head");
    assert_string_equal(k.log, "{cm}:log");
    assert_string_equal(k.audit, "{cm}:audit");
    assert_string_equal(k.models, "{cm}:models");
    assert_string_equal(k.keys, "{cm}:keys");
    assert_string_equal(k.key_order, "{cm}:keyorder");
    assert_string_equal(k.gone_order, "{cm}:goneorder");
    assert_string_equal(k.fleet, "{cm}:fleet");
    assert_string_equal(k.bell, "{cm}:3:bell");
    assert_string_equal(k.ack, "{cm}:3:ack");

    memset(digest.bytes, 0xa5, sizeof(digest.bytes));
    len = keyspace_key(&k, &digest, name);
    assert_int_equal(len, strlen(name));
    assert_string_equal(
        name, "{cm}:key:a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5");
    len = keyspace_refs(&k, SLICE_LIT("openai/gpt-5"), name);
    assert_int_equal(len, strlen(name));
    assert_string_equal(name, "{cm}:refs:openai/gpt-5");
    len = keyspace_gone(&k, SLICE_LIT("key_1"), name);
    assert_int_equal(len, strlen(name));
    assert_string_equal(name, "{cm}:gone:key_1");
    len = keyspace_idem(&k, SLICE_LIT("00ff"), name);
    assert_int_equal(len, strlen(name));
    assert_string_equal(name, "{cm}:idem:00ff");
}

static void the_longest_names_fit(void **state)
{
    char prefix[KEYSPACE_PREFIX_MAX + 1], id[KEYSPACE_ID_MAX], name[KEYSPACE_NAME_MAX];
    struct keyspace k;
    (void)state;
    memset(prefix, 'p', sizeof(prefix));
    memset(id, 'i', sizeof(id));
    assert_true(keyspace_init(&k, slice_make(prefix, KEYSPACE_PREFIX_MAX), UINT32_MAX));
    assert_int_equal(keyspace_refs(&k, slice_make(id, sizeof(id)), name), 32 + 8 + KEYSPACE_ID_MAX);
    assert_false(keyspace_init(&k, slice_make(prefix, KEYSPACE_PREFIX_MAX + 1), 0));
}

static void bad_prefixes_are_refused(void **state)
{
    static const char *const bad[] = {"", "a b", "a{b", "a}", "a*", "\xc3\xa9", "a/b", "a\n"};
    struct keyspace k;
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++)
        assert_false(keyspace_init(&k, slice_of(bad[i]), 0));
    assert_false(keyspace_init(&k, slice_make("a\0b", 3), 0));
    assert_true(keyspace_init(&k, SLICE_LIT("Team-1_x.y:z"), 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_spelled),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(bad_prefixes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
