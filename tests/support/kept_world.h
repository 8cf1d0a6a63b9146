// SPDX-License-Identifier: Apache-2.0
// What a worker keeps in its state directory, without the worker: a replica, a feed
// that is told what it needs to be told, a key cache, and the keeper of them. One world
// at a time, in temp_dir.
#pragma once

#include <uv.h>

#include "services/keeper.h"
#include "tests/support/test.h"

#define KEPT_STORE "{cm}:0:bell"

struct kept_world {
    uv_loop_t loop;
    struct replica replica;
    struct feed *feed;
    struct key_cache *cache;
    struct keeper *keeper; // NULL after kept_close
    bool closed, ended;
    size_t noted; // calls of on_noted
};

extern struct kept_world kept;

// A worker of that slot starts; poison may be NULL.
void kept_open(unsigned slot, const char *store, const struct poison *poison);
// It leaves as it should.
void kept_close(void);
// Lets the loop turn until something was written after this call.
void kept_await_save(void);

// The store: epoch 0xe1, the models v/0 .. v/<models-1> with that creation time, at that
// revision; the feed reads it and is live.
void kept_live(uint64_t revision, unsigned models, int created);
// The same place, confirmed again.
void kept_confirm(void);
// A key's record was read there.
void kept_read_key(const struct secret_digest *digest, const char *key_state, uint64_t revision);
struct secret_digest kept_digest(unsigned n);
// v/<n> in what is shown: its creation time, or -1.
int64_t kept_created(unsigned n);
