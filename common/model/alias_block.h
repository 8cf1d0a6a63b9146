// SPDX-License-Identifier: Apache-2.0
// The list of one key with aliases: their lines, framed for one view. Made at
// the first list that needs it, kept with the key, given up first.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/model/alias.h"
#include "common/model/catalog.h"
#include "common/model/list_frame.h"

// Immutable; counted by reference.
struct alias_block {
    unsigned refs;
    uint64_t view_serial; // the view that it belongs to
    size_t bytes;         // all its memory, for cache bounds
    size_t count;         // lines; aliases without an active target have none
    struct list_frame frame;
};

// v must be the current view of c, so that lines and pages are of one state.
// Returns one reference.
CM_MUST_CHECK struct alias_block *alias_block_create(const struct catalog *c, const struct view *v,
                                                     const struct alias_set *set);
struct alias_block *alias_block_ref(struct alias_block *b);
void alias_block_unref(struct alias_block *b); // NULL is fine
