// SPDX-License-Identifier: Apache-2.0
// Looks after the store between requests: is it fit to be used, does it hold our
// history, who is in the fleet's mirror; makes the first history, and has a loss
// repaired.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "admin/guard.h"
#include "admin/journal.h"
#include "admin/txn.h"
#include "common/store/keyspace.h"
#include "common/store/redis.h"

struct store_watch_options {
    struct redis *data; // connections, for asking and for whether they are up
    struct redis *subscription;
    const struct keyspace *keyspace;
    struct guard *guard;
    struct roster *roster;
    struct journal *journal; // NULL = none
    struct txn_queue *txns;
    uint64_t repair_wait_ms; // how long a loss that we cannot mend is left to another admin
    // Redis may evict records and this is the start: do not go on (once, later).
    void (*on_unfit)(void *ctx);
    void *ctx;
};

struct store_watch;

CM_MUST_CHECK struct store_watch *store_watch_create(const struct store_watch_options *options);
// After the connections were closed, so that no answer is outstanding.
void store_watch_destroy(struct store_watch *w);
// The connections are about to be closed: answers that end with them say nothing
// about the store.
void store_watch_stop(struct store_watch *w);
void store_watch_on_data(struct store_watch *w, bool up);
void store_watch_on_subscription(struct store_watch *w, bool up, uint64_t now_ms);
// At least every 100 ms.
void store_watch_tick(struct store_watch *w, uint64_t now_ms);
// Redis answers, is fit, and holds the history that we know.
bool store_watch_is_ready(const struct store_watch *w);
// Of the last head that was read; 0 before.
uint64_t store_watch_revision(const struct store_watch *w);
