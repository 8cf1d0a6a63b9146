// SPDX-License-Identifier: Apache-2.0
// Which workers there are, as far as their acks tell: what "all workers" means
// when a write waits for them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/ack.h"

struct roster_worker {
    struct ack ack;       // its last one
    uint64_t heard_ms;    // boot clock
    uint64_t mirrored_ms; // when it was last stored; 0 = it must be
};

struct roster;

// Nobody is in it. All times are of the boot clock, in milliseconds. Ended by
// roster_destroy; NULL is fine there.
CM_MUST_CHECK struct roster *roster_create(void);
void roster_destroy(struct roster *r);

// hello and state add or update, and take off the predecessor that they name and
// all before it in its slot; bye takes off, also one that only the mirror knows yet.
void roster_on_ack(struct roster *r, const struct ack *ack, uint64_t now_ms);
// How often anybody was taken off, here or in the mirror: taken when the mirror is asked
// for, for roster_load.
uint64_t roster_removals(const struct roster *r);
// From the mirror, after a start or a reconnect: adds a worker that is not known
// here. wall_ms is now; the worker counts as heard when its ack was sent. Nothing when
// somebody was taken off since the mirror was asked for (asked: roster_removals of then):
// it may be the one who is read here.
void roster_load(struct roster *r, const struct ack *ack, uint64_t asked, uint64_t now_ms,
                 int64_t wall_ms);
// False when there is no such worker.
CM_MUST_CHECK bool roster_forget(struct roster *r, struct slice id);
// Takes off who has been silent for its max_stale_s: it serves nobody any more.
void roster_expire(struct roster *r, uint64_t now_ms);

// How many there are, silent ones too.
size_t roster_count(const struct roster *r);
// In the order of their ids; valid until the next change.
const struct roster_worker *roster_at(const struct roster *r, size_t i);
// Has this worker applied the revision of that history?
bool roster_has_applied(const struct roster_worker *w, uint64_t epoch, uint64_t revision);
// Three of its reports are missing.
bool roster_is_silent(const struct roster_worker *w, uint64_t now_ms);
// Does any worker heard since then hold a catalog?
bool roster_knows_history(const struct roster *r, uint64_t since_ms);

// The mirror in the store. Calls write for each worker that has to be stored
// (text = its ack) or taken away (text ptr NULL); a write that returns false is
// tried again at the next flush.
void roster_flush(struct roster *r, uint64_t now_ms,
                  bool (*write)(void *ctx, struct slice id, struct slice text), void *ctx);
