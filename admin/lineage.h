// SPDX-License-Identifier: Apache-2.0
// Where a history that begins here comes from: which epochs it continues, and a
// revision above every one that anybody is known to have seen.
#pragma once

#include "admin/guard.h"
#include "admin/journal.h"
#include "common/store/commit.h"
#include "common/store/fetch.h"

struct lineage {
    size_t log_slot, audit_slot;
};

// Asks how far the log and the audit entries in the store go, for lineage_fill.
void lineage_ask(struct lineage *l, struct fetch *f);
// Fills all of *out but keep, digest and models. Its slices live as long as f.
// journal may be NULL.
void lineage_fill(const struct lineage *l, const struct fetch *f, const struct guard *g,
                  const struct journal *journal, struct commit_origin *out);
