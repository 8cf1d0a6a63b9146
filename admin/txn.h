// SPDX-License-Identifier: Apache-2.0
// One change of the store: read, plan, commit; again when somebody else was
// faster; and certainty about what became of it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "admin/guard.h"
#include "admin/journal.h"
#include "admin/problem.h"
#include "common/store/commit.h"
#include "common/store/fetch.h"

enum txn_verdict {
    TXN_COMMIT,      // send it; then it is done
    TXN_COMMIT_MORE, // send it; then ask and plan again, there is more to do
    TXN_READ_MORE,   // slots were added to the fetch: read again, plan again
    TXN_STOP         // nothing to send: the plan has its answer already
};

enum txn_result {
    TXN_COMMITTED,
    TXN_STOPPED,
    TXN_REPLAYED,  // text: the stored outcome of this idempotency key
    TXN_FAILED,    // *problem says why; nothing was changed by the last commit
    TXN_UNRESOLVED // Redis took the last commit and was not heard of again
};

struct txn_hooks {
    // It knows what the store is, and writes all the same: the guard is not asked,
    // and head may be all zero.
    bool unguarded;
    // Adds what the plan needs to know. Called for every attempt, with a new fetch.
    void (*ask)(void *ctx, struct fetch *f);
    // Judges what was read and fills c, to be made from head. Called once per read;
    // everything that it made before is void.
    enum txn_verdict (*plan)(void *ctx, struct fetch *f, const struct head *head, struct commit *c);
    // A commit is done. Called for each, before done.
    void (*committed)(void *ctx, uint64_t revision);
    // The end, exactly once, in a later turn than txn_start. problem is owned by the
    // transaction; its content may be taken.
    void (*done)(void *ctx, enum txn_result result, struct slice text, struct problem *problem);
};

struct txn_queue;

struct txn_queue_options {
    struct redis *redis;
    const struct keyspace *keyspace;
    struct guard *guard;
    struct journal *journal; // NULL = none
    uint64_t log_keep, log_keep_bytes;
};

CM_MUST_CHECK struct txn_queue *txn_queue_create(const struct txn_queue_options *options);
void txn_queue_destroy(struct txn_queue *q); // when it is idle
// First come, first served; those that do not touch each other's objects go to Redis
// together. Writes of this process never meet each other.
void txn_start(struct txn_queue *q, const struct txn_hooks *hooks, void *ctx);
// Drives what waits for Redis to come back; call it at least every 100 ms.
void txn_queue_tick(struct txn_queue *q, uint64_t now_ms);
bool txn_queue_idle(const struct txn_queue *q);
// Was this change sent, or is it about to be, and has no outcome yet?
bool txn_queue_is_pending(const struct txn_queue *q, uint64_t change);
