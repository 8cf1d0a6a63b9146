// SPDX-License-Identifier: Apache-2.0
// The first match decides: an alias that matches hides a real id, also when its
// target is away.
#include "common/model/resolve.h"

#include <string.h>

static bool is_name(struct slice name)
{
    return name.len > 0 && memchr(name.ptr, '\0', name.len) == NULL && slice_is_utf8(name);
}

static struct model *find_active(const struct catalog *c, struct slice id)
{
    struct model *m = catalog_find(c, id);
    return m != NULL && m->active ? m : NULL;
}

struct resolution resolve_name(const struct catalog *c, const struct alias_set *aliases,
                               struct slice name)
{
    struct resolution r = {.outcome = RESOLVE_NOT_FOUND};
    if (!is_name(name))
        return r;
    r.alias = aliases == NULL ? NULL : alias_set_find(aliases, name);
    r.model = find_active(c, r.alias == NULL ? name : r.alias->target);
    if (r.model != NULL)
        r.outcome = RESOLVE_FOUND;
    else if (r.alias != NULL)
        r.outcome = RESOLVE_TARGET_UNAVAILABLE;
    return r;
}
