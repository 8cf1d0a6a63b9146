// SPDX-License-Identifier: Apache-2.0
#include "services/key_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

enum { MIB = 1 << 20, NOW = 1000 };

static struct key_cache *cache;

static int start(void **state)
{
    (void)state;
    cache = key_cache_create(MIB);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    key_cache_destroy(cache);
    return 0;
}

static struct secret_digest digest_of(unsigned n)
{
    struct secret_digest d = {{0}};
    uint64_t mixed = (n + 1) * 0x9E3779B97F4A7C15U;
    memcpy(d.bytes, &mixed, sizeof(mixed));
    memcpy(d.bytes + 8, &n, sizeof(n));
    return d;
}

// An active key of that revision with that many aliases.
static struct key *make_key(uint64_t revision, unsigned aliases)
{
    struct buf text = {0};
    buf_printf(&text,
               "{\"rev\":%llu,\"id\":\"key_01ARYZ6S41TSV4RRFFQ69G5FAV\",\"state\":\"active\"",
               (unsigned long long)revision);
    for (unsigned i = 0; i < aliases; i++)
        buf_printf(&text, "%s{\"match\":\"exact\",\"name\":\"alias-%u\",\"target\":\"v/m\"}",
                   i == 0 ? ",\"aliases\":[" : ",", i);
    buf_append_str(&text, aliases > 0 ? "]}" : "}");
    struct key *k = key_parse(buf_slice(&text));
    assert_non_null(k);
    buf_fini(&text);
    return k;
}

static void put(unsigned n, uint64_t revision, uint64_t as_of)
{
    struct secret_digest d = digest_of(n);
    key_cache_put(cache, &d, make_key(revision, 0), as_of);
}

static struct key_entry *find(unsigned n)
{
    struct secret_digest d = digest_of(n);
    return key_cache_find(cache, &d, NOW);
}

static void put_absent(unsigned n, uint64_t now_ms)
{
    struct secret_digest d = digest_of(n);
    key_cache_put_absent(cache, &d, 5, now_ms);
}

static void change(unsigned n, uint64_t revision)
{
    struct secret_digest d = digest_of(n);
    key_cache_change(cache, &d, revision);
}

static void deny(unsigned n, uint64_t revision)
{
    struct secret_digest d = digest_of(n);
    key_cache_deny(cache, &d, revision);
}

#define assert_entry(n_, kind_, dirty_)                                                            \
    do {                                                                                           \
        struct key_entry *e_ = find(n_);                                                           \
        assert_non_null(e_);                                                                       \
        assert_int_equal(e_->kind, (kind_));                                                       \
        assert_int_equal(e_->dirty, (dirty_));                                                     \
    } while (0)

static void known(void **state)
{
    (void)state;
    assert_null(find(1));
    put(1, 3, 5);
    assert_entry(1, KEY_ENTRY_KNOWN, false);
    assert_int_equal(find(1)->key->revision, 3);
    assert_int_equal(find(1)->as_of, 5);
    put(1, 6, 7);
    assert_int_equal(find(1)->key->revision, 6);
    assert_int_equal(find(1)->as_of, 7);
    assert_int_equal(key_cache_counters(cache).known, 1);
    assert_null(find(2));
}

static void a_change_makes_dirty_unless_it_was_seen(void **state)
{
    (void)state;
    put(1, 3, 5);
    change(1, 5);
    assert_entry(1, KEY_ENTRY_KNOWN, false);
    change(1, 6);
    assert_entry(1, KEY_ENTRY_KNOWN, true);
    put(1, 6, 6);
    assert_entry(1, KEY_ENTRY_KNOWN, false);
    change(2, 6);
    assert_null(find(2));
}

static void after_a_reload_no_change_counts_as_seen(void **state)
{
    (void)state;
    put(1, 3, 9);
    assert_true(key_cache_is_verified(cache, find(1)));
    key_cache_unverify(cache, 1);
    assert_false(key_cache_is_verified(cache, find(1)));
    change(1, 4); // the history fell to 3 and counts on from there
    assert_entry(1, KEY_ENTRY_KNOWN, true);
    put(1, 4, 4);
    assert_true(key_cache_is_verified(cache, find(1)));
}

static void absence(void **state)
{
    (void)state;
    put_absent(1, NOW);
    assert_entry(1, KEY_ENTRY_ABSENT, false);
    struct secret_digest d = digest_of(1);
    assert_non_null(key_cache_find(cache, &d, NOW + KEY_ABSENT_MS - 1));
    assert_null(key_cache_find(cache, &d, NOW + KEY_ABSENT_MS));
    assert_null(find(1)); // gone for good
    put_absent(1, NOW);
    change(1, 1);
    assert_null(find(1));
    put_absent(1, NOW);
    put(1, 3, 5);
    assert_entry(1, KEY_ENTRY_KNOWN, false);
    put_absent(1, NOW);
    assert_entry(1, KEY_ENTRY_ABSENT, false);
    assert_int_equal(key_cache_counters(cache).known, 0);
}

