// SPDX-License-Identifier: Apache-2.0
// One Redis connection that comes back by itself: deadlines on connecting and
// on every reply, back-off with jitter, a cap on what is in flight.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/slice.h"
#include "common/store/redis_url.h"
#include "common/store/reply.h"

struct redis;

struct redis_options {
    // Must outlive the connection. One that names Sentinels has no address: then
    // nothing is connected before redis_move (sentinel_follow sees to it).
    const struct redis_url *url;
    const char *name; // CLIENT SETNAME
    // What ROLE must say: NULL = "master". A "sentinel" need not know our user.
    const char *role;
    uint32_t connect_timeout_ms; // 300
    // Silence for this long while a reply is due drops the connection. A large
    // reply may take longer as long as it keeps coming (ten times this at most).
    uint32_t reply_timeout_ms;
    uint32_t max_in_flight; // commands waiting for a reply
    // Subscriber mode: channels (NUL-ended names, NULL-ended list, must outlive
    // it) are subscribed on every connect; redis_command is not allowed. NULL:
    // a connection for commands.
    const char *const *channels;
    void (*on_message)(void *ctx, struct slice channel, struct slice payload);
    // up: connected, authenticated, database chosen, ROLE is master and, with
    // channels, all of them subscribed. down: the connection is gone and every
    // command in flight has been answered with NULL. Alternating, starting with
    // up. May be NULL.
    void (*on_link)(void *ctx, bool up);
    void *ctx;
};

// Starts connecting in the next turn of the loop; retries for ever: after the
// third failure no sooner than a second after the last try, and at most 1.25 s
// after it. While it is up, Redis is asked once a second whether it is there and
// still what it should be.
// SIGPIPE is ignored in the whole process from here on.
CM_MUST_CHECK struct redis *redis_open(uv_loop_t *loop, const struct redis_options *options);
// Ends it. Commands in flight get NULL; on_link(false) is not called. The
// memory is gone when on_closed (may be NULL) runs, in a later turn.
void redis_close(struct redis *r, void (*on_closed)(void *ctx), void *ctx);
bool redis_is_up(const struct redis *r);
// How many commands redis_command takes at this moment; 0 when it is not up.
size_t redis_room(const struct redis *r);
uv_loop_t *redis_loop(const struct redis *r);
// Drops the connection now, as a failed one (what came back made no sense);
// allowed inside callbacks.
void redis_fail(struct redis *r, const char *why);

// Connects there from now on, at once; a link to anywhere else is dropped as a
// failed one. Nothing happens when that is where it goes already. host is copied
// (at most REDIS_HOST_MAX bytes, else it is ignored); allowed inside callbacks.
enum { REDIS_HOST_MAX = 255 };
void redis_move(struct redis *r, const char *host, uint16_t port);
// Is that where it goes?
bool redis_is_at(const struct redis *r, const char *host, uint16_t port);

// reply NULL: no answer will come (connection lost, deadline); it may have been
// executed. An error reply is a reply (reply_is_error); one that says that this
// is no usable master any more (READONLY, LOADING, MASTERDOWN, NOAUTH) drops the
// connection after on_reply.
typedef void (*redis_on_reply)(void *ctx, const struct redisReply *reply);
// Sends one command. False: not up or too many in flight; nothing was sent and
// on_reply will not run. Else on_reply runs exactly once, later. on_reply may be NULL.
CM_MUST_CHECK bool redis_command(struct redis *r, size_t argc, const struct slice *argv,
                                 redis_on_reply on_reply, void *ctx);
