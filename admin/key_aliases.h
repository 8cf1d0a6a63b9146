// SPDX-License-Identifier: Apache-2.0
// The alias set of a key document: one alias found, put and taken away; what it
// points at.
#pragma once

#include "admin/key_doc.h"
#include "common/model/doc.h"

// A checked copy of a client's array, members in our order. NULL with mistakes,
// whose pointers start with pointer.
CM_MUST_CHECK json_t *key_aliases_normalise(const json_t *array, const char *pointer,
                                            struct mistakes *mistakes);

// match: "exact" or "prefix". The alias (borrowed), or NULL.
const json_t *key_aliases_find(const json_t *aliases, struct slice match, struct slice name);
// Re-points it in place, or appends it. The caller has checked all three.
void key_aliases_put(json_t *aliases, struct slice match, struct slice name, struct slice target);
// False when there was none.
CM_MUST_CHECK bool key_aliases_remove(json_t *aliases, struct slice match, struct slice name);

// Does any of them point at that model?
bool key_aliases_targets(const json_t *aliases, struct slice model_id);
// Is this very alias in the set?
bool key_aliases_has(const json_t *aliases, const json_t *alias);
