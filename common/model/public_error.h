// SPDX-License-Identifier: Apache-2.0
// The errors of the public API in both dialects: SPEC 1.5, and nowhere else.
#pragma once

#include "common/base/buf.h"
#include "common/base/slice.h"

enum dialect { DIALECT_OPENAI, DIALECT_ANTHROPIC };

enum public_error {
    PUBLIC_MISSING_KEY,
    PUBLIC_INVALID_KEY,
    PUBLIC_MODEL_NOT_FOUND,
    PUBLIC_UNKNOWN_URL,
    PUBLIC_METHOD_NOT_ALLOWED,
    PUBLIC_BAD_REQUEST, // for h2o's own refusals
    PUBLIC_TOO_LARGE,
    PUBLIC_HEAD_TOO_LARGE,
    PUBLIC_INTERNAL
};

// What the error is about; unused members are empty.
struct error_subject {
    struct slice model;        // decoded name
    struct slice method, path; // as received
};

enum { PUBLIC_ERROR_NAME_MAX = 256 }; // bytes of a name that a message repeats

// The HTTP status that it is answered with.
int public_error_status(enum public_error error);
// The JSON body of an error that says the same to everybody, kept for ever; empty for
// one that names something of its request.
struct slice public_error_fixed(enum public_error error, enum dialect dialect);
// Appends the JSON body. request_id is the id without quotes ("req_cm_...").
void public_error_write(struct buf *out, enum public_error error, enum dialect dialect,
                        const struct error_subject *subject, struct slice request_id);
