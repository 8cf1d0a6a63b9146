// SPDX-License-Identifier: Apache-2.0
// A map of all models and a listing of the active ones, kept in step, and the
// view that was made of the listing last.
//
// The digest of the view is the sum of its models' digests: their order follows
// from what they are, so that the sum says all, and a change costs two additions.
#include "common/model/catalog.h"

#include <stdlib.h>

#include "common/model/listing.h"
#include "common/model/model_map.h"

enum { DESTROY_SLOTS = 2048 }; // a call

struct catalog {
    struct model_map models;
    struct listing *listing;
    struct digest listed; // sum over the listing
    struct view *view;    // NULL until the first is asked for
    bool changed;         // the listing is not what view shows
};

struct catalog *catalog_create(void)
{
    struct catalog *c = xcalloc(1, sizeof(*c));
    c->listing = listing_create();
    return c;
}

struct catalog *catalog_copy(const struct catalog *from)
{
    struct catalog *c = xcalloc(1, sizeof(*c));
    *c = *from;
    c->view = from->view != NULL ? view_ref(from->view) : NULL;
    c->listing = listing_copy(from->listing);
    model_map_copy(&c->models, &from->models);
    return c;
}

void catalog_destroy(struct catalog *c)
{
    if (c == NULL)
        return;
    while (!catalog_destroy_some(c))
        continue;
}

bool catalog_destroy_some(struct catalog *c)
{
    if (c->listing != NULL) {
        view_unref(c->view);
        listing_destroy(c->listing);
        c->listing = NULL;
    } else if (model_map_drain(&c->models, DESTROY_SLOTS)) {
        free(c);
        return true;
    }
    return false;
}

static bool is_listed(const struct model *m)
{
    return m != NULL && m->active;
}

static void show(struct catalog *c, struct model *m)
{
    listing_add(c->listing, m);
    c->listed = digest_add(c->listed, m->digest);
    c->changed = true;
}

static void hide(struct catalog *c, const struct model *m)
{
    listing_remove(c->listing, m);
    c->listed = digest_subtract(c->listed, m->digest);
    c->changed = true;
}

// Old and new stand at the same place; a put that changes nothing public (the
// revision alone) leaves the view as it is.
static void exchange(struct catalog *c, const struct model *old, struct model *m)
{
    listing_replace(c->listing, old, m);
    if (digest_equal(old->digest, m->digest))
        return;
    c->listed = digest_add(digest_subtract(c->listed, old->digest), m->digest);
    c->changed = true;
}

void catalog_put(struct catalog *c, struct model *m)
{
    struct model *old = model_map_put(&c->models, m);
    if (is_listed(old) && m->active && old->created == m->created) {
        exchange(c, old, m);
    } else {
        if (is_listed(old))
            hide(c, old);
        if (m->active)
            show(c, m);
    }
    model_unref(old);
}

bool catalog_remove(struct catalog *c, struct slice id)
{
    struct model *old = model_map_remove(&c->models, id);
    if (old == NULL)
        return false;
    if (old->active)
        hide(c, old);
    model_unref(old);
    return true;
}

struct model *catalog_find(const struct catalog *c, struct slice id)
{
    return model_map_find(&c->models, id);
}

size_t catalog_count(const struct catalog *c)
{
    return c->models.count;
}

size_t catalog_models(const struct catalog *c, size_t *at, size_t most, struct model **out)
{
    size_t count = 0;
    for (; *at < c->models.size && count < most; (*at)++)
        if (c->models.slots[*at].model != NULL)
            out[count++] = model_ref(c->models.slots[*at].model);
    return count;
}

static struct view *make_view(const struct catalog *c)
{
    size_t count = listing_page_count(c->listing);
    struct page **pages = xcalloc(count, sizeof(struct page *));
    listing_pages(c->listing, pages);
    struct view *v = view_create(pages, count, c->listed);
    free(pages);
    return v;
}

bool catalog_render_one(struct catalog *c)
{
    return listing_render_one(c->listing);
}

bool catalog_view_is_current(const struct catalog *c, const struct view *v)
{
    return v == c->view && !c->changed;
}

struct view *catalog_view(struct catalog *c)
{
    if (c->view != NULL && !c->changed)
        return c->view;
    while (catalog_render_one(c))
        continue;
    view_unref(c->view);
    c->view = make_view(c);
    c->changed = false;
    return c->view;
}
