// SPDX-License-Identifier: Apache-2.0
// One admin request: everything that its handler needs, copied, because it may
// outlive its client.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "admin/problem.h"
#include "admin/query.h"
#include "admin/route.h"
#include "admin/tokens.h"
#include "common/http/call.h"

struct api;

enum { REQUEST_ADDRESS_MAX = 64, REQUEST_IDEMPOTENCY_MAX = 255 };

struct request {
    struct api *api;
    struct call *call;         // until it was deferred
    struct deferred *deferred; // from then on
    const struct route *route;
    struct slice args[ROUTE_ARGS_MAX]; // decoded; owned
    struct query query;
    json_t *body; // NULL = none
    struct secret_digest body_digest;
    char *target;   // "/keys?x=y": path below /admin/v1 and query, as received
    char *if_match; // this and the next two NULL when absent
    char *if_none_match;
    char *idempotency_key;
    unsigned wait_s; // Prefer: wait; 0 = no
    bool dry_run;
    char actor[TOKEN_NAME_MAX + 1];
    enum role role;
    char address[REQUEST_ADDRESS_MAX];
    char id[CALL_REQUEST_ID_LEN + 1];
    void *state; // the handler's, see request_state
    void (*state_fini)(void *state);
};

// For a call that has just come; api outlives it. Ended by request_destroy, which
// response_send does for whoever answers.
CM_MUST_CHECK struct request *request_create(struct api *api, struct call *c);
void request_destroy(struct request *r);

// Take over what the route allows. Each is false with *problem set.
// query: parameters and dry_run.
CM_MUST_CHECK bool request_take_query(struct request *r, struct problem *problem);
// headers: preconditions, Prefer, Idempotency-Key (POST only).
CM_MUST_CHECK bool request_take_headers(struct request *r, struct problem *problem);
CM_MUST_CHECK bool request_take_args(struct request *r, const struct route_match *match,
                                     struct problem *problem);
CM_MUST_CHECK bool request_take_body(struct request *r, struct problem *problem);

// From now on the request answers in a later turn and survives its client.
void request_defer(struct request *r);

// Zeroed memory for the handler that ends with the request; fini (may be NULL)
// runs first.
void *request_state(struct request *r, size_t size, void (*fini)(void *state));

// RFC 9110 13: may the request go on? etag is what If-Match is held against ("" =
// nothing to hold it against); exists says whether If-None-Match: * fails. False:
// 412 in *problem.
CM_MUST_CHECK bool request_precondition(const struct request *r, const char *etag, bool exists,
                                        struct problem *problem);
