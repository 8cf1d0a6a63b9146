// SPDX-License-Identifier: Apache-2.0
// Body order is list order, re-pointing keeps the place: an array is the truth
// here, and with at most 256 aliases a walk through it is the index.
#include "admin/key_aliases.h"

#include <string.h>

#include "common/model/alias.h"

static json_t *make(struct slice match, struct slice name, struct slice target)
{
    json_t *alias = json_object();
    json_object_set_new(alias, "match", json_stringn(match.ptr, match.len));
    json_object_set_new(alias, "name", json_stringn(name.ptr, name.len));
    json_object_set_new(alias, "target", json_stringn(target.ptr, target.len));
    return alias;
}

json_t *key_aliases_normalise(const json_t *array, const char *pointer, struct mistakes *mistakes)
{
    struct alias_set *set = alias_set_parse(array, pointer, mistakes);
    if (set == NULL)
        return NULL;
    json_t *out = json_array();
    for (size_t i = 0; i < set->count; i++) {
        const struct alias *a = &set->items[i];
        struct slice match = a->match == ALIAS_EXACT ? SLICE_LIT("exact") : SLICE_LIT("prefix");
        json_array_append_new(out, make(match, a->name, a->target));
    }
    alias_set_destroy(set);
    return out;
}

static bool is_named(const json_t *alias, struct slice match, struct slice name)
{
    return slice_equal(doc_string(json_object_get(alias, "match")), match) &&
           slice_equal(doc_string(json_object_get(alias, "name")), name);
}

// Its place, or the size of the array.
static size_t place_of(const json_t *aliases, struct slice match, struct slice name)
{
    size_t i = 0;
    while (i < json_array_size(aliases) && !is_named(json_array_get(aliases, i), match, name))
        i++;
    return i;
}

const json_t *key_aliases_find(const json_t *aliases, struct slice match, struct slice name)
{
    return json_array_get(aliases, place_of(aliases, match, name));
}

void key_aliases_put(json_t *aliases, struct slice match, struct slice name, struct slice target)
{
    size_t at = place_of(aliases, match, name);
    if (at < json_array_size(aliases))
        json_array_set_new(aliases, at, make(match, name, target));
    else
        json_array_append_new(aliases, make(match, name, target));
}

bool key_aliases_remove(json_t *aliases, struct slice match, struct slice name)
{
    return json_array_remove(aliases, place_of(aliases, match, name)) == 0;
}

bool key_aliases_targets(const json_t *aliases, struct slice model_id)
{
    for (size_t i = 0; i < json_array_size(aliases); i++)
        if (slice_equal(doc_string(json_object_get(json_array_get(aliases, i), "target")),
                        model_id))
            return true;
    return false;
}

bool key_aliases_has(const json_t *aliases, const json_t *alias)
{
    for (size_t i = 0; i < json_array_size(aliases); i++)
        if (json_equal(json_array_get(aliases, i), alias))
            return true;
    return false;
}
