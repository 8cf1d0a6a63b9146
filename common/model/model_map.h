// SPDX-License-Identifier: Apache-2.0
// Models by id: a hash table with open addressing. Holds one reference each.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/model/model.h"

// The hash stands beside the model, so that a map that grows looks at none of them: that
// would be ten thousand cache misses in one turn of the loop.
struct model_slot {
    struct model *model; // NULL: empty
    uint64_t hash;       // of its id
};

// A zeroed struct is an empty map. size is 0 or a power of two above count.
struct model_map {
    size_t count;
    size_t size;
    struct model_slot *slots;
};

void model_map_fini(struct model_map *map); // drops all references
// from's models into an empty map, each with a reference of its own.
void model_map_copy(struct model_map *to, const struct model_map *from);
// Empties a map that is used no more, looking at `most` slots a call. True: it is empty.
CM_MUST_CHECK bool model_map_drain(struct model_map *map, size_t most);
// Borrowed, or NULL.
struct model *model_map_find(const struct model_map *map, struct slice id);
// Takes over one reference of m. Returns the replaced model with its reference,
// or NULL.
CM_MUST_CHECK struct model *model_map_put(struct model_map *map, struct model *m);
// Returns the removed model with its reference, or NULL.
CM_MUST_CHECK struct model *model_map_remove(struct model_map *map, struct slice id);

// A well mixed hash of an id; the same in every process and version.
uint64_t model_map_hash(struct slice id);
