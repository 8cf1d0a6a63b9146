// SPDX-License-Identifier: Apache-2.0
// A scripted Redis on the test's own loop: it greets like a master and says to
// every other command what the script says, when the script says it.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/slice.h"

struct fake_redis;

// Listens on a free port of 127.0.0.1. Of its own it answers AUTH, SELECT,
// CLIENT, PING, ROLE and INFO (a master), PUBLISH and SUBSCRIBE; anything else is an error.
struct fake_redis *fake_redis_start(uv_loop_t *loop);
void fake_redis_stop(struct fake_redis *f); // closes all; memory goes with the loop's next turns
uint16_t fake_redis_port(const struct fake_redis *f);

// The script. A later rule for a verb (upper case) takes the place of an earlier
// one, for every connection, from now on. raw is RESP and is copied.
void fake_redis_reply(struct fake_redis *f, const char *verb, const char *raw);
void fake_redis_silence(struct fake_redis *f, const char *verb);
void fake_redis_cut(struct fake_redis *f, const char *verb); // closes instead of replying
void fake_redis_forget(struct fake_redis *f, const char *verb);
// One byte at a time from now on (one a turn of the loop).
void fake_redis_trickle(struct fake_redis *f, bool on);
// Answers are computed; true when out was appended to, false for the script's rules.
struct buf;
void fake_redis_handle(struct fake_redis *f,
                       bool (*handler)(void *ctx, size_t argc, const struct slice *argv,
                                       struct buf *out),
                       void *ctx);
// Between connections the order of replies can be turned round: hold keeps all
// that would be sent, release sends it, the connection that came last first.
void fake_redis_hold(struct fake_redis *f);
void fake_redis_release(struct fake_redis *f);

// Bytes that nobody asked for, to all connections: garbage, messages, half replies.
void fake_redis_push(struct fake_redis *f, struct slice raw);
// The same to the connections that have sent this command.
void fake_redis_push_to(struct fake_redis *f, const char *verb, struct slice raw);
void fake_redis_message(struct fake_redis *f, const char *channel, const char *payload);
void fake_redis_cut_all(struct fake_redis *f);
// No connection is accepted (they are closed at once) while it is on.
void fake_redis_refuse(struct fake_redis *f, bool on);

size_t fake_redis_seen(const struct fake_redis *f, const char *verb); // commands so far
size_t fake_redis_accepted(const struct fake_redis *f);               // connections so far
size_t fake_redis_open_connections(const struct fake_redis *f);
