// SPDX-License-Identifier: Apache-2.0
// How far a write has come: how many replicas have it. WAIT
// (https://redis.io/docs/latest/commands/wait/) with a bound, and one round for all
// who wait at the same time.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/store/redis.h"
#include "common/store/sentinel.h"

enum durability_level {
    DURABILITY_LOCAL, // no replica is known to have it: it is as safe as the master's own disk
    DURABILITY_SOME,  // at least one has it, but not all: a promotion may lose it
    DURABILITY_ALL    // every replica that there is has it: no promotion loses it
};
// "local", "some", "all"
const char *durability_level_name(enum durability_level level);

struct durability_answer {
    enum durability_level level;
    size_t replicas;  // that there are: connected, or known to the Sentinels
    size_t confirmed; // that have it
    // Redis answered. False: the link was lost, so the write may be on a master that
    // is no more (level LOCAL, confirmed 0).
    bool known;
};

struct durability;

// r: the link that the writes go over, which must outlive it; s: its Sentinels or NULL.
CM_MUST_CHECK struct durability *durability_create(struct redis *r, const struct sentinel *s);
// After r was closed, so that nothing is outstanding.
void durability_destroy(struct durability *d);

// How durable is all that r has answered so far? Takes a millisecond while all
// replicas follow closely. Only those that do are waited for, for at most timeout_ms
// (1..1000); what r is asked meanwhile is answered after that. Answers of writes
// must have come over r before. on_done runs exactly once, later.
void durability_wait(struct durability *d, uint32_t timeout_ms,
                     void (*on_done)(void *ctx, const struct durability_answer *answer), void *ctx);
