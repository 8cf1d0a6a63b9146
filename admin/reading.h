// SPDX-License-Identifier: Apache-2.0
// One reading request: ask the store, answer from what came back.
#pragma once

#include "admin/problem.h"
#include "admin/request.h"
#include "admin/response.h"
#include "common/store/fetch.h"

enum reading_verdict {
    READING_DONE,  // response is filled (status 200 unless it says otherwise)
    READING_MORE,  // slots were added to the fetch: read all of it again
    READING_AGAIN, // a new fetch, asked by ask again: the next part of a long list
    READING_REFUSED
};

struct reading {
    struct request *request;
    struct fetch *fetch;
    struct head head;
    bool away; // the store does not answer: head is all zero, no slot has a result
    struct response response;
    struct problem problem;
};

struct reading_plan {
    void (*ask)(struct reading *r);
    enum reading_verdict (*answer)(struct reading *r);
    bool unguarded; // answers also about a store that is suspect or away; head may be all zero
    bool mirrored;  // answers also about one that is away, from what is known here
};

// Is the client's the response that is filled now? Then it gets 304.
bool reading_is_unchanged(const struct reading *r);
// Answers the request, later: 304 when the response's ETag is the client's.
void reading_start(struct request *r, const struct reading_plan *plan);
