// SPDX-License-Identifier: Apache-2.0
// The public API: SPEC 1 from request to reply.
#pragma once

#include <stdbool.h>

#include "common/http/call.h"
#include "common/http/reply.h"
#include "services/cors.h"
#include "services/key_gate.h"
#include "services/last_secret.h"
#include "services/replica.h"

// For server_options: what is remembered with each connection.
enum { MODELS_API_CONNECTION_MEMORY = sizeof(struct last_secret) };

// All must outlive it; zero nothing, fill everything.
struct models_api {
    struct key_gate *gate;
    const struct replica *replica;
    struct cors cors;
    bool check_sum; // CM_KEY_CHECKSUM
};

// For server_options: handler and refuse. ctx is a struct models_api.
void models_api_handle(void *ctx, struct call *c);
void models_api_refuse(void *ctx, struct call *c, struct reply *r);
