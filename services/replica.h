// SPDX-License-Identifier: Apache-2.0
// The worker's copy of the catalog: the one that is shown, and the one that a
// reload stages beside it. The feed's model actions end here.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/model/catalog.h"
#include "services/poison.h"

// Records of the store that are not in the catalog as they are there, by id.
struct refused_record;
struct old_catalog;

// A zeroed struct is not valid: replica_init.
struct replica {
    struct poison poison;
    struct catalog *shown;
    struct catalog *staged;         // NULL unless a reload is under way
    struct refused_record *refused; // of shown
    struct refused_record *refused_staged;
    struct old_catalog *old; // to be freed by replica_tidy
    uint64_t changes;        // of shown, since the start
};

// Empty; copies poison. fini frees all catalogs, staged and replaced ones too.
void replica_init(struct replica *r, const struct poison *poison);
void replica_fini(struct replica *r);

// A record that is no valid model of that id, or is poison, leaves in place what
// was there before (also in a reload), and is remembered and logged.
void replica_put(struct replica *r, bool staged, struct slice id, struct slice record);
void replica_remove(struct replica *r, bool staged, struct slice id);
// The stage is empty, or a copy of shown.
void replica_stage_begin(struct replica *r, bool copy);
void replica_stage_drop(struct replica *r);
void replica_stage_commit(struct replica *r);
// Frees a piece of the catalogs that were dropped or replaced; false when there is none.
bool replica_tidy(struct replica *r);

// How many records of the store are not shown as they are there, at this moment:
// none any more when they have been written anew. What a snapshot told counts as
// invalid unless it is known to be poison.
struct replica_refused {
    uint64_t invalid, poisoned;
};
struct replica_refused replica_refused(const struct replica *r);
// What the store has and shown has not, one call each. gone: the store has no such
// model any more (its removal was refused).
void replica_each_refused(const struct replica *r,
                          void (*on_record)(void *ctx, struct slice id, struct slice record,
                                            bool gone),
                          void *ctx);
// From a snapshot: shown differs so.
void replica_restore_refused(struct replica *r, struct slice id, struct slice record, bool gone);
