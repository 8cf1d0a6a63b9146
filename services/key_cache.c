// SPDX-License-Identifier: Apache-2.0
// One table, three pools. A digest has at most one entry; what is learnt about
// it moves the entry from pool to pool:
//
//   KNOWN   bounded by what the others leave. Evicted by SIEVE: new entries
//           queue up, a hand walks from the oldest to the newest, passes (and
//           unmarks) those used since it came by last, and takes the first that
//           was not. A scan of keys that are used once goes through without
//           touching those in use. The hand passes a bounded number at a time,
//           or one unlucky request would pay for a walk through them all.
//   ABSENT  at most an eighth, first in first out: guessed keys push out only
//           each other.
//   DENIED  at most an eighth, oldest first: keys in use never push out a refusal.
//
// Alias blocks (what a key's list starts with) hang on KNOWN entries. They can be
// made again without asking anybody, so they go before any entry does: oldest
// first, a used one gets a second round.
//
// "Unverified" is a generation: after a reload every entry read before it is.
// Revisions are compared only within a generation, because a history that lost
// its latest writes counts them a second time. The confirmation that ended a
// generation is remembered: used without being read again, an entry is no better
// than it was then, however lately the reload was confirmed.
#include "services/key_cache.h"

#include <stdlib.h>

enum {
    SMALL_SHARE = 8,       // one part in 8 for ABSENT, as much for DENIED
    HAND_STEPS_MAX = 1024, // entries that one eviction may pass: some 0.1 ms
    HEAP_COST = 16,        // what malloc itself takes of each block
    ENTRY_COST = sizeof(struct key_entry) + HEAP_COST,
    GENERATIONS = 512, // whose last confirmation is remembered
    KEY_COST_MIN = sizeof(struct key) + sizeof(struct alias_set) + 2 * HEAP_COST
};

struct pool {
    struct key_entry *oldest, *newest;
    size_t count, bytes;
};

struct key_cache {
    struct key_table table;
    size_t budget;    // for all but the table
    size_t small_max; // of ABSENT and of DENIED
    size_t fixed;     // bytes of the table
    struct pool pools[KEY_ENTRY_DENIED + 1];
    struct key_entry *hand; // in KNOWN; NULL = at the oldest
    struct key_entry *walk; // the next of the walk
    enum key_entry_kind walk_kind;
    const struct key_cache_diarist *diarist;
    void *diarist_ctx;
    struct key_entry *block_oldest, *block_newest;
    size_t block_bytes;
    uint32_t generation;
    uint64_t confirmed_ms[GENERATIONS]; // when each of the last ones was, at its end
    uint64_t evictions;
};

_Static_assert(offsetof(struct key_entry, table) == 0, "the table's view stands first");

static struct key_entry *entry_of(struct key_table_entry *e)
{
    return (struct key_entry *)(void *)e;
}

static size_t key_bytes(const struct key *k)
{
    return k == NULL ? 0 : k->bytes + 2 * (size_t)HEAP_COST;
}

static size_t block_bytes(const struct alias_block *b)
{
    return b == NULL ? 0 : b->bytes + 2 * (size_t)HEAP_COST;
}

struct key_cache *key_cache_create(size_t max_bytes)
{
    CM_ASSERT(max_bytes >= 1 << 20);
    struct key_cache *c = xcalloc(1, sizeof(*c));
    size_t small = max_bytes / SMALL_SHARE / ENTRY_COST;
    size_t known = max_bytes / (ENTRY_COST + KEY_COST_MIN);
    size_t most = known + 2 * small + 1;
    key_table_init(&c->table, most);
    c->fixed = key_table_bytes(most) + sizeof(*c);
    CM_ASSERT(c->fixed < max_bytes / 2);
    c->budget = max_bytes - c->fixed;
    c->small_max = c->budget / SMALL_SHARE;
    return c;
}

// -- pools ------------------------------------------------------------------

static void pool_add(struct key_cache *c, struct key_entry *e, enum key_entry_kind kind)
{
    struct pool *p = &c->pools[kind];
    e->kind = kind;
    e->newer = NULL;
    e->older = p->newest;
    *(p->newest != NULL ? &p->newest->newer : &p->oldest) = e;
    p->newest = e;
    p->count++;
    p->bytes += ENTRY_COST + key_bytes(e->key);
}

