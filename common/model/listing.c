// SPDX-License-Identifier: Apache-2.0
// Runs of models in an array. What holds between calls:
//
// - no run is empty, models ascend over all runs;
// - each run but the first begins with a starter, and no other model of a run is one.
//
// Runs are of uneven length (a random model's run has about twice the mean),
// which costs less than what even ones would: page bytes that depend on history.
#include "common/model/listing.h"

#include <stdlib.h>
#include <string.h>

#include "common/model/model_map.h"

struct run {
    size_t count;
    size_t cap;
    struct model **models;
    struct page *page; // NULL = changed since it was rendered
};

struct listing {
    size_t count;
    size_t cap;
    struct run *runs;
    size_t unrendered_from; // no run before this one lacks its page
};

struct place {
    size_t run;
    size_t index;
};

static bool is_starter(const struct model *m)
{
    return model_map_hash(m->id) % LISTING_RUN_MEAN == 0;
}

static int compare(const struct model *a, const struct model *b)
{
    if (a->created != b->created)
        return a->created < b->created ? -1 : 1;
    return slice_compare(a->id, b->id);
}

struct listing *listing_create(void)
{
    return xcalloc(1, sizeof(struct listing));
}

static void drop_page(struct listing *l, size_t at)
{
    page_unref(l->runs[at].page);
    l->runs[at].page = NULL;
    if (at < l->unrendered_from)
        l->unrendered_from = at;
}

void listing_destroy(struct listing *l)
{
    for (size_t i = 0; i < l->count; i++) {
        page_unref(l->runs[i].page);
        free(l->runs[i].models);
    }
    free(l->runs);
    free(l);
}

struct listing *listing_copy(const struct listing *from)
{
    struct listing *l = listing_create();
    *l = *from;
    l->cap = from->count;
    l->runs = xcalloc(l->cap, sizeof(struct run));
    for (size_t i = 0; i < l->count; i++) {
        const struct run *r = &from->runs[i];
        l->runs[i] = (struct run){.count = r->count, .cap = r->count};
        l->runs[i].page = r->page != NULL ? page_ref(r->page) : NULL;
        l->runs[i].models = xmalloc(r->count * sizeof(struct model *));
        memcpy(l->runs[i].models, r->models, r->count * sizeof(struct model *));
    }
    return l;
}

// --- where a model belongs ---

// The last run that does not begin after m; 0 when all do.
static size_t find_run(const struct listing *l, const struct model *m)
{
    size_t low = 0;
    size_t high = l->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (compare(l->runs[middle].models[0], m) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

// The first index whose model is not before m.
static size_t find_index(const struct run *r, const struct model *m)
{
    size_t low = 0;
    size_t high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(r->models[middle], m) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct place find_place(const struct listing *l, const struct model *m)
{
    size_t run = find_run(l, m);
    return (struct place){run, find_index(&l->runs[run], m)};
}

static struct place locate(const struct listing *l, const struct model *m)
{
    CM_ASSERT(l->count > 0);
    struct place at = find_place(l, m);
    CM_ASSERT(at.index < l->runs[at.run].count && l->runs[at.run].models[at.index] == m);
    return at;
}

// --- runs ---

static void insert_models(struct run *r, size_t at, struct model *const *models, size_t count)
{
    if (r->count + count > r->cap) {
        r->cap = 2 * (r->count + count);
        r->models = xrealloc(r->models, r->cap * sizeof(struct model *));
    }
    struct model **gap = r->models + at;
    memmove(gap + count, gap, (r->count - at) * sizeof(struct model *));
    memcpy(gap, models, count * sizeof(struct model *));
    r->count += count;
}

static void insert_run(struct listing *l, size_t at)
{
    if (l->count == l->cap) {
        l->cap = l->cap == 0 ? 16 : 2 * l->cap;
        l->runs = xrealloc(l->runs, l->cap * sizeof(struct run));
    }
    memmove(l->runs + at + 1, l->runs + at, (l->count - at) * sizeof(struct run));
    l->runs[at] = (struct run){0};
    l->count++;
    if (at < l->unrendered_from)
        l->unrendered_from = at;
}

static void remove_run(struct listing *l, size_t at)
{
    drop_page(l, at);
    free(l->runs[at].models);
    l->count--;
    memmove(l->runs + at, l->runs + at + 1, (l->count - at) * sizeof(struct run));
}

// The models from `at` on become the next run; it is empty for a moment when
// there are none.
static void split(struct listing *l, struct place at)
{
    insert_run(l, at.run + 1);
    struct run *left = &l->runs[at.run];
    if (at.index == left->count)
        return;
    insert_models(&l->runs[at.run + 1], 0, left->models + at.index, left->count - at.index);
    left->count = at.index;
    drop_page(l, at.run);
}

// The run joins the one before it.
static void join(struct listing *l, size_t at)
{
    struct run *left = &l->runs[at - 1];
    insert_models(left, left->count, l->runs[at].models, l->runs[at].count);
    drop_page(l, at - 1);
    remove_run(l, at);
}

// --- changes ---

// In front of all others: the model that was first opens a run of its own when
// it is a starter.
static void add_first(struct listing *l, struct model *m)
{
    if (l->count == 0 || is_starter(l->runs[0].models[0]))
        insert_run(l, 0);
    insert_models(&l->runs[0], 0, &m, 1);
    drop_page(l, 0);
}

void listing_add(struct listing *l, struct model *m)
{
    struct place at = {0};
    if (l->count > 0)
        at = find_place(l, m);
    if (at.run == 0 && at.index == 0) {
        add_first(l, m);
        return;
    }
    if (is_starter(m)) {
        split(l, at);
        at = (struct place){at.run + 1, 0};
    }
    insert_models(&l->runs[at.run], at.index, &m, 1);
    drop_page(l, at.run);
}

void listing_remove(struct listing *l, const struct model *m)
{
    struct place at = locate(l, m);
    struct run *r = &l->runs[at.run];
    r->count--;
    memmove(r->models + at.index, r->models + at.index + 1,
            (r->count - at.index) * sizeof(struct model *));
    drop_page(l, at.run);
    if (r->count == 0)
        remove_run(l, at.run);
    else if (at.run > 0 && at.index == 0)
        join(l, at.run);
}

void listing_replace(struct listing *l, const struct model *old, struct model *m)
{
    CM_ASSERT(compare(old, m) == 0);
    struct place at = locate(l, old);
    l->runs[at.run].models[at.index] = m;
    if (!digest_equal(old->digest, m->digest))
        drop_page(l, at.run);
}

// --- pages ---

bool listing_render_one(struct listing *l)
{
    while (l->unrendered_from < l->count && l->runs[l->unrendered_from].page != NULL)
        l->unrendered_from++;
    if (l->unrendered_from == l->count)
        return false;
    struct run *r = &l->runs[l->unrendered_from];
    r->page = page_create(r->models, r->count);
    return true;
}

size_t listing_page_count(const struct listing *l)
{
    return l->count;
}

void listing_pages(const struct listing *l, struct page **out)
{
    for (size_t i = 0; i < l->count; i++) {
        CM_ASSERT(l->runs[i].page != NULL);
        out[i] = l->runs[i].page;
    }
}
