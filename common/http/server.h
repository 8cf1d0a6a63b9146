// SPDX-License-Identifier: Apache-2.0
// An HTTP server on a uv loop: listening sockets that somebody else bound,
// limits, drain. Everything about libh2o stays behind this header.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/http/bind.h"
#include "common/http/call.h"
#include "common/http/reply.h"
#include "common/http/tls.h"

struct server;

struct server_access {
    struct slice method, path; // path as received
    int status;                // 0 when the client left before an answer
    int note;                  // of the reply; 0 without one
    size_t body_len;
    uint64_t duration_us; // from its head to its last byte; see time_calls
    int http_version;     // 0x100, 0x101, 0x200
    struct slice request_id;
};

struct server_options {
    uint32_t max_connections;  // more are closed at once
    uint32_t idle_timeout_ms;  // a connection without a request
    uint32_t head_timeout_ms;  // from a head's first byte (or the connect) to its end
    uint32_t write_timeout_ms; // a peer that takes nothing of an answer
    size_t max_body;           // bytes; more is 413 and close
    bool http2;                // beside HTTP/1; see server_http2_is_safe
    size_t connection_memory;  // see call_connection_memory
    // Runs for every request that parsed, whatever its path or method; answers
    // now or defers.
    void (*handler)(void *ctx, struct call *c);
    // libh2o refuses a request by itself (400, 413, 417, 431): fill r, whose status is
    // set, with content-type, other headers and a body in the request's memory.
    // Request ids and content-length are added; the connection ends with it.
    void (*refuse)(void *ctx, struct call *c, struct reply *r);
    void (*on_access)(void *ctx, const struct server_access *access); // may be NULL
    // Two readings of the clock a request, some 60 ns. Without them duration_us is by the
    // loop's clock: 0 for what is answered in the turn in which it came.
    bool time_calls;
    void *ctx;
};

struct server_counters {
    uint64_t accepted, rejected; // connections
    uint64_t reaped;             // ended because they were idle, stalled or too slow
    uint64_t guarded;            // ended for what they sent over HTTP/2
    uint64_t open;               // now
    uint64_t requests;
    uint64_t in_flight; // requests without a complete reply
};

// HTTP/2 is made safe by rules that know one build of libh2o inside out: is it the
// one that is loaded? build_id is the loaded one's, in hexadecimal, never NULL.
CM_MUST_CHECK bool server_http2_is_safe(const char **build_id);

// Copies the options; loop outlives it. Listens nowhere yet. Ended by server_drain, then
// server_destroy.
CM_MUST_CHECK struct server *server_create(uv_loop_t *loop, const struct server_options *options);
// Takes a listening socket (kept open by the caller too; the server works on its
// own duplicate) and accepts on it until server_unlisten. With tls, which must have
// a certificate and outlive the server, connections begin with a handshake. 0 or a
// negative errno.
CM_MUST_CHECK int server_listen(struct server *s, int fd, struct tls *tls);
void server_unlisten(struct server *s, int fd); // no-op when it is not listened on
// Stops listening, asks every connection to end after its current request, and
// calls on_drained in a later turn when none is left.
void server_drain(struct server *s, void (*on_drained)(void *ctx), void *ctx);
// Cuts what is left (shutdown of every connection). on_drained follows soon.
void server_cut(struct server *s);
// Only after on_drained, and not from inside a callback of the loop: libh2o turns
// the loop once itself.
void server_destroy(struct server *s);
const struct server_counters *server_counters(const struct server *s);
