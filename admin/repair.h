// SPDX-License-Identifier: Apache-2.0
// Gives a store back what it lost of our history.
#pragma once

#include "admin/guard.h"
#include "admin/journal.h"
#include "admin/txn.h"

struct repair_options {
    struct txn_queue *txns;
    struct guard *guard;
    struct journal *journal; // NULL = none
    const struct keyspace *keyspace;
    // It is over, whatever came of it: look at the store again. Once, later.
    void (*on_done)(void *ctx);
    void *ctx;
};

struct repair;
// Starts it; it frees itself after on_done.
void repair_start(const struct repair_options *options);
