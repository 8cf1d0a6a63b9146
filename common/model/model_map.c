// SPDX-License-Identifier: Apache-2.0
// Linear probing at a load of at most one half; a removal closes its gap by
// moving later entries of the same run up, so that no tombstones pile up.
#include "common/model/model_map.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MIN = 16 };

// Little endian, on machines of either kind, so that pages are cut alike.
static uint64_t load(const char *bytes, size_t len)
{
    uint64_t word = 0;
    memcpy(&word, bytes, len);
    return le64toh(word);
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0xff51afd7ed558ccdu;
    return hash ^ hash >> 32;
}

// Eight bytes a step, with the multiplier and, at the end, the finisher of
// MurmurHash3. Ids are the operator's: nobody picks them to collide.
uint64_t model_map_hash(struct slice id)
{
    uint64_t hash = id.len;
    size_t at = 0;
    for (; id.len - at >= sizeof(uint64_t); at += sizeof(uint64_t))
        hash = mix(hash, load(id.ptr + at, sizeof(uint64_t)));
    if (at < id.len)
        hash = mix(hash, load(id.ptr + at, id.len - at));
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
    return hash ^ hash >> 33;
}

void model_map_fini(struct model_map *map)
{
    for (size_t i = 0; i < map->size; i++)
        model_unref(map->slots[i]);
    free(map->slots);
    *map = (struct model_map){0};
}

void model_map_copy(struct model_map *to, const struct model_map *from)
{
    *to = *from;
    to->slots = xmalloc(from->size * sizeof(struct model *));
    for (size_t i = 0; i < from->size; i++)
        to->slots[i] = from->slots[i] != NULL ? model_ref(from->slots[i]) : NULL;
}

bool model_map_drain(struct model_map *map, size_t most)
{
    for (; map->size > 0 && most > 0; most--)
        model_unref(map->slots[--map->size]);
    if (map->size > 0)
        return false;
    model_map_fini(map);
    return true;
}

static size_t home(const struct model_map *map, struct slice id)
{
    return (size_t)model_map_hash(id) & (map->size - 1);
}

static size_t next(const struct model_map *map, size_t at)
{
    return (at + 1) & (map->size - 1);
}

// Where the model of that id is, or the empty slot where it would go.
static size_t locate(const struct model_map *map, struct slice id)
{
    size_t at = home(map, id);
    while (map->slots[at] != NULL && !slice_equal(map->slots[at]->id, id))
        at = next(map, at);
    return at;
}

struct model *model_map_find(const struct model_map *map, struct slice id)
{
    return map->size == 0 ? NULL : map->slots[locate(map, id)];
}

static void grow(struct model_map *map)
{
    struct model_map wide = {.count = map->count,
                             .size = map->size == 0 ? SIZE_MIN : 2 * map->size};
    wide.slots = xcalloc(wide.size, sizeof(struct model *));
    for (size_t i = 0; i < map->size; i++)
        if (map->slots[i] != NULL)
            wide.slots[locate(&wide, map->slots[i]->id)] = map->slots[i];
    free(map->slots);
    *map = wide;
}

struct model *model_map_put(struct model_map *map, struct model *m)
{
    if (2 * (map->count + 1) > map->size)
        grow(map);
    size_t at = locate(map, m->id);
    struct model *old = map->slots[at];
    map->slots[at] = m;
    map->count += old == NULL;
    return old;
}

// Moves every later entry of the run whose home does not lie behind the gap.
static void close_gap(struct model_map *map, size_t gap)
{
    size_t mask = map->size - 1;
    for (size_t at = next(map, gap); map->slots[at] != NULL; at = next(map, at)) {
        size_t from_home = (at - home(map, map->slots[at]->id)) & mask;
        if (from_home >= ((at - gap) & mask)) {
            map->slots[gap] = map->slots[at];
            gap = at;
        }
    }
    map->slots[gap] = NULL;
}

struct model *model_map_remove(struct model_map *map, struct slice id)
{
    if (map->size == 0)
        return NULL;
    size_t at = locate(map, id);
    struct model *old = map->slots[at];
    if (old != NULL) {
        close_gap(map, at);
        map->count--;
    }
    return old;
}
