// SPDX-License-Identifier: Apache-2.0
// All models by id, and the active ones as the public API lists them: ordered
// by (created, id), in copy-on-write pages. A change renders one page.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/slice.h"
#include "common/model/model.h"
#include "common/model/view.h"

struct catalog;

CM_MUST_CHECK struct catalog *catalog_create(void);
// The same models, pages and view; a reference of each model is all that it costs.
CM_MUST_CHECK struct catalog *catalog_copy(const struct catalog *from);
void catalog_destroy(struct catalog *c); // NULL is fine; views that are pinned live on
// The same a piece a call, for one that is used no more. True: it is gone.
CM_MUST_CHECK bool catalog_destroy_some(struct catalog *c);
// Takes over one reference of m; replaces the model of that id.
void catalog_put(struct catalog *c, struct model *m);
// False when there was none.
bool catalog_remove(struct catalog *c, struct slice id);
// The model of that id, active or not, or NULL. Borrowed until the next change.
struct model *catalog_find(const struct catalog *c, struct slice id);
// All models, also inactive ones.
size_t catalog_count(const struct catalog *c);
// The next of them in no order, at most `most`, each with a reference for the caller; *at
// is 0 at the beginning, and the catalog as it was then. Returns how many; 0 at the end.
size_t catalog_models(const struct catalog *c, size_t *at, size_t most, struct model **out);

// The current view, borrowed (view_ref it to keep it): renders the pages that
// changed since the last call, shares all others with the former view, and is
// that view when nothing in the list changed. What a view holds depends on the
// list alone, not on the order of the changes that led to it.
struct view *catalog_view(struct catalog *c);
// Renders one changed page; false when none is left. A loop that calls it
// between turns spreads the cost of an import; catalog_view does what is left.
bool catalog_render_one(struct catalog *c);
// Is v what catalog_view would return now?
bool catalog_view_is_current(const struct catalog *c, const struct view *v);
