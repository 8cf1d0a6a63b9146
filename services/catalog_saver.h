// SPDX-License-Identifier: Apache-2.0
// Writes the catalog to disk, beside the loop: one file for all workers of the host,
// by whoever has news that it does not hold yet.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/state_dir.h"
#include "common/model/feed.h"
#include "services/replica.h"

struct catalog_saver;

struct catalog_saver_options {
    uv_loop_t *loop;
    const struct state_dir *dir; // all of these outlive it
    const char *store;
    const struct replica *replica;
    const struct feed *feed;
    bool saved; // what replica holds now is on disk
    // A job has ended; error: 0 or a negative errno. written: the file is new; without an
    // error it held all that already.
    void (*on_written)(void *ctx, int error, bool written);
    void *ctx;
};

// Copies the options. Nothing is written before the first tick. Ended by
// catalog_saver_close.
CM_MUST_CHECK struct catalog_saver *catalog_saver_open(const struct catalog_saver_options *options);
// Once a second or so: saves when there is news, it is confirmed, and the last time
// was long enough ago.
void catalog_saver_tick(struct catalog_saver *s, uint64_t now_ms);
// Saves what is not saved yet, then ends; on_closed runs then.
void catalog_saver_close(struct catalog_saver *s, void (*on_closed)(void *ctx), void *ctx);
