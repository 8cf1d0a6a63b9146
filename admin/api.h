// SPDX-License-Identifier: Apache-2.0
// The admin API: what its handlers need of the process, and the way in.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "admin/auth.h"
#include "admin/guard.h"
#include "admin/journal_sync.h"
#include "admin/propagation.h"
#include "admin/request.h"
#include "admin/roster.h"
#include "admin/txn.h"
#include "common/http/server.h"
#include "common/store/durability.h"
#include "common/store/keyspace.h"
#include "common/store/redis.h"

// Borrowed from service.c, which outlives every request.
struct api {
    struct redis *redis; // for data
    const struct keyspace *keyspace;
    struct auth *auth;
    struct guard *guard;
    struct journal *journal;           // NULL = none
    struct journal_sync *journal_sync; // NULL = no journal
    struct roster *roster;
    struct propagation *propagation;
    struct txn_queue *txns;
    struct durability *durability;
    unsigned durability_waits; // under way
    uint64_t answers[6];       // by the first digit of the status; 0 = the client left
};

// server_options.handler, .refuse and .on_access; ctx is a struct api.
void api_handle(void *ctx, struct call *c);
void api_refuse(void *ctx, struct call *c, struct reply *reply);
void api_on_access(void *ctx, const struct server_access *access);
