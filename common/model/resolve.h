// SPDX-License-Identifier: Apache-2.0
// From the name in a request to a model: SPEC 1.4.
#pragma once

#include "common/base/slice.h"
#include "common/model/alias.h"
#include "common/model/catalog.h"

enum resolve_outcome { RESOLVE_FOUND, RESOLVE_NOT_FOUND, RESOLVE_TARGET_UNAVAILABLE };

struct resolution {
    enum resolve_outcome outcome;
    const struct alias *alias; // the alias that matched, or NULL
    struct model *model;       // when found; borrowed until the catalog changes
};

// Aliases (may be NULL) first, then the catalog. name is percent-decoded; NUL
// or bytes that are not UTF-8 make it nobody's name.
struct resolution resolve_name(const struct catalog *c, const struct alias_set *aliases,
                               struct slice name);
