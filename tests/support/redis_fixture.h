// SPDX-License-Identifier: Apache-2.0
// A real redis-server of the test's own: a free port, a private directory, and
// the ways in which it can fail. Its calls block; they are for the test's steps,
// not for the loop.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/slice.h"

struct redisReply;

struct redis_fixture {
    char directory[64];
    char url[64];    // "redis://127.0.0.1:<port>"
    char socket[96]; // its unix socket
    uint16_t port;
    pid_t pid; // 0 = not running
    const char *const *options;
    struct redisContext *client;
};

// Starts it and waits until it answers. options: more redis-server arguments
// ("--appendonly", "yes", NULL), or NULL; must outlive it. The test fails when
// Redis does not come up.
void redis_fixture_start(struct redis_fixture *f, const char *const *options);
// Kills what runs and removes the directory.
void redis_fixture_stop(struct redis_fixture *f);
// kill -9; the port stays this fixture's.
void redis_fixture_kill(struct redis_fixture *f);
// SIGTERM and wait: Redis ends by itself.
void redis_fixture_shutdown(struct redis_fixture *f);
// On the same port and directory after kill or shutdown.
void redis_fixture_restart(struct redis_fixture *f);
void redis_fixture_pause(struct redis_fixture *f); // SIGSTOP
void redis_fixture_resume(struct redis_fixture *f);

// One command as redisCommand spells it (%s, %b); the test fails without an
// answer. The caller frees it with freeReplyObject.
struct redisReply *redis_fixture_command(struct redis_fixture *f, const char *format, ...);
// The same for its effect, or for one value: an integer, or the text of a string
// ("" for nil; at most 256 bytes, overwritten by the next call).
void redis_fixture_do(struct redis_fixture *f, const char *format, ...);
long long redis_fixture_integer(struct redis_fixture *f, const char *format, ...);
const char *redis_fixture_text(struct redis_fixture *f, const char *format, ...);
