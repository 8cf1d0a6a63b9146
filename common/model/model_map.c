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
        model_unref(map->slots[i].model);
    free(map->slots);
    *map = (struct model_map){0};
}

void model_map_copy(struct model_map *to, const struct model_map *from)
{
    *to = *from;
    to->slots = xmalloc(from->size * sizeof(*to->slots));
    for (size_t i = 0; i < from->size; i++) {
        to->slots[i] = from->slots[i];
        if (to->slots[i].model != NULL)
            (void)model_ref(to->slots[i].model);
    }
}

bool model_map_drain(struct model_map *map, size_t most)
{
    for (; map->size > 0 && most > 0; most--)
        model_unref(map->slots[--map->size].model);
    if (map->size > 0)
        return false;
    model_map_fini(map);
    return true;
}

static size_t home(const struct model_map *map, uint64_t hash)
{
    return (size_t)hash & (map->size - 1);
}

static size_t next(const struct model_map *map, size_t at)
{
    return (at + 1) & (map->size - 1);
}

// Where the model of that id is, or the empty slot where it would go.
static size_t locate(const struct model_map *map, struct slice id, uint64_t hash)
{
    size_t at = home(map, hash);
    for (const struct model_slot *s = &map->slots[at]; s->model != NULL; s = &map->slots[at]) {
        if (s->hash == hash && slice_equal(s->model->id, id))
            break;
        at = next(map, at);
    }
    return at;
}

struct model *model_map_find(const struct model_map *map, struct slice id)
{
    return map->size == 0 ? NULL : map->slots[locate(map, id, model_map_hash(id))].model;
}

static void grow(struct model_map *map)
{
    struct model_map wide = {.count = map->count,
                             .size = map->size == 0 ? SIZE_MIN : 2 * map->size};
    wide.slots = xcalloc(wide.size, sizeof(*wide.slots));
    for (size_t i = 0; i < map->size; i++) {
        if (map->slots[i].model == NULL)
            continue;
        size_t at = home(&wide, map->slots[i].hash);
        while (wide.slots[at].model != NULL)
            at = next(&wide, at);
        wide.slots[at] = map->slots[i];
    }
    free(map->slots);
    *map = wide;
}

struct model *model_map_put(struct model_map *map, struct model *m)
{
    if (2 * (map->count + 1) > map->size)
        grow(map);
    uint64_t hash = model_map_hash(m->id);
    size_t at = locate(map, m->id, hash);
    struct model *old = map->slots[at].model;
    map->slots[at] = (struct model_slot){.model = m, .hash = hash};
    map->count += old == NULL;
    return old;
}

// Moves every later entry of the run whose home does not lie behind the gap.
static void close_gap(struct model_map *map, size_t gap)
{
    size_t mask = map->size - 1;
    for (size_t at = next(map, gap); map->slots[at].model != NULL; at = next(map, at)) {
        size_t from_home = (at - home(map, map->slots[at].hash)) & mask;
        if (from_home >= ((at - gap) & mask)) {
            map->slots[gap] = map->slots[at];
            gap = at;
        }
    }
    map->slots[gap].model = NULL;
}

struct model *model_map_remove(struct model_map *map, struct slice id)
{
    if (map->size == 0)
        return NULL;
    size_t at = locate(map, id, model_map_hash(id));
    struct model *old = map->slots[at].model;
    if (old != NULL) {
        close_gap(map, at);
        map->count--;
    }
    return old;
}
