// SPDX-License-Identifier: Apache-2.0
// The little that keys need of the outside: the store's state, one read, one
// alarm. The worker gives feed_io's; tests give their own.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/model/feed.h"
#include "common/store/feed_io.h"

struct key_sense {
    uint64_t now_ms; // CLOCK_BOOTTIME
    int64_t wall_s;
    bool up; // the store can be asked
    enum feed_state state;
    struct feed_position position;
    uint64_t told_revision; // feed_told_revision's
    uint64_t confirmed_ms;  // boot time; 0 = never
};

struct key_source {
    void (*sense)(void *ctx, struct key_sense *out);
    // As feed_io_read_key: false: nothing was sent. Else on_read runs once, later.
    bool (*read_key)(void *ctx, const struct secret_digest *digest,
                     void (*on_read)(void *reader, const struct key_read *result), void *reader);
    // As feed_has_passed.
    bool (*has_passed)(void *ctx, uint64_t epoch, uint64_t revision, uint64_t change);
    // As feed_confirm. key_gate_on_feed follows when there is news.
    void (*confirm)(void *ctx);
    // Call key_gate_on_time at that boot time; replaces the former wish.
    void (*wake_at)(void *ctx, uint64_t at_ms);
};
