// SPDX-License-Identifier: Apache-2.0
// Prefer: wait=N: when has every worker applied a revision?
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "admin/roster.h"
#include "common/base/buf.h"

enum { PROPAGATION_WAIT_MAX_S = 30 };

// What a write waits for.
struct propagation_goal {
    uint64_t epoch;
    uint64_t revision;
    bool announced;       // this process has just written it: its bell must come back
    uint64_t started_ms;  // boot clock: when the write was done
    int64_t written_ms;   // wall clock of the same moment
    uint64_t deadline_ms; // boot clock
};

struct propagation;
struct propagation_wait;

// roster must outlive it. max_stale_s is assumed of workers that nobody heard;
// slack_ms: for so long after a failover a worker may take an old master's word.
CM_MUST_CHECK struct propagation *propagation_create(const struct roster *roster,
                                                     uint64_t max_stale_s, uint64_t slack_ms);
void propagation_destroy(struct propagation *p); // nobody waits any more

// Appends the "propagation" object as it stands if the goal is reached or there
// is nobody to wait for; else false, out unchanged.
CM_MUST_CHECK bool propagation_try(const struct propagation *p, const struct propagation_goal *goal,
                                   uint64_t now_ms, struct buf *out);
// Otherwise: on_done runs once, in a later turn, at the goal or at the deadline,
// with the object's JSON.
void propagation_start(struct propagation *p, const struct propagation_goal *goal,
                       void (*on_done)(void *ctx, struct slice json), void *ctx);

// Events.
void propagation_on_link(struct propagation *p, bool up, uint64_t now_ms); // the subscription
void propagation_on_bell(struct propagation *p, uint64_t epoch, uint64_t revision, uint64_t now_ms);
void propagation_on_roster(struct propagation *p, uint64_t now_ms);
void propagation_on_tick(struct propagation *p, uint64_t now_ms);
// Every wait ends now, as at its deadline.
void propagation_end_all(struct propagation *p, uint64_t now_ms);
// Can workers be heard at all?
bool propagation_hears(const struct propagation *p);
size_t propagation_waiting(const struct propagation *p);
