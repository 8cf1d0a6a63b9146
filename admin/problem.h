// SPDX-License-Identifier: Apache-2.0
// What went wrong with a request, as RFC 9457 says it. The one table from code
// to status.
#pragma once

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/model/doc.h"

enum problem_code {
    PROBLEM_NONE,
    PROBLEM_BAD_REQUEST, // not HTTP; libh2o refused it
    PROBLEM_MALFORMED_JSON,
    PROBLEM_UNKNOWN_PARAMETER,
    PROBLEM_INVALID_PARAMETER,
    PROBLEM_UNAUTHENTICATED,
    PROBLEM_INSUFFICIENT_ROLE,
    PROBLEM_NOT_FOUND,
    PROBLEM_METHOD_NOT_ALLOWED,
    PROBLEM_IN_USE,
    PROBLEM_ALREADY_EXISTS,
    PROBLEM_KEY_REVOKED,
    PROBLEM_PLAN_STALE,
    PROBLEM_TOO_MANY_DELETES,
    PROBLEM_PRECONDITION_FAILED,
    PROBLEM_BODY_TOO_LARGE,
    PROBLEM_UNSUPPORTED_MEDIA_TYPE,
    PROBLEM_EXPECTATION_FAILED, // libh2o's 417
    PROBLEM_VALIDATION_FAILED,
    PROBLEM_ALIAS_TARGET_MISSING,
    PROBLEM_IDEMPOTENCY_KEY_REUSED,
    PROBLEM_TOO_MANY_ATTEMPTS,
    PROBLEM_HEAD_TOO_LARGE, // refused before it came to a route
    PROBLEM_INTERNAL,
    PROBLEM_STORE_UNAVAILABLE,
    PROBLEM_STORE_SUSPECT,
    PROBLEM_COUNT
};

struct problem {
    enum problem_code code;
    struct buf detail;
    struct mistakes *mistakes; // owned; NULL = none
    struct buf members;        // more members as JSON, each with a leading comma
};

// A zeroed struct is a valid empty problem.
void problem_fini(struct problem *p);
// Replaces code and detail.
void problem_set(struct problem *p, enum problem_code code, const char *format, ...)
    CM_PRINTF(3, 4);
// validation_failed with what a validator found; copies it.
void problem_set_mistakes(struct problem *p, const struct mistakes *mistakes);
int problem_status(enum problem_code code);
// The code that answers a status which libh2o chose.
enum problem_code problem_of_status(int status);
// Seconds for Retry-After; 0 = none.
unsigned problem_retry_after(enum problem_code code);
// Appends the JSON object.
void problem_write(struct buf *out, const struct problem *p, struct slice request_id);
