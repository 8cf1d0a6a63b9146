// SPDX-License-Identifier: Apache-2.0
// What a worker remembers of keys, by digest: the table, its bound, and who has
// to go. It judges nobody: that is key_gate's.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/alias_block.h"
#include "common/model/key.h"
#include "services/key_table.h"

enum { KEY_ABSENT_MS = 2000 };

enum key_entry_kind {
    KEY_ENTRY_KNOWN,  // a record was read
    KEY_ENTRY_ABSENT, // Redis has none; remembered for a moment
    KEY_ENTRY_DENIED  // refused until a record above deny_revision is read
};

// Written by key_cache.c alone. Valid until the cache's next change of that
// digest, or the next put of any.
struct key_entry {
    struct key_table_entry table; // first: the digest
    enum key_entry_kind kind;
    bool dirty;       // changed since it was read: useless before it is read again
    bool used;        // since the eviction hand passed
    bool lent;        // from another worker's diary alone, and not read by us since
    bool block_used;  // the same for the block
    uint32_t read_in; // generation of the cache at the last read
    struct key *key;  // KNOWN
    // KNOWN, ABSENT: revision of the store that the read saw at least. DENIED:
    // revision up to which we have been told about it.
    uint64_t as_of;
    union {
        uint64_t deny_revision; // DENIED
        uint64_t until_ms;      // ABSENT: boot time
    };
    struct key_entry *older, *newer; // in its kind's pool
    struct alias_block *block;       // KNOWN: of some view, or NULL
    struct key_entry *block_older, *block_newer;
};

struct key_cache_counters {
    uint64_t evictions;             // of entries, for space
    uint64_t bytes;                 // now, the table included
    uint64_t known, absent, denied; // entries now
};

// What happens to the cache, for who keeps a diary of it. Called after it happened;
// must not use the cache.
struct key_cache_diarist {
    void (*on_put)(void *ctx, const struct secret_digest *digest, const struct key *k,
                   uint64_t as_of);
    // changed, or with deny refused, at that revision
    void (*on_change)(void *ctx, const struct secret_digest *digest, bool deny, uint64_t revision);
    void (*on_forget)(void *ctx, const struct secret_digest *digest); // it was known
    void (*on_unverify)(void *ctx, uint64_t confirmed_ms);
};

struct key_cache;

// max_bytes bounds everything: table, entries, keys with their aliases, blocks.
// At least 1 MiB.
CM_MUST_CHECK struct key_cache *key_cache_create(size_t max_bytes);
void key_cache_destroy(struct key_cache *c); // NULL is fine
void key_cache_set_diarist(struct key_cache *c, const struct key_cache_diarist *diarist,
                           void *ctx); // outlives it; NULL = none

// NULL when nothing is remembered, also once an absence is over.
struct key_entry *key_cache_find(struct key_cache *c, const struct secret_digest *digest,
                                 uint64_t now_ms);
// A record was read in a state of the store that is at least as_of. Takes k
// over. A denial that k's revision does not exceed stays, and is clean again.
void key_cache_put(struct key_cache *c, const struct secret_digest *digest, struct key *k,
                   uint64_t as_of);
// The same, from another worker's diary: the entry is lent, unless it was our own before.
void key_cache_put_lent(struct key_cache *c, const struct secret_digest *digest, struct key *k,
                        uint64_t as_of);
// No record was read. A denial stays; anything else becomes ABSENT for
// KEY_ABSENT_MS.
void key_cache_put_absent(struct key_cache *c, const struct secret_digest *digest, uint64_t as_of,
                          uint64_t now_ms);
// The record changed at that revision.
void key_cache_change(struct key_cache *c, const struct secret_digest *digest, uint64_t revision);
// Refuse it until a record above that revision is read.
void key_cache_deny(struct key_cache *c, const struct secret_digest *digest, uint64_t revision);
// Its record makes no sense: forget what was known (a denial stays).
void key_cache_forget(struct key_cache *c, const struct secret_digest *digest);
// Anything may have changed: what was read until now is unverified. confirmed_ms:
// the feed's last confirmation before that, up to which it was known to be right.
void key_cache_unverify(struct key_cache *c, uint64_t confirmed_ms);
bool key_cache_is_verified(const struct key_cache *c, const struct key_entry *e);
// The confirmation that the entry's lease counts from: the feed's own (the
// argument) for a verified one; 0 = none is remembered.
uint64_t key_cache_confirmed_ms(const struct key_cache *c, const struct key_entry *e,
                                uint64_t confirmed_ms);

// The block of a known entry for that view, borrowed, or NULL.
struct alias_block *key_cache_block(struct key_entry *e, uint64_t view_serial);
// Keeps a reference of its own of b with a known entry, in the place of a former
// block. Others may go to make room, e does not.
void key_cache_keep_block(struct key_cache *c, struct key_entry *e, struct alias_block *b);

// A walk, over many turns if need be, while the cache is used: known entries, the
// longest not read first, then denied ones. What is read or denied meanwhile may come
// twice; what stays as it is comes once. NULL: the end.
void key_cache_walk(struct key_cache *c);
const struct key_entry *key_cache_walk_next(struct key_cache *c);

// As of now; evictions since the start.
struct key_cache_counters key_cache_counters(const struct key_cache *c);
