// SPDX-License-Identifier: Apache-2.0
// One attempt at a connection to Redis and, when it succeeds, the connection:
// hiredis' reader on a libuv stream.
#pragma once

#include <stdint.h>
#include <uv.h>

#include "common/base/slice.h"
#include "common/store/redis_url.h"

struct redisReply;
struct redis_uv;

// Run by the loop only, never from inside one of the calls below. Every one of
// them may call redis_uv_send and redis_uv_close.
struct redis_uv_events {
    void (*on_connect)(void *ctx);
    // Whatever Redis says, in order; valid inside the callback.
    void (*on_reply)(void *ctx, const struct redisReply *reply);
    // At most once, and the last event: it could not be connected, was cut, or
    // spoke no RESP. why is valid inside the callback.
    void (*on_fail)(void *ctx, const char *why);
};

// url, events and ctx must outlive it. attempt picks among the addresses of a
// host name: count up and each gets its turn. connect_timeout_ms is for connect(2);
// a name may take longer to resolve (REDIS_UV_RESOLVE_MS), without stalling the loop.
enum { REDIS_UV_RESOLVE_MS = 5000 };
CM_MUST_CHECK struct redis_uv *redis_uv_open(uv_loop_t *loop, const struct redis_url *url,
                                             unsigned attempt, uint32_t connect_timeout_ms,
                                             const struct redis_uv_events *events, void *ctx);
// Queues a command; what was queued in one turn of the loop leaves in one write.
// Not before on_connect.
void redis_uv_send(struct redis_uv *u, size_t argc, const struct slice *argv);
// When the last byte came (uv_hrtime in ms); 0 = none yet.
uint64_t redis_uv_heard_ms(const struct redis_uv *u);
// No event runs after this call. on_closed runs in a later turn.
void redis_uv_close(struct redis_uv *u, void (*on_closed)(void *ctx), void *ctx);
