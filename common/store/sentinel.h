// SPDX-License-Identifier: Apache-2.0
// Where the master is, as its Sentinels say, and whether most of them say so now.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/store/redis.h"

struct sentinel;

enum {
    SENTINEL_FRESH_MS = 1000, // what a Sentinel said counts for so long
    SENTINEL_FOLLOWERS_MAX = 8,
};

// A connection to each Sentinel of url (which must outlive it and name some), and
// a question to each about every 400 ms. name: CLIENT SETNAME of these connections.
CM_MUST_CHECK struct sentinel *sentinel_open(uv_loop_t *loop, const struct redis_url *url,
                                             const char *name);
// No follower is moved any more. The memory is gone when on_closed (may be NULL)
// runs, in a later turn.
void sentinel_close(struct sentinel *s, void (*on_closed)(void *ctx), void *ctx);
// r, opened with the same url, goes where the master is from now on. It must not
// be closed before sentinel_close was called.
void sentinel_follow(struct sentinel *s, struct redis *r);

// Did a majority of the master's Sentinels, asked within the last
// SENTINEL_FRESH_MS, name the address that r goes to? Counted against all that any
// of them knows, also those that the URL does not list.
bool sentinel_vouches(const struct sentinel *s, const struct redis *r);
// How many replicas the master has, present or not; SENTINEL_REPLICAS_UNKNOWN
// before a Sentinel said so.
#define SENTINEL_REPLICAS_UNKNOWN SIZE_MAX
size_t sentinel_replicas(const struct sentinel *s);
