// SPDX-License-Identifier: Apache-2.0
// A key's aliases: the set in list order and the look-up that resolves a name.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/model/doc.h"

enum { ALIAS_SET_MAX = 256 };

enum alias_match { ALIAS_EXACT, ALIAS_PREFIX };

struct alias {
    enum alias_match match;
    struct slice name;
    struct slice target; // a model id; it need not exist
};

// Immutable after alias_set_parse; owns its bytes in one allocation.
struct alias_set {
    size_t count;
    size_t bytes;              // size of the whole allocation, for cache bounds
    const struct alias *items; // in list order (order of creation)
    const uint16_t *by_name;   // indexes of items, names ascending, exact before prefix
    const uint16_t *enclosing; // enclosing[i]: for by_name position i, the position + 1 of the
                               // longest other prefix alias whose name is a prefix of it; 0 = none
};

// Parses and validates a JSON array of {"match","name","target"}: the one
// validator (unknown member, bad name, repeated (match, name), more than
// ALIAS_SET_MAX are mistakes; pointers start with `pointer`). Returns a new set
// or NULL with mistakes (may be NULL).
CM_MUST_CHECK struct alias_set *alias_set_parse(const json_t *array, const char *pointer,
                                                struct mistakes *mistakes);
void alias_set_destroy(struct alias_set *set); // NULL is fine
// Appends the JSON array.
void alias_set_write(struct buf *out, const struct alias_set *set);

// SPEC 1.4 steps 1 and 2: the alias whose name equals `name` (exact before
// prefix), else the prefix alias with the longest name that `name` starts with,
// else NULL. O(log n) comparisons plus the depth of nesting prefixes.
const struct alias *alias_set_find(const struct alias_set *set, struct slice name);