static void pool_remove(struct key_cache *c, struct key_entry *e)
{
    struct pool *p = &c->pools[e->kind];
    if (c->hand == e)
        c->hand = e->newer;
    if (c->walk == e)
        c->walk = e->newer;
    *(e->older != NULL ? &e->older->newer : &p->oldest) = e->newer;
    *(e->newer != NULL ? &e->newer->older : &p->newest) = e->older;
    p->count--;
    p->bytes -= ENTRY_COST + key_bytes(e->key);
}

// -- alias blocks -----------------------------------------------------------

static void block_link(struct key_cache *c, struct key_entry *e)
{
    e->block_newer = NULL;
    e->block_older = c->block_newest;
    *(c->block_newest != NULL ? &c->block_newest->block_newer : &c->block_oldest) = e;
    c->block_newest = e;
}

static void block_unlink(struct key_cache *c, struct key_entry *e)
{
    *(e->block_older != NULL ? &e->block_older->block_newer : &c->block_oldest) = e->block_newer;
    *(e->block_newer != NULL ? &e->block_newer->block_older : &c->block_newest) = e->block_older;
}

static void drop_block(struct key_cache *c, struct key_entry *e)
{
    if (e->block == NULL)
        return;
    block_unlink(c, e);
    c->block_bytes -= block_bytes(e->block);
    alias_block_unref(e->block);
    e->block = NULL;
}

// The block that goes next, or NULL when there is none but keep's.
static struct key_entry *block_victim(struct key_cache *c, const struct key_entry *keep)
{
    struct key_entry *e = c->block_oldest;
    for (int steps = 0; e != NULL && e->block_newer != NULL; steps++, e = c->block_oldest) {
        if (e != keep && (!e->block_used || steps >= HAND_STEPS_MAX))
            return e;
        e->block_used = false;
        block_unlink(c, e);
        block_link(c, e);
    }
    return e == keep ? NULL : e;
}

// -- entries ----------------------------------------------------------------

// Frees what belongs to KNOWN only. The entry is in no pool.
static void strip(struct key_cache *c, struct key_entry *e)
{
    drop_block(c, e);
    key_destroy(e->key);
    e->key = NULL;
}

static void remove_entry(struct key_cache *c, struct key_entry *e)
{
    pool_remove(c, e);
    strip(c, e);
    key_table_remove(&c->table, &e->table);
    free(e);
}

static void evict(struct key_cache *c, struct key_entry *e)
{
    c->evictions++;
    remove_entry(c, e);
}

// The known entry that goes next, or NULL when there is none but keep.
static struct key_entry *known_victim(struct key_cache *c, const struct key_entry *keep)
{
    const struct pool *p = &c->pools[KEY_ENTRY_KNOWN];
    if (p->count == 0 || (p->count == 1 && p->oldest == keep))
        return NULL;
    struct key_entry *e = c->hand != NULL ? c->hand : p->oldest;
    for (int steps = 0; e == keep || (e->used && steps < HAND_STEPS_MAX); steps++) {
        e->used = false;
        e = e->newer != NULL ? e->newer : p->oldest;
    }
    c->hand = e;
    return e;
}

static size_t used_bytes(const struct key_cache *c)
{
    size_t sum = c->block_bytes;
    for (size_t kind = 0; kind < CM_ARRAY_LEN(c->pools); kind++)
        sum += c->pools[kind].bytes;
    return sum;
}

// Down to the bound again, without touching keep.
static void make_room(struct key_cache *c, const struct key_entry *keep)
{
    while (used_bytes(c) > c->budget) {
        struct key_entry *e = block_victim(c, keep);
        if (e != NULL) {
            drop_block(c, e);
            continue;
        }
        e = known_victim(c, keep);
        if (e == NULL)
            return; // the others have shares of their own
        evict(c, e);
    }
}

static void drop_past_absences(struct key_cache *c, uint64_t now_ms)
{
    struct pool *p = &c->pools[KEY_ENTRY_ABSENT];
    while (p->oldest != NULL && p->oldest->until_ms <= now_ms)
        remove_entry(c, p->oldest);
}

// Adds e to ABSENT or DENIED and brings that down to its share again, oldest first.
static void add_small(struct key_cache *c, struct key_entry *e, enum key_entry_kind kind)
{
    pool_add(c, e, kind);
    while (c->pools[kind].bytes > c->small_max)
        evict(c, c->pools[kind].oldest);
    make_room(c, NULL);
}

