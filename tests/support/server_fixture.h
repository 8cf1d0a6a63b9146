// SPDX-License-Identifier: Apache-2.0
// A server on a loop of its own, with a handler that answers by the path:
//   /hello  two parts: "hello " "world"      /big    many parts of one pattern
//   /echo   the request's body               /304 /204 without a body
//   /defer  later, by fixture_answer         /count  this connection's own counter
//   /raw    method, path, query and header x-test as received
//   /header x-test as a header of the answer
//   /constant  the constant "x-constant" that the query names by its number
// and 404 for everything else.
#pragma once

#include "common/http/server.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/raw_client.h"

enum { FIXTURE_PARTS = 3000, FIXTURE_PART = 1777, FIXTURE_MAX_BODY = 4096, FIXTURE_DEFERRED = 256 };
enum { FIXTURE_CONSTANTS = 30 };

struct fixture {
    uv_loop_t loop;
    struct server *server;
    int listener;
    bool drained;
    unsigned handled, pinned, unpinned, refused;
    struct deferred *deferred[FIXTURE_DEFERRED];
    size_t deferred_count;
    struct server_access last_access; // slices are not kept
    unsigned accesses, unanswered;
};

// 0 = 100 connections, 10,000 ms.
void fixture_open(struct fixture *f, uint32_t max_connections, uint32_t idle_ms);
struct fixture_limits {
    uint32_t max_connections, idle_ms, head_ms, write_ms;
    bool no_http2;
};
void fixture_open_limited(struct fixture *f, const struct fixture_limits *limits);
// Drains, cuts what is left after half a second, destroys; everything must be gone.
void fixture_close(struct fixture *f);
void fixture_drain(struct fixture *f);
void fixture_connect(struct fixture *f, struct raw_client *c);
// Waits until that many calls are deferred.
void fixture_wait_deferred(struct fixture *f, size_t count);
// Answers the oldest deferred call ("later"), if its client is there, and
// releases it. Says whether it was there.
bool fixture_answer(struct fixture *f);
// Byte i of what /big sends.
char fixture_big_byte(size_t i);
