// SPDX-License-Identifier: Apache-2.0
// Keeps what a worker knows in CM_STATE_DIR, and gives it back to the next one.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/model/feed.h"
#include "services/key_cache.h"
#include "services/replica.h"

struct keeper;

struct keeper_options {
    uv_loop_t *loop;
    const char *path;  // of the directory; "" = nothing is kept
    const char *store; // names prefix and database; outlives it, as do all of these
    unsigned slot;
    struct replica *replica; // empty
    struct feed *feed;       // new
    struct key_cache *cache; // empty
    // keeper_is_noted may have become true. May be NULL.
    void (*on_noted)(void *ctx);
    void *ctx;
};

struct keeper_counters {
    uint64_t saves;    // catalogs written
    uint64_t errors;   // writes that failed
    uint64_t saved_ms; // boot time at which all that was to be written was; 0 = never
};

// Reads the directory (this blocks), then writes to it as long as it lives. Where that
// cannot be, it says why and keeps nothing.
CM_MUST_CHECK struct keeper *keeper_open(const struct keeper_options *options);
// Writes what is not written yet, while feed and cache still live, for at most
// patience_ms; then on_closed runs. False is given to it when a write still hangs:
// then the loop will not end by itself.
void keeper_close(struct keeper *k, uint64_t patience_ms, void (*on_closed)(void *ctx, bool ended),
                  void *ctx);
// The directory is in use: it is named, ours, and of this prefix and database.
bool keeper_keeps(const struct keeper *k);
// What keys were refused so far will be known to the next worker, also when this one is
// killed now. True where nothing is kept.
CM_MUST_CHECK bool keeper_is_noted(const struct keeper *k);
struct keeper_counters keeper_counters(const struct keeper *k);
