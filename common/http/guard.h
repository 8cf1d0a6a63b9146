// SPDX-License-Identifier: Apache-2.0
// What stands between libh2o's HTTP/2 and those who would kill it: see guard.c.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/http/hpack_head.h"

// Compiled with 0, guard.c and guard_hpack.c have no rules: tests show with it what
// those stop.
#ifndef CM_HTTP2_GUARD
#define CM_HTTP2_GUARD 1
#endif

enum {
    // Bytes of a request's head as HTTP/1.1 spells it, whatever it came by.
    GUARD_HEAD_MAX = 16 * 1024,
    // Bytes of an HTTP/2 header block as it came. Who is a little above the former gets an
    // answer that says so; who is above this, the end.
    GUARD_BLOCK_MAX = 2 * GUARD_HEAD_MAX,
    GUARD_FIELDS_MAX = 100,
    GUARD_UPLOADS_MAX = 4,
    GUARD_TABLE_MAX = 4096
};

// One connection's account. Zeroed when it is accepted.
struct guard {
    uint64_t frames;      // that have come in
    uint64_t blocks;      // header blocks that were whole
    uint64_t data_out;    // bytes of DATA that were given to the connection
    unsigned resets;      // streams that ended without an answer, less those with one
    unsigned idle_frames; // that asked for nothing, less what is allowed
    unsigned early;       // calls answered before their body was here
    size_t pending_bytes; // of requests whose end is not here yet
    size_t swallowed;     // bytes of bodies that nobody wanted
    uint32_t uploads[GUARD_UPLOADS_MAX]; // answered streams whose body goes on; 0 = none
    bool resetting;                      // a stream is being reset right now
    bool skipping;                       // CONTINUATIONs of a block that is not wanted
    bool table_changed;                  // our encoder's, and the peer has not been told
    struct hpack_known known;            // to the peer, of our answers
};

struct call;
struct conn;
struct server;
struct st_h2o_http2_stream_t;

// Do the library's calls really come here? To be asked before it is relied on.
bool guard_is_in_place(void);
bool guard_hpack_is_in_place(void); // guard_hpack.c's part of it
// Counts a connection that is to end; the error for libh2o that does it.
int guard_calm(struct server *s);
void guard_block_came(struct guard *g);
// The head of a request whose body is to come; 0 or an error for libh2o.
int guard_head_came(struct conn *conn, struct st_h2o_http2_stream_t *stream, size_t len);
// The body of c is here, or never will be.
void guard_call_began(struct guard *g, const struct call *c);
// An answer that was taken pays for a stream that was thrown away.
void guard_call_ended(struct guard *g, const struct call *c);
// Time heals.
void guard_forgive(struct guard *g, uint64_t ms);