static void a_denial_yields_only_to_a_higher_record(void **state)
{
    (void)state;
    put(1, 3, 5);
    deny(1, 6);
    assert_entry(1, KEY_ENTRY_DENIED, false);
    put(1, 3, 5);
    assert_entry(1, KEY_ENTRY_DENIED, false);
    put(1, 6, 9);
    assert_entry(1, KEY_ENTRY_DENIED, false);
    put_absent(1, NOW);
    assert_entry(1, KEY_ENTRY_DENIED, false);
    struct secret_digest d = digest_of(1);
    key_cache_forget(cache, &d);
    assert_entry(1, KEY_ENTRY_DENIED, false);
    put(1, 7, 9);
    assert_entry(1, KEY_ENTRY_KNOWN, false);
}

static void a_denial_is_remembered_of_keys_never_seen(void **state)
{
    (void)state;
    deny(1, 6);
    assert_entry(1, KEY_ENTRY_DENIED, false);
    put(1, 5, 6);
    assert_entry(1, KEY_ENTRY_DENIED, false);
    deny(1, 9);
    put(1, 8, 9);
    assert_entry(1, KEY_ENTRY_DENIED, false);
    deny(1, 4); // an older word does not lower it
    put(1, 9, 9);
    assert_entry(1, KEY_ENTRY_DENIED, false);
}

static void a_change_of_a_denied_key_has_it_read_again(void **state)
{
    (void)state;
    deny(1, 6);
    change(1, 6);
    change(1, 5);
    assert_entry(1, KEY_ENTRY_DENIED, false);
    change(1, 8);
    assert_entry(1, KEY_ENTRY_DENIED, true);
    deny(1, 7); // the log comes to what the bell has overtaken
    assert_entry(1, KEY_ENTRY_DENIED, true);
    deny(1, 9);
    assert_entry(1, KEY_ENTRY_DENIED, false);
    change(1, 10);
    put(1, 9, 10);
    assert_entry(1, KEY_ENTRY_DENIED, false);
    change(1, 11);
    put(1, 11, 11);
    assert_entry(1, KEY_ENTRY_KNOWN, false);
}

static void a_denial_older_than_what_was_read_is_history(void **state)
{
    (void)state;
    put(1, 8, 9);
    deny(1, 7);
    assert_entry(1, KEY_ENTRY_KNOWN, false);
    deny(1, 8);
    assert_entry(1, KEY_ENTRY_DENIED, false);
    put(2, 8, 9);
    key_cache_unverify(cache, 1);
    deny(2, 4);
    assert_entry(2, KEY_ENTRY_DENIED, false);
}

static void forgetting(void **state)
{
    (void)state;
    put(1, 3, 5);
    struct secret_digest d = digest_of(1);
    key_cache_forget(cache, &d);
    assert_null(find(1));
    key_cache_forget(cache, &d);
}

static void the_bound_holds_and_a_scan_leaves_what_is_in_use(void **state)
{
    (void)state;
    enum { HOT = 200, SCAN = 30000 };
    for (unsigned n = 0; n < HOT; n++)
        put(n, 1, 1);
    for (unsigned n = HOT; n < SCAN; n++) {
        put(n, 1, 1);
        if (n % 500 == 0)
            for (unsigned hot = 0; hot < HOT; hot++)
                assert_non_null(find(hot));
        assert_true(key_cache_counters(cache).bytes <= MIB);
    }
    struct key_cache_counters counters = key_cache_counters(cache);
    assert_int_equal(counters.known + counters.evictions, SCAN);
    assert_true(counters.known > 1500); // and the memory is used
}

static void guesses_and_refusals_have_shares_of_their_own(void **state)
{
    (void)state;
    enum { KEYS = 1500, MANY = 20000 };
    for (unsigned n = 0; n < KEYS; n++)
        put(n, 1, 1);
    for (unsigned n = MANY; n < 2 * MANY; n++)
        put_absent(n, NOW);
    for (unsigned n = 2 * MANY; n < 3 * MANY; n++)
        deny(n, n);
    struct key_cache_counters counters = key_cache_counters(cache);
    assert_int_equal(counters.known, KEYS);
    assert_true(counters.absent > 500 && counters.absent < 1200);
    assert_true(counters.denied > 500 && counters.denied < 1200);
    assert_true(counters.bytes <= MIB);
    assert_null(find(2 * MANY)); // oldest first
    assert_entry(3 * MANY - 1, KEY_ENTRY_DENIED, false);
    for (unsigned n = 4 * MANY; n < 5 * MANY; n++)
        put(n, 1, 1);
    assert_int_equal(key_cache_counters(cache).denied, counters.denied);
}

static void past_absences_make_room(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 100; n++)
        put_absent(n, NOW);
    put_absent(100, NOW + KEY_ABSENT_MS);
    assert_int_equal(key_cache_counters(cache).absent, 1);
    assert_int_equal(key_cache_counters(cache).evictions, 0);
}

// -- alias blocks -----------------------------------------------------------

