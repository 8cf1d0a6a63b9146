// SPDX-License-Identifier: Apache-2.0
// One writing request: the plan is the handler's, everything around it is the
// same for all: preconditions of the protocol, dry run, audit, idempotency,
// propagation, the answer.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "admin/problem.h"
#include "admin/request.h"
#include "admin/response.h"
#include "common/store/commit.h"
#include "common/store/fetch.h"

enum write_verdict {
    WRITE_COMMIT,      // commit and response are filled
    WRITE_COMMIT_MORE, // commit is filled; the plan will be asked again
    WRITE_UNCHANGED,   // response is filled; there is nothing to commit
    WRITE_READ_MORE,   // slots were added to fetch
    WRITE_REFUSED      // problem is set
};

// Everything in it is fresh for each plan but request.
struct write {
    struct request *request;
    struct fetch *fetch;
    const struct head *head;
    struct commit *commit;
    int64_t now_s;

    // Filled by the plan.
    struct response response; // body, status, etag, location: as without dry run and wait
    bool no_content;          // the status is 204 unless wait or dry run give it a body
    struct buf stored_body;   // what a repeat with the same Idempotency-Key sees; empty = the body
    json_t *diff;             // list, see json_diff.h; starts empty
    struct problem problem;
};

struct write_plan {
    const char *action; // for the audit log: "key.revoke"
    // Adds the first slots; keeps their numbers in the request's state.
    void (*ask)(struct request *r, struct fetch *f);
    enum write_verdict (*plan)(struct write *w);
    // One of several commits is done (may be NULL when there is never a second).
    void (*committed)(struct request *r);
    bool unguarded; // see txn.h
};

// For a plan that deletes: {"id":...,"deleted":true}, or 204.
void write_answer_deleted(struct write *w, struct slice id);

// Answers the request, later. resource is copied: "/keys/key_...". ctx for the
// plan is the request's state.
void write_start(struct request *r, const struct write_plan *plan, struct slice resource);
