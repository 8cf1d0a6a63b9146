// SPDX-License-Identifier: Apache-2.0
// The active models in list order, cut into runs that are rendered to pages
// when they are needed.
//
// Where a run ends depends on the ids alone: a model whose hash says so starts
// a run. So the same list has the same pages, and the same compressed bytes, in
// every process, whatever changes led to it; and a change touches its own run,
// or splits it, or joins two.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/model/model.h"
#include "common/model/page.h"

enum { LISTING_RUN_MEAN = 64 }; // models; a power of two

// Borrowed models: whoever adds one keeps it until it is removed.
struct listing;

// Empty. Ended by listing_destroy, which leaves the models to their owner.
CM_MUST_CHECK struct listing *listing_create(void);
CM_MUST_CHECK struct listing *listing_copy(const struct listing *from); // shares the pages
void listing_destroy(struct listing *l);
// m must not be in it; no two models have the same (created, id).
void listing_add(struct listing *l, struct model *m);
// m must be in it.
void listing_remove(struct listing *l, const struct model *m);
// Puts m in the place of old, which has the same (created, id). Its page stays
// when the public object is the same too.
void listing_replace(struct listing *l, const struct model *old, struct model *m);
// Renders one run that has no page; false when there is none.
bool listing_render_one(struct listing *l);

// One a run, rendered or not.
size_t listing_page_count(const struct listing *l);
// The pages in order into out[listing_page_count], borrowed; all must be rendered.
void listing_pages(const struct listing *l, struct page **out);
