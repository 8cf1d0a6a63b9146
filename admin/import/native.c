// SPDX-License-Identifier: Apache-2.0
// Our own format: {"models":[...]}, or the array alone. An entry is a model as the
// API shows it.
#include "admin/import/import.h"

#include <string.h>

#include "common/model/doc.h"

static const json_t *models_of(const json_t *doc, struct mistakes *mistakes)
{
    static const char *const known[] = {"models"};
    const char *name;
    json_t *value;
    if (json_is_array(doc))
        return doc;
    json_object_foreach((json_t *)(uintptr_t)doc, name, value) if (strcmp(name, "models") != 0)
        mistakes_add_unknown(mistakes, "#", slice_of(name), known, CM_ARRAY_LEN(known));
    const json_t *models = json_object_get(doc, "models");
    if (!json_is_array(models))
        mistakes_add(mistakes, "#/models", "required", "an array of models");
    return mistakes->count == 0 ? models : NULL;
}

bool import_native(const json_t *doc, struct import *out, struct mistakes *mistakes)
{
    const json_t *models = models_of(doc, mistakes);
    if (models == NULL)
        return false;
    for (size_t i = 0; i < json_array_size(models); i++) {
        json_t *entry = json_array_get(models, i);
        struct slice id = doc_string(json_object_get(entry, "id"));
        if (id.ptr == NULL)
            import_skip(out, id, "entry %zu of models has no id", i);
        else
            import_add(out, id, json_incref(entry));
    }
    return true;
}
