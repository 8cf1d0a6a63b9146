// SPDX-License-Identifier: Apache-2.0
// Writes one slot's diary: appends what happens to the key cache, beside the loop,
// and writes the file anew from the cache when it has grown or something is missing
// in it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/state_dir.h"
#include "common/model/feed.h"
#include "services/key_cache.h"

struct diary_writer;

struct diary_writer_options {
    uv_loop_t *loop;
    const struct state_dir *dir; // all of these outlive it
    const char *store;
    struct key_cache *cache;
    const struct feed *feed;
    unsigned slot;
    bool whole;  // the slot's file holds all that the cache was loaded from ...
    size_t size; // ... in its first `size` bytes
    // A job has ended; error: 0 or a negative errno.
    void (*on_written)(void *ctx, int error);
    // After every job at whose end diary_writer_is_noted.
    void (*on_noted)(void *ctx);
    void *ctx;
};

// Becomes the cache's diarist.
CM_MUST_CHECK struct diary_writer *diary_writer_open(const struct diary_writer_options *options);
// Once a second or so: says when the store was last confirmed, writes what has come up.
void diary_writer_tick(struct diary_writer *d, uint64_t now_ms);
// All refusals and changes that the cache has told of are written (not synced): whoever
// reads the file after a kill knows them. So it is also when the file cannot be written
// and was taken away, and where a predecessor still writes it.
CM_MUST_CHECK bool diary_writer_is_noted(const struct diary_writer *d);
// Nothing is noted any more; on_closed runs when the job under way has ended.
void diary_writer_close(struct diary_writer *d, void (*on_closed)(void *ctx), void *ctx);
