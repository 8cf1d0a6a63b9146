// SPDX-License-Identifier: Apache-2.0
// What changed between two documents: a list of {"op","path","old","value"}.
#pragma once

#include <jansson.h>

#include "common/base/buf.h"

// Appends the differences of two objects to list: members one by one, objects
// inside them too, arrays and everything else as a whole. Paths start with base
// ("" or "/models/vendor~1name"). The member named skip at the top is left out
// (may be NULL). before or after may be NULL: then each member of the other one is
// a remove or an add. Values are shared, not copied: they must not change afterwards.
void json_diff_objects(json_t *list, const char *base, const json_t *before, const json_t *after,
                       const char *skip);
// Appends one difference; before or after is NULL where it did not exist.
void json_diff_add(json_t *list, struct slice path, const json_t *before, const json_t *after);
// Appends "/" and name, escaped, to a path.
void json_diff_path(struct buf *path, struct slice name);
