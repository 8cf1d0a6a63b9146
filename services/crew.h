// SPDX-License-Identifier: Apache-2.0
// The children: who is in which slot, starting them, watching them, replacing
// the dead. No event loop: the supervisor calls it after every signal and tick.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/heritage.h"
#include "services/shm.h"

struct crew;

struct crew_options {
    struct shm *shm;
    int shm_fd;
    const int *listeners; // one per worker slot
    int ops_listener;
    char instance[HERITAGE_INSTANCE_LEN + 1];
};

// options' arrays are used until crew_destroy. Nobody is started yet: every slot
// is due at the first crew_tick.
CM_MUST_CHECK struct crew *crew_create(const struct crew_options *options);
// Only when nobody is left.
void crew_destroy(struct crew *c);

// Collects who has ended (and strangers, when we are process 1).
void crew_reap(struct crew *c, uint64_t now_ms);
// Starts who is due, kills who has been silent for too long or has not left in time.
void crew_tick(struct crew *c, uint64_t now_ms);
// One process in every slot and none asked to leave: nothing needs to be looked
// at sooner than for heartbeats.
bool crew_is_settled(const struct crew *c);
void crew_signal(struct crew *c, int signal); // to all

// Leaving: nobody is started any more; workers get SIGTERM and must have ended
// by then. The ops child is asked separately, after them.
void crew_dismiss_workers(struct crew *c, uint64_t deadline_ms);
void crew_dismiss_ops(struct crew *c, uint64_t deadline_ms);
void crew_kill_all(struct crew *c);
size_t crew_workers(const struct crew *c); // processes, all incarnations
size_t crew_size(const struct crew *c);    // the ops child too

// Rolling one slot. crew_renew starts a second incarnation beside the first;
// false when the slot is not in the state for it (nobody or two there, or it
// could not be started).
CM_MUST_CHECK bool crew_renew(struct crew *c, unsigned slot, uint64_t now_ms);
enum crew_renewal {
    CREW_RENEWAL_STARTING,
    CREW_RENEWAL_ABLE, // the new one is as ready as the old one was
    CREW_RENEWAL_FAILED
};
bool crew_is_single(const struct crew *c, unsigned slot); // one process or none is in it
enum crew_renewal crew_renewal_state(const struct crew *c, unsigned slot);
// Asks the newer or the older of two to leave; no-op unless there are two.
void crew_dismiss_one(struct crew *c, unsigned slot, bool newer, uint64_t deadline_ms);
