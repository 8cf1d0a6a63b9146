// SPDX-License-Identifier: Apache-2.0
#include "services/key_table.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

enum { ENTRIES = 3000, STEPS = 200000 };

static struct key_table_entry entries[ENTRIES];
static bool present[ENTRIES];

// A third of the digests come in threes that share their first eight bytes, as
// somebody might pick them; the others are as SHA-256 makes them.
static void make_digests(void)
{
    for (uint32_t i = 0; i < ENTRIES; i++) {
        uint64_t tag =
            i % 3 == 0 ? (uint64_t)(i / 9) << 40 : (uint64_t)random() << 33 ^ (uint64_t)random();
        memset(&entries[i], 0, sizeof(entries[i]));
        memcpy(entries[i].digest.bytes, &tag, sizeof(tag));
        memcpy(entries[i].digest.bytes + 28, &i, sizeof(i));
    }
}

static void check_all(const struct key_table *t)
{
    size_t count = 0;
    for (size_t i = 0; i < ENTRIES; i++) {
        struct key_table_entry *found = key_table_find(t, &entries[i].digest);
        assert_ptr_equal(found, present[i] ? &entries[i] : NULL);
        count += present[i];
    }
    assert_int_equal(t->count, count);
}

static void random_puts_and_removes(void **state)
{
    (void)state;
    struct key_table t;
    key_table_init(&t, ENTRIES);
    srandom(7);
    make_digests();
    for (int step = 0; step < STEPS; step++) {
        size_t i = (size_t)random() % ENTRIES;
        if (present[i])
            key_table_remove(&t, &entries[i]);
        else
            key_table_put(&t, &entries[i]);
        present[i] = !present[i];
        if (step % 10000 == 0)
            check_all(&t);
    }
    check_all(&t);
    key_table_fini(&t);
}

static void filled_to_the_brim(void **state)
{
    (void)state;
    struct key_table t;
    key_table_init(&t, ENTRIES);
    assert_true(t.mask + 1 >= ENTRIES * 4 / 3);
    assert_true(key_table_bytes(ENTRIES) >= (t.mask + 1) * 16);
    make_digests();
    for (size_t i = 0; i < ENTRIES; i++) {
        key_table_put(&t, &entries[i]);
        present[i] = true;
    }
    check_all(&t);
    for (size_t i = 0; i < ENTRIES; i += 2) {
        key_table_remove(&t, &entries[i]);
        present[i] = false;
    }
    check_all(&t);
    key_table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_puts_and_removes),
        cmocka_unit_test(filled_to_the_brim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
