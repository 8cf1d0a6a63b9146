// SPDX-License-Identifier: Apache-2.0
// What goes back to an admin client. Sending it ends the request.
#pragma once

#include "admin/problem.h"
#include "admin/request.h"

enum { RESPONSE_ETAG_MAX = 24 };

// A zeroed struct is empty. body is a JSON object unless status says there is none.
struct response {
    int status;
    struct buf body;
    char etag[RESPONSE_ETAG_MAX]; // with its quotes; "" = none
    struct buf location;          // path below /admin/v1; empty = none
    bool replayed;                // of an earlier request with the same Idempotency-Key
};

// Frees its memory and leaves it empty.
void response_fini(struct response *out);
// Empty again, ready for another attempt; keeps memory.
void response_clear(struct response *out);
// The revision as a strong entity tag.
void response_set_etag(struct response *out, uint64_t revision);
// Puts `,"name":<json>` before the object's closing brace.
void response_add_member(struct response *out, const char *name, struct slice json);

// Sends and destroys the request; takes body's and location's memory. Works for
// deferred requests whose client has gone.
void response_send(struct request *r, struct response *out);
// Ends the connection without an answer: nobody knows what became of the request.
void response_cut(struct request *r);
// The same as response_send with a problem. allow: the header's value for a 405, else empty.
void response_send_problem(struct request *r, struct problem *p, struct slice allow);
// Short forms without Allow.
void response_refuse(struct request *r, enum problem_code code, const char *format, ...)
    CM_PRINTF(3, 4);
void response_refuse_mistakes(struct request *r, const struct mistakes *mistakes);
