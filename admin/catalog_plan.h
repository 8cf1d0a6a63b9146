// SPDX-License-Identifier: Apache-2.0
// What an import means for the catalog as it is: which models it makes, changes,
// leaves and deletes, cut into revisions.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "admin/import/import.h"
#include "admin/write.h"

enum catalog_outcome {
    CATALOG_OPEN, // not looked at yet
    CATALOG_SKIPPED,
    CATALOG_CREATED,
    CATALOG_UPDATED,
    CATALOG_UNCHANGED
};

// One import on its way. Set import, replace and max_deletes; the rest starts zeroed.
struct catalog_plan {
    struct import import; // owned
    bool replace;         // delete what is not in it
    bool limited;         // max_deletes was given
    uint64_t max_deletes;
    bool at_once; // never full: one revision or none

    struct catalog_item *items; // one per entry of import
    size_t models_slot;
    size_t revisions;         // committed so far
    size_t deleted, deleting; // committed; in this attempt
    bool refs_asked;
    json_t *refs;     // object: model to delete -> slot of its references
    bool too_many;    // deletes; only in a dry run
    json_t *warnings; // object: model -> why; "" = of all
};

struct record;

// Frees what it owns, import too.
void catalog_plan_fini(struct catalog_plan *p);
// Asks for the catalog; begins an attempt.
void catalog_plan_ask(struct catalog_plan *p, struct fetch *f);
// Fills w's commit, diff and answer.
CM_MUST_CHECK enum write_verdict catalog_plan_make(struct catalog_plan *p, struct write *w);

// The parts of it, for a plan that is about more than models. records is the
// catalog as it was read.
void catalog_plan_begin(struct catalog_plan *p); // each attempt
// False: refused, w->problem is set. A dry run warns instead.
CM_MUST_CHECK bool catalog_plan_check(struct catalog_plan *p, struct write *w,
                                      const struct record *records, size_t count);
// True for a dry run: w->problem is no refusal, its detail is appended to why.
CM_MUST_CHECK bool catalog_plan_waives(struct write *w, struct buf *why);
// True: it has asked for more, read again.
CM_MUST_CHECK bool catalog_plan_ask_references(struct catalog_plan *p, struct write *w,
                                               const struct record *records, size_t count);
// False when the revision is full before the end.
CM_MUST_CHECK bool catalog_plan_put(struct catalog_plan *p, struct write *w,
                                    const struct record *records, size_t count);
CM_MUST_CHECK bool catalog_plan_delete(struct catalog_plan *p, struct write *w,
                                       const struct record *records, size_t count);
// Appends `"created":1,"updated":0,"unchanged":0,"deleted":0`.
void catalog_plan_counts(const struct catalog_plan *p, struct buf *out);
// Appends {"id","reason"} to list.
void catalog_plan_line(json_t *list, const char *id, const char *reason);
// The commit is done: what it held need not be looked at again.
void catalog_plan_committed(struct catalog_plan *p);
