// SPDX-License-Identifier: Apache-2.0
// What the state directory holds, into a worker that has just been made: catalog,
// position, keys, refusals.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/state_dir.h"
#include "common/model/feed.h"
#include "services/key_cache.h"
#include "services/replica.h"

#define STATE_CATALOG_NAME "catalog"
// Of one slot's diary, and of its lock.
void state_diary_name(unsigned slot, char out[STATE_NAME_MAX]);
void state_diary_lock_name(unsigned slot, char out[STATE_NAME_MAX]);

struct state_load {
    const struct state_dir *dir;
    const char *store; // names prefix and database
    unsigned slot;
    struct replica *replica; // empty
    struct feed *feed;       // new
    struct key_cache *cache; // empty
};

struct state_loaded {
    bool foreign;          // something there is not ours: nothing may be written
    bool catalog;          // there is one now
    bool catalog_is_whole; // it is the newest generation's
    bool diary_is_whole;   // of our slot: may be gone on with
    size_t diary_size;     // its whole lines
    size_t keys;           // read, of all slots
};

// Every file that cannot be used is logged with its reason.
void state_load(const struct state_load *what, struct state_loaded *out);