static struct key_entry *look(const struct key_cache *c, const struct secret_digest *digest)
{
    return entry_of(key_table_find(&c->table, digest));
}

// The entry of that digest, in no pool and without a key; made if need be.
static struct key_entry *take(struct key_cache *c, const struct secret_digest *digest)
{
    struct key_entry *e = look(c, digest);
    if (e != NULL) {
        pool_remove(c, e);
        strip(c, e);
        return e;
    }
    e = xcalloc(1, sizeof(*e));
    e->table.digest = *digest;
    key_table_put(&c->table, &e->table);
    return e;
}

static void mark_read(const struct key_cache *c, struct key_entry *e, uint64_t as_of)
{
    e->dirty = false;
    e->as_of = as_of;
    e->read_in = c->generation;
}

// -- the diary --------------------------------------------------------------

static void tell_put(const struct key_cache *c, const struct key_entry *e)
{
    if (c->diarist != NULL)
        c->diarist->on_put(c->diarist_ctx, &e->table.digest, e->key, e->as_of);
}

static void tell_change(const struct key_cache *c, const struct secret_digest *digest, bool deny,
                        uint64_t revision)
{
    if (c->diarist != NULL)
        c->diarist->on_change(c->diarist_ctx, digest, deny, revision);
}

static void tell_forget(const struct key_cache *c, const struct key_entry *e)
{
    if (c->diarist != NULL && e->kind == KEY_ENTRY_KNOWN)
        c->diarist->on_forget(c->diarist_ctx, &e->table.digest);
}

void key_cache_set_diarist(struct key_cache *c, const struct key_cache_diarist *diarist, void *ctx)
{
    c->diarist = diarist;
    c->diarist_ctx = ctx;
}

void key_cache_walk(struct key_cache *c)
{
    c->walk_kind = KEY_ENTRY_KNOWN;
    c->walk = c->pools[KEY_ENTRY_KNOWN].oldest;
}

const struct key_entry *key_cache_walk_next(struct key_cache *c)
{
    if (c->walk == NULL && c->walk_kind == KEY_ENTRY_KNOWN) {
        c->walk_kind = KEY_ENTRY_DENIED;
        c->walk = c->pools[KEY_ENTRY_DENIED].oldest;
    }
    const struct key_entry *e = c->walk;
    if (e != NULL)
        c->walk = e->newer;
    return e;
}

// -- what the gate asks and tells -------------------------------------------

struct key_entry *key_cache_find(struct key_cache *c, const struct secret_digest *digest,
                                 uint64_t now_ms)
{
    struct key_entry *e = look(c, digest);
    if (e == NULL)
        return NULL;
    if (e->kind == KEY_ENTRY_ABSENT && e->until_ms <= now_ms) {
        remove_entry(c, e);
        return NULL;
    }
    e->used = true;
    return e;
}

void key_cache_put(struct key_cache *c, const struct secret_digest *digest, struct key *k,
                   uint64_t as_of)
{
    struct key_entry *e = look(c, digest);
    if (e != NULL && e->kind == KEY_ENTRY_DENIED && k->revision <= e->deny_revision) {
        key_destroy(k);
        mark_read(c, e, as_of);
        return;
    }
    bool used = e != NULL && e->kind == KEY_ENTRY_KNOWN && e->used;
    e = take(c, digest);
    e->key = k;
    e->used = used;
    e->lent = false;
    mark_read(c, e, as_of);
    pool_add(c, e, KEY_ENTRY_KNOWN);
    make_room(c, e);
    tell_put(c, e);
}

void key_cache_put_lent(struct key_cache *c, const struct secret_digest *digest, struct key *k,
                        uint64_t as_of)
{
    struct key_entry *e = look(c, digest);
    bool own = e != NULL && e->kind == KEY_ENTRY_KNOWN && !e->lent;
    key_cache_put(c, digest, k, as_of);
    e = look(c, digest);
    if (e != NULL)
        e->lent = !own;
}

void key_cache_put_absent(struct key_cache *c, const struct secret_digest *digest, uint64_t as_of,
                          uint64_t now_ms)
{
    drop_past_absences(c, now_ms);
    struct key_entry *e = look(c, digest);
    if (e != NULL && e->kind == KEY_ENTRY_DENIED) {
        mark_read(c, e, as_of);
        return;
    }
    if (e != NULL)
        tell_forget(c, e);
    e = take(c, digest);
    e->until_ms = now_ms + KEY_ABSENT_MS;
    mark_read(c, e, as_of);
    add_small(c, e, KEY_ENTRY_ABSENT);
}

