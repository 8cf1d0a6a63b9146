// SPDX-License-Identifier: Apache-2.0
// Any bytes as a catalog in one of the formats: what is not skipped has a good id that
// is there once, and its document meets the model validator without harm.
#pragma once

#include "admin/import/import.h"
#include "common/model/doc.h"
#include "common/model/model.h"
#include "common/model/names.h"
#include "tests/fuzz/fuzz.h"

static inline void fuzz_import_check(const struct import *import)
{
    for (size_t i = 0; i < import->count; i++) {
        const struct import_entry *entry = &import->entries[i];
        CM_ASSERT((entry->doc == NULL) == (entry->reason != NULL));
        if (entry->doc == NULL)
            continue;
        CM_ASSERT(names_is_model_id(slice_of(entry->id)));
        CM_ASSERT(json_object_get(import->ids, entry->id) != NULL);
        json_decref(model_complete(entry->doc, slice_of(entry->id), 1, NULL));
    }
}

// format: index into IMPORT_FORMATS. For a target's one function: returns its 0.
static inline int fuzz_import(int format, struct slice text)
{
    struct doc_error error;
    struct import import = {.count = 0};
    struct mistakes mistakes;
    json_t *doc = doc_parse(text, &error);
    if (doc == NULL)
        return 0;
    mistakes_init(&mistakes);
    if (import_read(format, doc, &import, &mistakes))
        fuzz_import_check(&import);
    else
        CM_ASSERT(mistakes.count > 0);
    import_fini(&import);
    json_decref(doc);
    return 0;
}
