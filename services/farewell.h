// SPDX-License-Identifier: Apache-2.0
// Byes that no admin has heard, kept in CM_STATE_DIR until somebody says them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/ack.h"
#include "common/store/feed_io.h"

// A zeroed struct has nothing to say and leaves nothing.
struct farewell {
    const char *path; // NULL = nothing is kept
    struct ack *byes; // of others
    size_t count, saying;
    unsigned rounds; // in which all of them were heard
    bool busy;       // one is under way
    struct feed_io *io;
    uint64_t next_ms; // boot time
};

// Reads what others have left in that directory (this blocks); path outlives f.
void farewell_load(struct farewell *f, const char *path);
// To be called whenever something has come over the link: says what is due.
void farewell_tick(struct farewell *f, struct feed_io *io, uint64_t now_ms);
// The end, after io's: takes away what was said, leaves our own bye when it was not heard
// (else NULL), and frees. This blocks.
void farewell_leave(struct farewell *f, const struct ack *unheard);
