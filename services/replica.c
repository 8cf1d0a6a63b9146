// SPDX-License-Identifier: Apache-2.0
// One bad record must not take a model away: the last good form of it stays,
// and the fleet is told (the ack carries the counts).
//
// What was refused is remembered as it is in the store: a snapshot must hold both,
// the form that is shown and the one that the store's digest counts.
#include "services/replica.h"

#include <stdlib.h>

#include "common/base/log.h"

#define uthash_malloc(size) xmalloc(size)
#define uthash_free(ptr, size) free(ptr)
#include <uthash.h>

struct old_catalog {
    struct old_catalog *next;
    struct catalog *catalog;
};

struct refused_record {
    UT_hash_handle hh;
    bool gone, poisoned;
    struct slice id, record; // in bytes
    char bytes[];
};

void replica_init(struct replica *r, const struct poison *poison)
{
    *r = (struct replica){.poison = *poison, .shown = catalog_create()};
}

// -- what was refused -------------------------------------------------------

static void clear_refused(struct refused_record **all)
{
    struct refused_record *e = *all;
    HASH_CLEAR(hh, *all);
    while (e != NULL) {
        struct refused_record *next = e->hh.next;
        free(e);
        e = next;
    }
}

static void forget_refused(struct refused_record **all, struct slice id)
{
    struct refused_record *e = NULL;
    if (*all == NULL)
        return;
    HASH_FIND(hh, *all, id.ptr, id.len, e);
    if (e == NULL)
        return;
    HASH_DEL(*all, e);
    free(e);
}

static void note_refused(struct refused_record **all, struct slice id, struct slice record,
                         bool gone, bool poisoned)
{
    forget_refused(all, id);
    struct refused_record *e = xcalloc(1, sizeof(*e) + id.len + record.len);
    e->gone = gone;
    e->poisoned = poisoned;
    memcpy(e->bytes, id.ptr, id.len);
    if (record.len > 0)
        memcpy(e->bytes + id.len, record.ptr, record.len);
    e->id = slice_make(e->bytes, id.len);
    e->record = slice_make(e->bytes + id.len, record.len);
    HASH_ADD_KEYPTR(hh, *all, e->id.ptr, e->id.len, e);
}

void replica_each_refused(const struct replica *r,
                          void (*on_record)(void *ctx, struct slice id, struct slice record,
                                            bool gone),
                          void *ctx)
{
    for (const struct refused_record *e = r->refused; e != NULL; e = e->hh.next)
        on_record(ctx, e->id, e->record, e->gone);
}

// Nothing else than poison keeps a removal from being done.
void replica_restore_refused(struct replica *r, struct slice id, struct slice record, bool gone)
{
    bool poisoned = gone || poison_is(&r->poison, poison_name(id, record));
    note_refused(&r->refused, id, record, gone, poisoned);
}

struct replica_refused replica_refused(const struct replica *r)
{
    struct replica_refused count = {.invalid = HASH_COUNT(r->refused)};
    for (const struct refused_record *e = r->refused; e != NULL; e = e->hh.next)
        count.poisoned += e->poisoned;
    count.invalid -= count.poisoned;
    return count;
}

// -- the two copies ---------------------------------------------------------

void replica_fini(struct replica *r)
{
    while (replica_tidy(r))
        continue;
    catalog_destroy(r->shown);
    catalog_destroy(r->staged);
    clear_refused(&r->refused);
    clear_refused(&r->refused_staged);
    r->shown = NULL;
    r->staged = NULL;
}

static struct catalog *target(struct replica *r, bool staged)
{
    CM_ASSERT(!staged || r->staged != NULL);
    r->changes += !staged;
    return staged ? r->staged : r->shown;
}

static struct refused_record **refused_of(struct replica *r, bool staged)
{
    return staged ? &r->refused_staged : &r->refused;
}

static void keep_last_good(struct replica *r, bool staged, struct slice id, struct slice record,
                           bool poisoned)
{
    note_refused(refused_of(r, staged), id, record, false, poisoned);
    struct model *last_good = staged ? catalog_find(r->shown, id) : NULL;
    if (last_good != NULL && catalog_find(r->staged, id) == NULL)
        catalog_put(r->staged, model_ref(last_good));
}

static void reject(struct replica *r, bool staged, struct slice id, struct slice record,
                   const struct mistakes *mistakes)
{
    const char *why = mistakes->count > 0 ? mistakes->items[0].detail : "another id inside";
    LOG_ERROR("model_record_invalid", LOG_STR("id", id), LOG_CSTR("why", why));
    keep_last_good(r, staged, id, record, false);
}

// False: it is poison; what was there stays.
static bool begin(struct replica *r, struct slice id, struct slice record)
{
    if (poison_begin(&r->poison, poison_name(id, record)))
        return true;
    LOG_ERROR("model_record_poisoned", LOG_STR("id", id),
              LOG_U64("crashes", shm_crashes(r->poison.shm, poison_name(id, record))),
              LOG_BOOL("removal", record.len == 0));
    return false;
}

void replica_put(struct replica *r, bool staged, struct slice id, struct slice record)
{
    struct mistakes mistakes;
    struct catalog *c = target(r, staged);
    if (!begin(r, id, record)) {
        keep_last_good(r, staged, id, record, true);
        return;
    }
    mistakes_init(&mistakes);
    struct model *m = model_parse(record, &mistakes);
    if (m != NULL && slice_equal(m->id, id)) {
        forget_refused(refused_of(r, staged), id);
        catalog_put(c, m);
        return;
    }
    model_unref(m);
    reject(r, staged, id, record, &mistakes);
}

void replica_remove(struct replica *r, bool staged, struct slice id)
{
    struct catalog *c = target(r, staged);
    if (!begin(r, id, SLICE_NONE)) {
        note_refused(refused_of(r, staged), id, SLICE_NONE, true, true);
        return;
    }
    forget_refused(refused_of(r, staged), id);
    (void)catalog_remove(c, id);
}

// Ten thousand models are not freed in one turn.
static void put_away(struct replica *r, struct catalog *c)
{
    struct old_catalog *old = xmalloc(sizeof(*old));
    *old = (struct old_catalog){.next = r->old, .catalog = c};
    r->old = old;
}

bool replica_tidy(struct replica *r)
{
    struct old_catalog *old = r->old;
    if (old == NULL)
        return false;
    if (catalog_destroy_some(old->catalog)) {
        r->old = old->next;
        free(old);
    }
    return true;
}

void replica_stage_begin(struct replica *r, bool copy)
{
    CM_ASSERT(r->staged == NULL);
    r->staged = copy ? catalog_copy(r->shown) : catalog_create();
    for (const struct refused_record *e = copy ? r->refused : NULL; e != NULL; e = e->hh.next)
        note_refused(&r->refused_staged, e->id, e->record, e->gone, e->poisoned);
}

void replica_stage_drop(struct replica *r)
{
    put_away(r, r->staged);
    clear_refused(&r->refused_staged);
    r->staged = NULL;
    poison_end(&r->poison);
}

void replica_stage_commit(struct replica *r)
{
    CM_ASSERT(r->staged != NULL);
    put_away(r, r->shown);
    clear_refused(&r->refused);
    r->shown = r->staged;
    r->refused = r->refused_staged;
    r->staged = NULL;
    r->refused_staged = NULL;
    r->changes++;
}
