// SPDX-License-Identifier: Apache-2.0
// The worker's two connections: it drives the feed (poll, bell, log, reload),
// sends acks, and reads single keys for the cache.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/model/ack.h"
#include "common/model/feed.h"
#include "common/store/keyspace.h"
#include "common/store/redis_url.h"

struct feed_io;

struct feed_io_options {
    const struct redis_url *url;     // outlives it
    const struct keyspace *keyspace; // outlives it
    uint32_t poll_ms;
    uint32_t repair_wait_ms;
    // What the owner does with the catalog and the keys; the read_* and report
    // members are feed_io's own and ignored here.
    const struct feed_actions *actions;
    void *ctx;
    // Fills kind-independent members (id, host, slot, replaces, max_stale_s,
    // rejected, poisoned, saved_ms, save_errors); feed_io adds state, position and times.
    void (*describe)(void *ctx, struct ack *ack);
    // Whoever takes this one's place after a kill knows all that actions.key_changed
    // was told: until then, or for a second, acks do not tell of it (feed_io_noted).
    // May be NULL: always.
    bool (*is_noted)(void *ctx);
    // After every change of state, position or link, and after every head read
    // that the feed has taken in, also one that only confirms (feed_confirm's
    // callers wait for it). The feed has returned: everything of feed.h and of this
    // header may be called in it. May be NULL.
    void (*on_change)(void *ctx);
};

// Copies the options and begins to connect, on loop, which outlives it; nothing is called
// before the loop turns. Ended by feed_io_close.
CM_MUST_CHECK struct feed_io *feed_io_open(uv_loop_t *loop, const struct feed_io_options *options);
// Says bye if it can (waits for its reply at most 200 ms) and closes. From here on
// no action and no on_change runs; key reads under way end (failed, unless their
// answer comes first) before on_closed, the last that happens to io. unheard: the bye,
// when no admin is known to have got it; NULL when one has. on_closed may be NULL.
void feed_io_close(struct feed_io *io, void (*on_closed)(void *ctx, const struct ack *unheard),
                   void *ctx);
// Says such a bye for the worker that has ended with it, one at a time. False: not
// connected; on_said will not run. Else it runs exactly once, later; heard: an admin
// has got it.
CM_MUST_CHECK bool feed_io_say_bye(struct feed_io *io, const struct ack *bye,
                                   void (*on_said)(void *ctx, bool heard), void *ctx);
// is_noted may have become true: an ack that waited for it leaves.
void feed_io_noted(struct feed_io *io);
struct feed *feed_io_feed(struct feed_io *io); // for feed_state, feed_confirm, ...
bool feed_io_is_up(const struct feed_io *io);  // the data connection

// What a key read found.
enum key_read_status {
    KEY_READ_FAILED, // Redis did not answer, or it has no head of a known format
    KEY_READ_ABSENT,
    KEY_READ_FOUND
};
struct key_read {
    enum key_read_status status;
    // Of the head, read before the key in the same pipeline. At the feed's own
    // revision the change must be the feed's too, else the store has diverged.
    uint64_t epoch, revision, change;
    struct slice record; // valid inside the callback
};
// False: not connected or too many (256) in flight; on_read will not run. Else
// on_read runs exactly once, later.
CM_MUST_CHECK bool feed_io_read_key(struct feed_io *io, const struct secret_digest *digest,
                                    void (*on_read)(void *ctx, const struct key_read *result),
                                    void *ctx);
