// SPDX-License-Identifier: Apache-2.0
// What goes back: status, headers, a list of slices, and a pin for the memory
// that they point at.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/slice.h"
#include "common/http/call.h"

enum { REPLY_HEADERS_MAX = 16 };

// A header that many answers have alike. It is known by its address (over HTTP/2 it is
// spelled once a connection), so each has one place of static memory.
struct reply_constant {
    struct slice name, value; // lower case; not empty
};

// Of string literals.
#define REPLY_CONSTANT(name, value)                                                                \
    {                                                                                              \
        {(name), sizeof(name) - 1},                                                                \
        {                                                                                          \
            (value), sizeof(value) - 1                                                             \
        }                                                                                          \
    }

struct reply_header {
    const struct reply_constant *constant; // NULL = this answer's own:
    struct slice name;                     // lower case; a literal
    struct slice value;                    // static, call_alloc memory, or pinned
};

// Zero it, fill it, send it. x-request-id, request-id and (unless 204/304)
// content-length are added by reply_send; HEAD and 304 send no body.
struct reply {
    int status;
    size_t header_count;
    struct reply_header headers[REPLY_HEADERS_MAX];
    const struct slice *parts;
    size_t part_count;
    size_t length; // of the parts; what HEAD announces
    bool close;    // end the connection after it (HTTP/1)
    int note;      // comes back in server_access; what it means is its owner's
    // Called once when the bytes are not needed any more (may be NULL).
    void (*unpin)(void *pin);
    void *pin;
};

void reply_add_header(struct reply *r, struct slice name, struct slice value);
void reply_add_constant(struct reply *r, const struct reply_constant *header);
// Answers the call; exactly one reply per call.
void reply_send(struct call *c, const struct reply *r);
// Copies body into the request's memory and sends it.
void reply_send_copy(struct call *c, int status, struct slice content_type, struct slice body);
