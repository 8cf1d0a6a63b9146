// SPDX-License-Identifier: Apache-2.0
// Idempotency-Key: which outcome a repeat of a request gets.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "admin/request.h"
#include "admin/response.h"
#include "common/model/secret.h"

struct idempotency {
    bool present;
    char name[SECRET_HEX_LEN + 1];        // of the stored outcome: digest of the client's key
    char fingerprint[SECRET_HEX_LEN + 1]; // of the request: token, route and body
};

// A dry run has none.
void idempotency_init(struct idempotency *i, const struct request *r);
// Appends the outcome to store: status and headers of response, this body.
void idempotency_write(struct buf *out, const struct idempotency *i,
                       const struct response *response, struct slice body, uint64_t epoch,
                       uint64_t revision);
// Stores the outcome of a request that made no revision, unless there is one.
void idempotency_store(const struct api *api, const struct idempotency *i, struct slice outcome);
// Fills response from a stored outcome. False with *problem set when it belongs to
// another request.
CM_MUST_CHECK bool idempotency_replay(const struct idempotency *i, struct slice stored,
                                      struct response *response, uint64_t *epoch,
                                      uint64_t *revision, struct problem *problem);
