// SPDX-License-Identifier: Apache-2.0
// May a request with this key pass? From memory when memory may be relied on
// (in the same turn, without allocating), else after asking the store.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/key_cache.h"
#include "services/key_fill.h"
#include "services/key_source.h"

enum { KEY_CONFIRM_PATIENCE_MS = 50, KEY_LEASE_POLLS = 3 };

enum key_verdict {
    KEY_GRANTED,
    KEY_REFUSED, // known to be bad
    KEY_UNKNOWN, // cannot be known now
    // Not yet; to be given to key_gate_wait:
    KEY_LATER_CONFIRM, // the feed must confirm first that it is current
    KEY_LATER_READ     // the key must be read first
};

// Why a verdict was UNKNOWN.
enum key_doubt {
    KEY_DOUBT_NONE,       // it was not
    KEY_DOUBT_STORE_AWAY, // it cannot be asked, and memory does not tell
    KEY_DOUBT_KEY_UNSURE, // it was asked, but gave nothing to rely on, or not in time
    KEY_DOUBT_TOO_MANY,   // requests wait for keys already
    KEY_DOUBT_LEASE_OVER, // the key is in memory, but may have been revoked since
    KEY_DOUBT_NO_CATALOG,
    KEY_DOUBTS
};

// A question that waits: the caller's memory until on_verdict, which runs exactly
// once, in a later turn.
struct key_question {
    struct secret_digest digest;
    bool crowded; // its connection waits for other answers too: see key_line
    // GRANTED, REFUSED or UNKNOWN; entry as from key_gate_ask.
    void (*on_verdict)(struct key_question *q, enum key_verdict verdict, struct key_entry *entry);
    struct key_gate *gate; // key_gate's
    struct key_waiter waiter;
    struct key_question *next;
};

struct key_gate_options {
    const struct key_source *source; // outlives it
    void *ctx;
    size_t cache_bytes;
    uint64_t poll_ms;
    uint64_t max_stale_s; // 0 = for ever
};

struct key_gate_counters {
    uint64_t hits;          // answered by a record in memory
    uint64_t negative_hits; // by an absence or a denial in memory
    uint64_t misses;        // the store had to be asked
};

struct key_gate;

// Copies the options. Its cache is empty, and nobody can pass before the source says so.
CM_MUST_CHECK struct key_gate *key_gate_create(const struct key_gate_options *options);
// No read may be in flight. Questions that wait get KEY_UNKNOWN.
void key_gate_destroy(struct key_gate *g); // NULL is fine

// *entry is set when granted: valid in this turn, until the gate or its cache is
// used again. It may be used with the catalog as it is now.
enum key_verdict key_gate_ask(struct key_gate *g, const struct secret_digest *digest,
                              struct key_entry **entry);
// q has digest, crowded and on_verdict. later: what key_gate_ask has just returned. False:
// too much is waiting already or the store cannot be asked: KEY_UNKNOWN; q is not used.
CM_MUST_CHECK bool key_gate_wait(struct key_gate *g, struct key_question *q,
                                 enum key_verdict later);

// Why the last verdict was UNKNOWN (of a wait that was refused, too); as long as *entry.
enum key_doubt key_gate_doubt(const struct key_gate *g);

// The feed's actions.
void key_gate_key_changed(struct key_gate *g, const struct secret_digest *digest, bool deny,
                          uint64_t revision);
void key_gate_keys_unverified(struct key_gate *g);
// Something of key_sense has changed. Not from inside an action or a source's function.
void key_gate_on_feed(struct key_gate *g);
void key_gate_on_time(struct key_gate *g); // as wished by wake_at

// Borrowed, for who keeps it on disk or counts; the counters are since the start.
struct key_cache *key_gate_cache(const struct key_gate *g);
struct key_fill_counters key_gate_fill_counters(const struct key_gate *g);
struct key_gate_counters key_gate_counters(const struct key_gate *g);
