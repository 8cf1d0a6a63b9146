// SPDX-License-Identifier: Apache-2.0
// The answer of OpenRouter's GET /api/v1/models: {"data":[...]}.
//
//   id -> id                            name -> display_name
//   created -> created                  context_length -> context_length
//   vendor of the id, without the "~"   architecture.{input,output}_modalities
//     of a moving target -> owned_by      -> architecture
//   top_provider.max_completion_tokens -> max_completion_tokens
//   supported_parameters: tools, reasoning, structured_outputs; an image among the
//     inputs: vision -> capabilities
//
// Prices, texts and benchmarks are not ours to serve. Zero and null are unknown.
#include "admin/import/import.h"

#include <string.h>

#include "common/model/doc.h"
#include "common/model/names.h"

static bool lists(const json_t *array, const char *word)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (slice_equal(doc_string(json_array_get(array, i)), slice_of(word)))
            return true;
    return false;
}

static void set_number(json_t *model, const char *name, const json_t *value)
{
    if (json_is_number(value) && json_number_value(value) > 0)
        json_object_set(model, name, (json_t *)(uintptr_t)value);
}

static json_t *capabilities_of(const json_t *entry)
{
    static const char *const flags[] = {"tools", "reasoning", "structured_outputs"};
    const json_t *supported = json_object_get(entry, "supported_parameters");
    const json_t *inputs =
        json_object_get(json_object_get(entry, "architecture"), "input_modalities");
    json_t *capabilities = json_object();
    for (size_t i = 0; i < CM_ARRAY_LEN(flags); i++)
        if (lists(supported, flags[i]))
            json_object_set_new(capabilities, flags[i], json_true());
    if (lists(inputs, "image"))
        json_object_set_new(capabilities, "vision", json_true());
    return capabilities;
}

static void set_architecture(json_t *model, const json_t *entry)
{
    static const char *const members[] = {"input_modalities", "output_modalities"};
    const json_t *from = json_object_get(entry, "architecture");
    json_t *to = json_object();
    for (size_t i = 0; i < CM_ARRAY_LEN(members); i++) {
        json_t *list = json_object_get(from, members[i]);
        if (json_array_size(list) > 0)
            json_object_set(to, members[i], list);
    }
    json_object_set_new(model, "architecture", to);
}

static json_t *map(const json_t *entry, struct slice id)
{
    json_t *model = json_object();
    struct slice owner = names_vendor(id);
    if (slice_starts_with(owner, SLICE_LIT("~")))
        owner = slice_skip(owner, 1);
    json_object_set_new(model, "id", json_stringn(id.ptr, id.len));
    if (doc_string(json_object_get(entry, "name")).len > 0)
        json_object_set(model, "display_name", json_object_get(entry, "name"));
    set_number(model, "created", json_object_get(entry, "created"));
    if (owner.len > 0)
        json_object_set_new(model, "owned_by", json_stringn(owner.ptr, owner.len));
    set_number(model, "context_length", json_object_get(entry, "context_length"));
    set_number(model, "max_completion_tokens",
               json_object_get(json_object_get(entry, "top_provider"), "max_completion_tokens"));
    set_architecture(model, entry);
    json_object_set_new(model, "capabilities", capabilities_of(entry));
    return model;
}

bool import_openrouter(const json_t *doc, struct import *out, struct mistakes *mistakes)
{
    const json_t *data = json_object_get(doc, "data");
    if (!json_is_array(data)) {
        mistakes_add(mistakes, "#/data", "required", "an array of models, as OpenRouter sends it");
        return false;
    }
    for (size_t i = 0; i < json_array_size(data); i++) {
        const json_t *entry = json_array_get(data, i);
        struct slice id = doc_string(json_object_get(entry, "id"));
        if (id.ptr == NULL)
            import_skip(out, id, "entry %zu of data has no id", i);
        else
            import_add(out, id, map(entry, id));
    }
    return true;
}
