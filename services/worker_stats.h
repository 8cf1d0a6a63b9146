// SPDX-License-Identifier: Apache-2.0
// What a worker shows of itself in its block of the shared mapping.
#pragma once

#include <stdint.h>

#include "common/http/server.h"
#include "common/store/feed_io.h"
#include "services/keeper.h"
#include "services/key_gate.h"
#include "services/replica.h"
#include "services/shm.h"

struct worker_stats {
    struct shm_block *block;
    const struct server *server;
    const struct tls *tls; // NULL = none
    const struct key_gate *gate;
    const struct replica *replica;
    struct feed_io *io;
    struct keeper *const *keeper; // of the worker; NULL once it is closed
    uint64_t links;               // times that the link came up
};

// State, position, readiness: after every change of them.
void worker_stats_store_state(const struct worker_stats *w);
// Counters and gauges: a few times a second.
void worker_stats_store_metrics(const struct worker_stats *w);
