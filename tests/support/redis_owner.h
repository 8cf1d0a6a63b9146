// SPDX-License-Identifier: Apache-2.0
// Somebody who owns a Redis connection and counts what it tells him.
#pragma once

#include "common/store/redis.h"

struct redis_owner {
    uv_loop_t *loop;
    struct redis_url url;
    struct redis_options options;
    struct redis *redis;
    size_t ups, downs, messages, replies, nones, errors;
    bool up, closed;
    char last[1024]; // "channel=payload", or the bytes of the last reply
    int64_t integer; // of the last reply that was one
    size_t nones_at_down;
};

// Options for tests: 300 ms deadlines, 1,000 commands in flight.
void redis_owner_init(struct redis_owner *o, uv_loop_t *loop, const char *url);
// The same for a Redis that is asked only what it will answer, as soon as a busy
// machine lets it: a reply may take ten seconds.
void redis_owner_init_patient(struct redis_owner *o, uv_loop_t *loop, const char *url);
void redis_owner_open(struct redis_owner *o);
void redis_owner_open_port(struct redis_owner *o, uv_loop_t *loop, uint16_t port); // both
// Closes unless that has been done and waits for on_closed.
void redis_owner_close(struct redis_owner *o);
void redis_owner_wait_up(struct redis_owner *o, size_t ups); // 5 s, else the test fails
// A command of one to three words (NULL = no more), answered to on_reply below.
bool redis_owner_send(struct redis_owner *o, const char *verb, const char *key, const char *value);

// The callbacks; ctx is the owner.
void redis_owner_on_link(void *ctx, bool up);
void redis_owner_on_message(void *ctx, struct slice channel, struct slice payload);
void redis_owner_on_reply(void *ctx, const struct redisReply *reply);
void redis_owner_on_closed(void *ctx);
