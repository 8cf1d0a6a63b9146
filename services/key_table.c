// SPDX-License-Identifier: Apache-2.0
// Linear probing over (tag, entry) pairs: a look-up that fails stays inside the
// table's own memory. Removing shifts the following run back, so there are no
// tombstones to clean up.
//
// A digest is uniform but not secret: whoever picks keys can pick digests that
// share their low bits. A multiplier that differs in every process keeps such
// keys from landing in one run.
#include "services/key_table.h"

#include <stdlib.h>
#include <string.h>

struct key_table_slot {
    uint64_t tag;
    struct key_table_entry *entry; // NULL = vacant
};

// At most three quarters of the slots are in use.
static size_t slots_for(size_t max_entries)
{
    size_t slots = 16;
    while (slots / 4 * 3 < max_entries)
        slots *= 2;
    return slots;
}

static uint64_t tag_of(const struct secret_digest *digest)
{
    uint64_t tag;
    memcpy(&tag, digest->bytes, sizeof(tag));
    return tag;
}

static size_t home_of(const struct key_table *t, uint64_t tag)
{
    return (size_t)(tag * t->seed >> 32) & t->mask;
}

void key_table_init(struct key_table *t, size_t max_entries)
{
    size_t slots = slots_for(max_entries);
    t->slots = xcalloc(slots, sizeof(*t->slots));
    t->mask = slots - 1;
    t->count = 0;
    util_random(&t->seed, sizeof(t->seed));
    t->seed |= 1;
}

void key_table_fini(struct key_table *t)
{
    free(t->slots);
    t->slots = NULL;
}

size_t key_table_bytes(size_t max_entries)
{
    return slots_for(max_entries) * sizeof(struct key_table_slot);
}

// Who asks knows the secret that the digest is of, so there is nothing to learn from
// the time that this takes.
static bool is_same(const struct secret_digest *a, const struct secret_digest *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

struct key_table_entry *key_table_find(const struct key_table *t,
                                       const struct secret_digest *digest)
{
    uint64_t tag = tag_of(digest);
    for (size_t i = home_of(t, tag); t->slots[i].entry != NULL; i = (i + 1) & t->mask)
        if (t->slots[i].tag == tag && is_same(&t->slots[i].entry->digest, digest))
            return t->slots[i].entry;
    return NULL;
}

void key_table_put(struct key_table *t, struct key_table_entry *e)
{
    CM_ASSERT(t->count < t->mask);
    uint64_t tag = tag_of(&e->digest);
    size_t i = home_of(t, tag);
    while (t->slots[i].entry != NULL)
        i = (i + 1) & t->mask;
    t->slots[i] = (struct key_table_slot){tag, e};
    t->count++;
}

// May the entry of slot `at` move back to the vacant slot `hole`? Only if that
// does not put it before its home.
static bool may_move(const struct key_table *t, size_t at, size_t hole)
{
    size_t home = home_of(t, t->slots[at].tag);
    return ((at - home) & t->mask) >= ((at - hole) & t->mask);
}

void key_table_remove(struct key_table *t, const struct key_table_entry *e)
{
    size_t hole = home_of(t, tag_of(&e->digest));
    while (t->slots[hole].entry != e) {
        CM_ASSERT(t->slots[hole].entry != NULL);
        hole = (hole + 1) & t->mask;
    }
    for (size_t at = (hole + 1) & t->mask; t->slots[at].entry != NULL; at = (at + 1) & t->mask)
        if (may_move(t, at, hole)) {
            t->slots[hole] = t->slots[at];
            hole = at;
        }
    t->slots[hole].entry = NULL;
    t->count--;
}
