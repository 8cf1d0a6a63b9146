// SPDX-License-Identifier: Apache-2.0
// Reading keys into the cache: one read per key at a time, whoever waits for it,
// and the rule that keeps a read that a change has overtaken out of the cache.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "services/key_cache.h"
#include "services/key_source.h"

// Who a fill is for. Each line has room of its own, so that guessed keys cannot keep
// others out, and is served before those after it.
enum key_line {
    KEY_LINE_KNOWN,   // a key that is in memory and has to be read again
    KEY_LINE_FIRST,   // any other, asked for by a connection that waits for nothing else
    KEY_LINE_FURTHER, // by one that does; served once in a while even so
    KEY_LINES
};

enum {
    KEY_FILL_READS_MAX = 256,    // reads in flight; at most what feed_io takes
    KEY_FILL_READS_OTHERS = 192, // of them, those that are not KNOWN's
    KEY_FILLS_MAX = 4096,        // keys being read or queued for it, in one line ...
    KEY_FILLS_FIRST_MAX = 16384, // ... but FIRST: as many as there may be connections
    KEY_FILL_FURTHER_TURN = 8,   // every so many reads begin with FURTHER
    KEY_FILL_WAITERS_MAX = 8192, // requests waiting beyond the one that began each fill
    KEY_FILL_TRIES = 3,
    KEY_FILL_PATIENCE_MS = 2000
};

// 0 takes the guard out, so that a test can show what it is for.
#ifndef CM_FILL_GUARD
#define CM_FILL_GUARD 1
#endif

enum key_fill_outcome {
    KEY_FILL_READ,  // the cache holds what the store says
    KEY_FILL_AWAY,  // the store did not answer
    KEY_FILL_UNSURE // it did, but nothing to rely on
};

// The caller's memory until on_filled, which runs exactly once, in a later turn
// than key_fill_join's.
struct key_waiter {
    void (*on_filled)(struct key_waiter *w, enum key_fill_outcome outcome);
    struct key_waiter *next; // key_fill's
};

struct key_fill_counters {
    uint64_t found, absent, failed; // ended so
    uint64_t retries;               // read again because a change overtook the read
    uint64_t in_flight;             // now
};

struct key_fill;

// All must outlive it.
CM_MUST_CHECK struct key_fill *key_fill_create(const struct key_source *source, void *ctx,
                                               struct key_cache *cache);
// Ends what is under way: waiters get KEY_FILL_AWAY. No read may be in flight.
void key_fill_destroy(struct key_fill *f); // NULL is fine

// Waits for a fresh read of that key, starting it in that line if need be. False: too
// many are waiting or the store cannot be asked; w is not used.
CM_MUST_CHECK bool key_fill_join(struct key_fill *f, const struct secret_digest *digest,
                                 enum key_line line, struct key_waiter *w);
// The key's record changed at that revision / any record may have changed.
void key_fill_key_changed(struct key_fill *f, const struct secret_digest *digest,
                          uint64_t revision);
void key_fill_all_changed(struct key_fill *f);
// The feed has moved, or the link has changed.
void key_fill_on_feed(struct key_fill *f);
// Gives up what has taken too long. key_fill_deadline: when to call; UINT64_MAX = never.
void key_fill_on_time(struct key_fill *f);
uint64_t key_fill_deadline(const struct key_fill *f);

// Since the start, but in_flight.
struct key_fill_counters key_fill_counters(const struct key_fill *f);