static struct alias_block *make_block(uint64_t serial, size_t bytes)
{
    struct alias_block *b = xcalloc(1, sizeof(*b));
    b->refs = 1;
    b->view_serial = serial;
    b->bytes = bytes;
    return b;
}

static void keep_block(unsigned n, uint64_t serial, size_t bytes)
{
    struct alias_block *b = make_block(serial, bytes);
    key_cache_keep_block(cache, find(n), b);
    alias_block_unref(b);
}

static void blocks_belong_to_a_view(void **state)
{
    (void)state;
    put(1, 1, 1);
    assert_null(key_cache_block(find(1), 7));
    keep_block(1, 7, 1000);
    assert_non_null(key_cache_block(find(1), 7));
    assert_null(key_cache_block(find(1), 8));
    size_t with_block = key_cache_counters(cache).bytes;
    keep_block(1, 8, 1000);
    assert_null(key_cache_block(find(1), 7));
    assert_int_equal(key_cache_counters(cache).bytes, with_block);
    put(1, 2, 2); // another record, another list
    assert_null(key_cache_block(find(1), 8));
    assert_true(key_cache_counters(cache).bytes < with_block - 1000);
}

static void blocks_go_before_any_entry(void **state)
{
    (void)state;
    enum { KEYS = 100, BLOCK = 20000 };
    for (unsigned n = 0; n < KEYS; n++)
        put(n, 1, 1);
    for (unsigned n = 0; n < KEYS; n++) {
        keep_block(n, 7, BLOCK);
        assert_non_null(find(n)->block);
        assert_non_null(key_cache_block(find(0), 7)); // in use: it stays
        assert_true(key_cache_counters(cache).bytes <= MIB);
    }
    assert_int_equal(key_cache_counters(cache).evictions, 0);
    assert_null(key_cache_block(find(1), 7));
    assert_non_null(key_cache_block(find(KEYS - 1), 7));
    for (unsigned n = KEYS; n < 20000; n++)
        put(n, 1, 1);
    assert_true(key_cache_counters(cache).bytes <= MIB);
    assert_null(key_cache_block(find(0), 7));
}

static void a_block_too_large_for_the_bound_is_still_given(void **state)
{
    (void)state;
    put(1, 1, 1);
    keep_block(1, 7, 2 * MIB);
    assert_non_null(key_cache_block(find(1), 7));
    put(2, 1, 1);
    assert_null(key_cache_block(find(1), 7));
    assert_non_null(find(1));
    assert_true(key_cache_counters(cache).bytes <= MIB);
}

static void keys_with_aliases_weigh_more(void **state)
{
    (void)state;
    put(1, 1, 1);
    size_t before = key_cache_counters(cache).bytes;
    struct secret_digest d = digest_of(2);
    struct key *k = make_key(1, ALIAS_SET_MAX);
    size_t weight = k->bytes;
    assert_true(weight > 5000);
    key_cache_put(cache, &d, k, 1);
    assert_true(key_cache_counters(cache).bytes >= before + weight);
    deny(2, 2);
    assert_true(key_cache_counters(cache).bytes < before + 1000);
}

// Everything at once, by chance; the sanitizer and the bound watch.
static void random_life(void **state)
{
    (void)state;
    srandom(11);
    for (int step = 0; step < 100000; step++) {
        unsigned n = (unsigned)random() % 6000;
        uint64_t revision = (uint64_t)step / 10;
        switch (random() % 8) {
        case 0:
            put_absent(n, NOW);
            break;
        case 1:
            deny(n, revision);
            break;
        case 2:
            change(n, revision);
            break;
        case 3:
            if (find(n) != NULL && find(n)->kind == KEY_ENTRY_KNOWN)
                keep_block(n, 7, (size_t)random() % 30000);
            break;
        default:
            put(n, revision, revision);
        }
        assert_true(key_cache_counters(cache).bytes <= MIB);
        if (step % 20000 == 0)
            key_cache_unverify(cache, 1);
    }
    struct key_cache_counters counters = key_cache_counters(cache);
    assert_true(counters.known > 100 && counters.denied > 100 && counters.absent > 100);
}

#define CASE(function_) cmocka_unit_test_setup_teardown(function_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(known),
        CASE(a_change_makes_dirty_unless_it_was_seen),
        CASE(after_a_reload_no_change_counts_as_seen),
        CASE(absence),
        CASE(a_denial_yields_only_to_a_higher_record),
        CASE(a_denial_is_remembered_of_keys_never_seen),
        CASE(a_change_of_a_denied_key_has_it_read_again),
        CASE(a_denial_older_than_what_was_read_is_history),
        CASE(forgetting),
        CASE(the_bound_holds_and_a_scan_leaves_what_is_in_use),
        CASE(guesses_and_refusals_have_shares_of_their_own),
        CASE(past_absences_make_room),
        CASE(blocks_belong_to_a_view),
        CASE(blocks_go_before_any_entry),
        CASE(a_block_too_large_for_the_bound_is_still_given),
        CASE(keys_with_aliases_weigh_more),
        CASE(random_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
