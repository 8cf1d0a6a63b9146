// SPDX-License-Identifier: Apache-2.0
// A worker's parts, for the files that wire them: worker.c (process, server),
// worker_tls.c (certificate, tickets) and worker_feed.c (store, catalog, keys).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/http/server.h"
#include "common/store/feed_io.h"
#include "services/access.h"
#include "services/farewell.h"
#include "services/keeper.h"
#include "services/key_gate.h"
#include "services/models_api.h"
#include "services/neighbours.h"
#include "services/replica.h"
#include "services/turns.h"
#include "services/worker.h"
#include "services/worker_stats.h"

struct worker {
    const struct worker_start *start;
    const struct settings *settings;
    uv_loop_t loop;
    uv_timer_t beat, alarm, cut;
    uv_idle_t render;
    uv_signal_t dismiss;
    uv_prepare_t turn;
    struct turns turns;
    uint64_t beats;
    uint64_t started_ms; // boot time

    struct redis_url url;
    struct keyspace keyspace;
    struct feed_io *io;
    struct replica replica;
    struct key_gate *gate;
    struct farewell farewell;
    struct keeper *keeper; // NULL once it is closed
    bool disk_hangs;       // its last write has not returned
    struct models_api api;
    struct access access;
    struct server *server;
    struct tls *tls;             // NULL = cleartext alone
    uint64_t vault_version;      // that it knows
    uint64_t certificate_number; // that it has tried
    struct neighbours neighbours;
    struct worker_stats stats;

    bool was_up;
    enum feed_state told_state; // in the log
    enum feed_reason told_reason;
    void (*on_feed_closed)(struct worker *w);
};

// False when there is to be TLS and its certificate cannot be used.
CM_MUST_CHECK bool worker_tls_start(struct worker *w);
// Takes over what has changed in the vault; to be called every beat.
void worker_tls_look(struct worker *w);

// Makes replica, gate and feed, on w's loop, and fills them from CM_STATE_DIR; handles
// alarm and render are made too.
void worker_feed_start(struct worker *w);
// Writes what is to be kept, says bye or leaves it to the next worker; on_closed runs
// when the store's part is over and w->io is gone.
void worker_feed_close(struct worker *w, void (*on_closed)(struct worker *w));
// After the loop has ended.
void worker_feed_fini(struct worker *w);
