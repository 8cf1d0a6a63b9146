// SPDX-License-Identifier: Apache-2.0
// Only the live keys have an index in order, which is read in ranges. The other
// two sources are sets, read whole and put in order here: they are small, or they
// are what somebody asked to see.
#include "admin/key_walk.h"

#include <stdlib.h>
#include <string.h>

#include "common/store/commit.h"

void key_walk_ask(struct key_walk *walk, struct fetch *f, int64_t now_s)
{
    struct slice cursor = slice_of(walk->cursor);
    walk->documents = false;
    walk->count = 0;
    switch (walk->source) {
    case KEY_WALK_LIVE:
        walk->ids_slot = walk->backward && cursor.len > 0
                             ? fetch_key_ids(f, SLICE_NONE, cursor, KEY_WALK_CHUNK)
                             : fetch_key_ids(f, cursor, SLICE_NONE, KEY_WALK_CHUNK);
        return;
    case KEY_WALK_REVOKED:
        walk->ids_slot = fetch_gone_ids(f, now_s - COMMIT_TOMBSTONE_S);
        return;
    case KEY_WALK_REFERRING:
        walk->ids_slot = fetch_refs(f, walk->model_id);
        return;
    }
}

static int ascending(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static int descending(const void *a, const void *b)
{
    return ascending(b, a);
}

static bool is_beyond(const struct key_walk *walk, struct slice id)
{
    struct slice cursor = slice_of(walk->cursor);
    int order = slice_compare(id, cursor);
    return cursor.len == 0 || (walk->backward ? order < 0 : order > 0);
}

// The ids of this round in reading order. The caller frees.
static struct slice *ids_in_order(const struct key_walk *walk, const struct fetch *f, size_t *count)
{
    size_t all = fetch_list_count(f, walk->ids_slot), kept = 0;
    struct slice *ids = xcalloc(all, sizeof(*ids));
    for (size_t i = 0; i < all; i++) {
        struct slice id = fetch_list_at(f, walk->ids_slot, i);
        if (is_beyond(walk, id))
            ids[kept++] = id;
    }
    qsort(ids, kept, sizeof(*ids), walk->backward ? descending : ascending);
    *count = kept;
    return ids;
}

enum reading_verdict key_walk_step(struct key_walk *walk, struct fetch *f)
{
    size_t count;
    if (walk->documents)
        return READING_DONE;
    walk->documents = true;
    struct slice *ids = ids_in_order(walk, f, &count);
    if (count > KEY_WALK_CHUNK)
        count = KEY_WALK_CHUNK;
    if (count > 0) {
        struct slice last = ids[count - 1];
        CM_ASSERT(last.len < sizeof(walk->cursor)); // our own index
        memcpy(walk->cursor, last.ptr, last.len);
        walk->cursor[last.len] = '\0';
    }
    for (size_t i = 0; i < count; i++)
        walk->slots[walk->count++] = walk->source == KEY_WALK_REVOKED
                                         ? fetch_gone_document(f, ids[i])
                                         : fetch_key_document(f, ids[i]);
    free(ids);
    return count > 0 ? READING_MORE : READING_DONE;
}

struct key_doc *key_walk_document(const struct key_walk *walk, const struct fetch *f, size_t i)
{
    CM_ASSERT(i < walk->count);
    return key_doc_parse(fetch_result(f, walk->slots[i]));
}
