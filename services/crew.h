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
    // What a worker gets after the mapping, see heritage.h.
    const int *worker_fds;
    size_t worker_fd_count;
    int ops_listener;
    int program;              // a descriptor of the file that runs; taken over
    const char *program_path; // where to look for its successor
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

// Leaving: nobody is started any more; workers are dismissed and must have ended
// by then. The ops child is asked separately, after them.
void crew_dismiss_workers(struct crew *c, uint64_t deadline_ms);
void crew_dismiss_ops(struct crew *c, uint64_t deadline_ms);
void crew_kill_all(struct crew *c);
size_t crew_workers(const struct crew *c); // processes, all incarnations
size_t crew_size(const struct crew *c);    // the ops child too

// The program that children are made of. It is held by a descriptor: a file that
// has been put in its place, or removed, changes nothing for who dies and comes
// again. crew_look_for_program opens what is there now, for crew_renew alone;
// crew_keep_program makes it everybody's, once it has shown that it can start;
// crew_drop_program forgets it. False with errno set when it cannot be opened.
CM_MUST_CHECK bool crew_look_for_program(struct crew *c);
void crew_keep_program(struct crew *c);
void crew_drop_program(struct crew *c);

// Rolling one slot, be it the ops child's. crew_renew starts a second incarnation beside the first;
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
