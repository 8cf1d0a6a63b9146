// SPDX-License-Identifier: Apache-2.0
// One bad record must not take a model away: the last good form of it stays,
// and the fleet is told (the ack carries the count).
#include "services/replica.h"

#include "common/base/log.h"

void replica_init(struct replica *r)
{
    *r = (struct replica){.shown = catalog_create()};
}

void replica_fini(struct replica *r)
{
    catalog_destroy(r->shown);
    catalog_destroy(r->staged);
    r->shown = NULL;
    r->staged = NULL;
}

static struct catalog *target(const struct replica *r, bool staged)
{
    CM_ASSERT(!staged || r->staged != NULL);
    return staged ? r->staged : r->shown;
}

static void reject(struct replica *r, bool staged, struct slice id, const struct mistakes *mistakes)
{
    r->rejected++;
    const char *why = mistakes->count > 0 ? mistakes->items[0].detail : "another id inside";
    LOG_ERROR("model_record_invalid", LOG_STR("id", id), LOG_CSTR("why", why));
    struct model *last_good = staged ? catalog_find(r->shown, id) : NULL;
    if (last_good != NULL)
        catalog_put(r->staged, model_ref(last_good));
}

void replica_put(struct replica *r, bool staged, struct slice id, struct slice record)
{
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    struct model *m = model_parse(record, &mistakes);
    if (m != NULL && slice_equal(m->id, id)) {
        catalog_put(target(r, staged), m);
        return;
    }
    model_unref(m);
    reject(r, staged, id, &mistakes);
}

void replica_remove(struct replica *r, bool staged, struct slice id)
{
    (void)catalog_remove(target(r, staged), id);
}

void replica_stage_begin(struct replica *r)
{
    CM_ASSERT(r->staged == NULL);
    r->staged = catalog_create();
}

void replica_stage_drop(struct replica *r)
{
    catalog_destroy(r->staged);
    r->staged = NULL;
}

void replica_stage_commit(struct replica *r)
{
    CM_ASSERT(r->staged != NULL);
    catalog_destroy(r->shown);
    r->shown = r->staged;
    r->staged = NULL;
}
