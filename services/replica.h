// SPDX-License-Identifier: Apache-2.0
// The worker's copy of the catalog: the one that is shown, and the one that a
// reload stages beside it. The feed's model actions end here.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/model/catalog.h"

// A zeroed struct is not valid: replica_init.
struct replica {
    struct catalog *shown;
    struct catalog *staged; // NULL unless a reload is under way
    uint64_t rejected;      // records that were no models
};

void replica_init(struct replica *r);
void replica_fini(struct replica *r);

// A record that is no valid model of that id leaves in place what was there
// before (also in a reload), and is counted and logged.
void replica_put(struct replica *r, bool staged, struct slice id, struct slice record);
void replica_remove(struct replica *r, bool staged, struct slice id);
void replica_stage_begin(struct replica *r);
void replica_stage_drop(struct replica *r);
void replica_stage_commit(struct replica *r);
