// SPDX-License-Identifier: Apache-2.0
// Models, alias sets and request memory as the programs would make them.
#pragma once

#include "common/model/alias.h"
#include "common/model/answer.h"
#include "common/model/model.h"

// Through model_parse; one reference.
struct model *models_make(const char *id, int64_t created, const char *display_name, bool active);
// "v<n % 7>/model-<n>", created from n but not in its order, active.
struct model *models_make_numbered(unsigned n);
// Through alias_set_parse. rows: "exact NAME TARGET" or "prefix NAME TARGET".
struct alias_set *models_aliases(const char *const *rows, size_t count);

// A request's pool. Zero it; fini frees what it gave out.
struct models_pool {
    struct models_block *blocks;
};
struct arena models_pool_arena(struct models_pool *pool);
void models_pool_fini(struct models_pool *pool);

// Appends the parts of an answer and checks that length says their sum.
void models_join(struct buf *out, const struct answer *a);
