// SPDX-License-Identifier: Apache-2.0
// Any bytes as a key record: what is accepted is written and read back to the
// same key, and each alias is found under its own name.
#include "common/model/key.h"

#include <string.h>

#include "common/model/doc.h"
#include "common/model/names.h"
#include "tests/fuzz/fuzz.h"

static void check_aliases(const struct alias_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct alias *alias = &set->items[i], *found = alias_set_find(set, alias->name);
        CM_ASSERT(names_is_alias(alias->name, alias->match == ALIAS_PREFIX));
        CM_ASSERT(names_is_model_id(alias->target));
        CM_ASSERT(found != NULL && slice_equal(found->name, alias->name));
        CM_ASSERT(found == alias || found->match == ALIAS_EXACT);
    }
}

static void write_key(struct buf *out, const struct key *k)
{
    struct buf text = {0};
    struct doc_error error;
    alias_set_write(&text, k->aliases);
    json_t *aliases = doc_parse(buf_slice(&text), &error);
    CM_ASSERT(aliases != NULL);
    key_write_record(out, k->revision, k->id, k->state, k->expires_at, aliases);
    json_decref(aliases);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key *k = key_parse(slice_make(data, size));
    if (k == NULL)
        return 0;
    check_aliases(k->aliases);
    struct buf first = {0}, second = {0};
    write_key(&first, k);
    struct key *again = key_parse(buf_slice(&first));
    CM_ASSERT(again != NULL && again->state == k->state && strcmp(again->id, k->id) == 0);
    CM_ASSERT(again->bytes == k->bytes && again->expires_at == k->expires_at);
    write_key(&second, again);
    CM_ASSERT(slice_equal(buf_slice(&first), buf_slice(&second)));
    buf_clear(&second);
    key_write(&second, again);
    CM_ASSERT(slice_equal(buf_slice(&first), buf_slice(&second)));
    buf_fini(&first);
    buf_fini(&second);
    key_destroy(again);
    key_destroy(k);
    return 0;
}