bool key_cache_is_verified(const struct key_cache *c, const struct key_entry *e)
{
    return e->read_in == c->generation;
}

void key_cache_change(struct key_cache *c, const struct secret_digest *digest, uint64_t revision)
{
    struct key_entry *e = look(c, digest);
    if (e == NULL)
        return;
    if (e->kind == KEY_ENTRY_ABSENT) {
        remove_entry(c, e);
        return;
    }
    tell_change(c, digest, false, revision);
    if (!key_cache_is_verified(c, e) || revision > e->as_of) {
        e->dirty = true;
        if (e->kind == KEY_ENTRY_DENIED)
            e->as_of = revision;
    }
}

// Another refusal of what is denied already. The latest word counts: a change
// that was told before it says nothing any more.
static void deny_again(const struct key_cache *c, struct key_entry *e, uint64_t revision)
{
    if (revision > e->deny_revision)
        e->deny_revision = revision;
    if (key_cache_is_verified(c, e) && revision >= e->as_of)
        mark_read(c, e, revision);
}

void key_cache_deny(struct key_cache *c, const struct secret_digest *digest, uint64_t revision)
{
    struct key_entry *e = look(c, digest);
    tell_change(c, digest, true, revision);
    if (e != NULL && e->kind == KEY_ENTRY_DENIED) {
        deny_again(c, e, revision);
        return;
    }
    if (e != NULL && e->kind == KEY_ENTRY_KNOWN && key_cache_is_verified(c, e) &&
        e->key->revision > revision)
        return; // it was read after it had been given back its rights
    e = take(c, digest);
    e->deny_revision = revision;
    mark_read(c, e, revision);
    add_small(c, e, KEY_ENTRY_DENIED);
}

void key_cache_forget(struct key_cache *c, const struct secret_digest *digest)
{
    struct key_entry *e = look(c, digest);
    if (e == NULL || e->kind == KEY_ENTRY_DENIED)
        return;
    tell_forget(c, e);
    remove_entry(c, e);
}

void key_cache_unverify(struct key_cache *c, uint64_t confirmed_ms)
{
    c->confirmed_ms[c->generation % GENERATIONS] = confirmed_ms;
    c->generation++;
    if (c->diarist != NULL)
        c->diarist->on_unverify(c->diarist_ctx, confirmed_ms);
}

uint64_t key_cache_confirmed_ms(const struct key_cache *c, const struct key_entry *e,
                                uint64_t confirmed_ms)
{
    if (key_cache_is_verified(c, e))
        return confirmed_ms;
    bool remembered = c->generation - e->read_in <= GENERATIONS;
    return remembered ? c->confirmed_ms[e->read_in % GENERATIONS] : 0;
}

struct alias_block *key_cache_block(struct key_entry *e, uint64_t view_serial)
{
    if (e->block == NULL || e->block->view_serial != view_serial)
        return NULL;
    e->block_used = true;
    return e->block;
}

void key_cache_keep_block(struct key_cache *c, struct key_entry *e, struct alias_block *b)
{
    CM_ASSERT(e->kind == KEY_ENTRY_KNOWN);
    drop_block(c, e);
    e->block = alias_block_ref(b);
    e->block_used = false;
    c->block_bytes += block_bytes(b);
    block_link(c, e);
    make_room(c, e);
}

struct key_cache_counters key_cache_counters(const struct key_cache *c)
{
    return (struct key_cache_counters){
        .evictions = c->evictions,
        .bytes = used_bytes(c) + c->fixed,
        .known = c->pools[KEY_ENTRY_KNOWN].count,
        .absent = c->pools[KEY_ENTRY_ABSENT].count,
        .denied = c->pools[KEY_ENTRY_DENIED].count,
    };
}

void key_cache_destroy(struct key_cache *c)
{
    if (c == NULL)
        return;
    for (size_t kind = 0; kind < CM_ARRAY_LEN(c->pools); kind++)
        while (c->pools[kind].oldest != NULL)
            remove_entry(c, c->pools[kind].oldest);
    key_table_fini(&c->table);
    free(c);
}
